//! Live progress on standard error, from the one stream of events: bars on a terminal, plain lines otherwise.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use synod_common::absences::Absences;
use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::{RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{Better, Headline};

use super::out;

/// Sites that get a line of their own on a terminal.
const SITE_BARS_MAX: usize = 12;

/// Rounds that wait for their test metrics, at most; evaluation runs beside the next rounds.
const PENDING_MAX: usize = 2;

/// Shows a run.
pub(crate) struct Display(Mutex<State>);

struct State {
    quiet: bool,
    bars: Option<MultiProgress>,
    overall: Option<ProgressBar>,
    sites: BTreeMap<SiteName, ProgressBar>,
    rounds: u64,
    arrived: usize,
    cohort: usize,
    loss: (f64, u64),
    /// Rounds whose test metrics may still come.
    committed: VecDeque<Committed>,
    /// Whether the global model is measured centrally at all.
    measured: bool,
    /// What sites found on the final model, shown after the last round.
    finals: Vec<String>,
    rounds_ms: u64,
    bytes: u64,
    absences: Absences,
}

struct Committed {
    round: RoundId,
    took_part: usize,
    cohort: usize,
    bytes: u64,
    left_out: Vec<String>,
    ms: u64,
    loss: Option<f64>,
}

impl Display {
    /// Shows nothing when `quiet`, bars when a person watches, lines otherwise.
    pub(crate) fn new(quiet: bool) -> Self {
        let bars = (!quiet && out::is_watched()).then(MultiProgress::new);
        Self(Mutex::new(State {
            quiet,
            bars,
            overall: None,
            sites: BTreeMap::new(),
            rounds: 0,
            arrived: 0,
            cohort: 0,
            loss: (0.0, 0),
            committed: VecDeque::new(),
            measured: false,
            finals: Vec::new(),
            rounds_ms: 0,
            bytes: 0,
            absences: Absences::default(),
        }))
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).say(&text.to_string());
    }

    /// Takes one event.
    pub(crate) fn show(&self, event: &RunEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).show(event);
    }
}

fn bar(template: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style.progress_chars("━╸ "))
}

impl State {
    fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        match &self.bars {
            Some(bars) => {
                let _ = bars.println(text);
            }
            None => out::note(text),
        }
    }

    fn show(&mut self, event: &RunEvent) {
        self.absences.take(event);
        match event {
            RunEvent::RunStarted { name, plan, rounds, strategy, parameters, .. } => {
                self.rounds = *rounds;
                self.say(&format!(
                    "run {name} (plan {}): {rounds} rounds of {strategy}, {parameters} parameters",
                    plan.short()
                ));
                self.count_rounds();
            }
            RunEvent::RunResumed { name, plan, rounds, round, accepted, model, .. } => {
                self.rounds = *rounds;
                let there = if accepted.is_empty() {
                    String::new()
                } else {
                    format!(", which has {} updates already", accepted.len())
                };
                self.say(&format!(
                    "run {name} (plan {}) goes on from model {}: round {round} of {rounds}{there}",
                    plan.short(),
                    model.short()
                ));
                self.count_rounds();
            }
            RunEvent::SiteArrived { site, samples, .. } => {
                self.arrived += 1;
                if self.arrived == SITE_BARS_MAX + 1 {
                    self.say("  and more sites");
                }
                if self.arrived <= SITE_BARS_MAX {
                    let samples = samples.map(|s| format!(" with {s} training samples")).unwrap_or_default();
                    self.say(&format!("  {site} is there{samples}"));
                }
                if let Some(bars) = &self.bars
                    && self.sites.len() < SITE_BARS_MAX
                    && !self.sites.contains_key(site)
                {
                    let line = bar("  {prefix:14} {bar:20.green} {msg}", 1).with_prefix(site.to_string());
                    self.sites.insert(site.clone(), bars.add(line));
                }
            }
            RunEvent::SiteLeft { site, reason } => self.say(&format!("  {site} left: {reason}")),
            RunEvent::RoundStarted { cohort, .. } => {
                self.flush_older_than(if self.measured { PENDING_MAX } else { 0 });
                self.cohort = cohort.len();
                self.loss = (0.0, 0);
                for line in self.sites.values() {
                    line.set_position(0);
                    line.set_message("waiting");
                }
                for name in cohort {
                    self.on_site(name, |line| line.set_message("has the model"));
                }
            }
            RunEvent::Progress { site, step, steps, loss, .. } => self.on_site(site, |line| {
                line.set_length((*steps).max(1));
                line.set_position(*step);
                line.set_message(format!("training, loss {loss:.3}"));
            }),
            RunEvent::UpdateAccepted { site, train, after, train_ms, bytes_up, bytes_down, .. } => {
                self.bytes += bytes_up + bytes_down;
                if let Some(loss) = train.get("loss") {
                    self.loss = (self.loss.0 + loss, self.loss.1 + 1);
                }
                let own = headline(after.as_ref()).map(|own| format!(", own {own}")).unwrap_or_default();
                let loss = train.get("loss").map(|l| format!(", loss {l:.3}")).unwrap_or_default();
                let (seconds, megabytes) = (*train_ms as f64 / 1000.0, (bytes_up + bytes_down) as f64 / 1e6);
                let text = format!("done in {seconds:.1} s{loss}{own}, {megabytes:.2} MB");
                if self.bars.is_none() && self.cohort <= SITE_BARS_MAX {
                    self.say(&format!("  {site} {text}"));
                }
                self.on_site(site, |line| {
                    line.set_position(line.length().unwrap_or(1));
                    line.set_message(text);
                });
            }
            RunEvent::UpdateRefused { round, site, reason } => {
                self.say(&format!("  round {round}: {site} refused: {reason}"));
            }
            RunEvent::RoundCommitted { round, took_part, left_out, ms, .. } => {
                self.rounds_ms += ms;
                let left_out = left_out.iter().map(|l| format!("{} ({})", l.site, l.reason)).collect();
                let loss = (self.loss.1 > 0).then(|| self.loss.0 / self.loss.1 as f64);
                let (took_part, cohort, bytes) = (took_part.len(), self.cohort, self.bytes);
                self.committed.push_back(Committed {
                    round: *round,
                    took_part,
                    cohort,
                    bytes,
                    left_out,
                    ms: *ms,
                    loss,
                });
                if let Some(overall) = &self.overall {
                    overall.set_position(round.0);
                }
            }
            RunEvent::RoundRetried { round, updates, updates_min, .. } => {
                self.say(&format!("round {round} had {updates} of {updates_min} updates and is tried again"));
            }
            RunEvent::UpdateLate { round, site, rounds_late, weight } => {
                let fate = match weight {
                    Some(weight) => format!("and counts {weight:.2} times"),
                    None => "and does not count".to_owned(),
                };
                self.say(&format!("  {site}: the update of round {round} came {rounds_late} rounds late {fate}"));
            }
            RunEvent::RoundExtended { round, updates, updates_min, deadline_ms, left_out } => {
                let longer = humantime::format_duration(Duration::from_secs(deadline_ms.div_ceil(1000)));
                let names: Vec<_> = left_out.iter().map(|l| format!("{} ({})", l.site, l.reason)).collect();
                self.say(&format!(
                    "round {round} has {updates} of {updates_min} updates and stays open for {longer} more; missing: {}",
                    if names.is_empty() { "more sites".to_owned() } else { names.join("; ") }
                ));
            }
            RunEvent::RoundShrunk { round, updates, updates_min, .. } => {
                self.say(&format!("round {round} goes on with {updates} of the {updates_min} updates it needs"));
            }
            RunEvent::Evaluated { round, metrics, .. } => {
                self.measured = true;
                self.on_evaluated(*round, metrics);
            }
            RunEvent::SiteEvaluated { site, metrics, .. } => {
                if self.finals.len() < SITE_BARS_MAX {
                    let measured = headline(Some(metrics)).unwrap_or_default();
                    let samples = metrics.samples;
                    self.finals.push(format!("  {site}: final model has {measured} on {samples} held-out samples"));
                }
            }
            RunEvent::RunFinished { outcome, rounds, model, ms, bytes_down, bytes_up } => {
                self.flush_older_than(0);
                self.finals.sort();
                for text in std::mem::take(&mut self.finals) {
                    self.say(&text);
                }
                self.sites.values().chain(&self.overall).for_each(ProgressBar::finish_and_clear);
                self.sites.clear();
                let how = match outcome {
                    Outcome::Completed => format!("done: {rounds} rounds"),
                    Outcome::Stopped { reason } => format!("stopped after {rounds} rounds: {reason}"),
                    Outcome::Interrupted => format!("interrupted after {rounds} rounds"),
                };
                let (seconds, megabytes) = (*ms as f64 / 1000.0, (bytes_up + bytes_down) as f64 / 1e6);
                let absent = self.absences.sentence().map(|text| format!("; {text}")).unwrap_or_default();
                self.say(&format!("{how} in {seconds:.1} s, {megabytes:.1} MB, model {}{absent}", model.short()));
            }
        }
    }

    fn count_rounds(&mut self) {
        if let Some(bars) = &self.bars {
            let overall = bar("{prefix:14} {bar:30.cyan} {pos}/{len} {msg}", self.rounds).with_prefix("rounds");
            self.overall = Some(bars.add(overall));
        }
    }

    fn on_site(&self, site: &SiteName, change: impl FnOnce(&ProgressBar)) {
        if let Some(line) = self.sites.get(site) {
            change(line);
        }
    }

    /// A round whose test metrics came; rounds before it get none any more.
    fn on_evaluated(&mut self, round: RoundId, metrics: &Metrics) {
        while let Some(c) = self.committed.front()
            && c.round <= round
            && let Some(c) = self.committed.pop_front()
        {
            let test = (c.round == round).then_some(metrics);
            self.tell(&c, test);
        }
    }

    /// Shows all committed rounds but the newest `pending`.
    fn flush_older_than(&mut self, pending: usize) {
        while self.committed.len() > pending
            && let Some(c) = self.committed.pop_front()
        {
            self.tell(&c, None);
        }
    }

    fn tell(&self, c: &Committed, test: Option<&Metrics>) {
        let left = self.rounds.saturating_sub(c.round.0).saturating_mul(self.rounds_ms / c.round.0.max(1));
        let mut text = format!("round {:>3}/{}", c.round, self.rounds);
        if let Some(loss) = c.loss {
            text += &format!("  loss {loss:.3}");
        }
        if let Some(measured) = headline(test) {
            text += &format!("  test {measured}");
        }
        text += &format!("  {} of {} sites  {:.2} s", c.took_part, c.cohort, c.ms as f64 / 1000.0);
        text += &format!("  {:.1} MB", c.bytes as f64 / 1e6);
        if left > 0 {
            text += &format!("  about {} left", humantime::format_duration(Duration::from_secs(left.div_ceil(1000))));
        }
        if !c.left_out.is_empty() {
            text += &format!("  left out: {}", c.left_out.join("; "));
        }
        self.say(&text);
    }
}

/// The metric that tells most of the task, with its name.
fn headline(metrics: Option<&Metrics>) -> Option<String> {
    let (headline, value) = Headline::of(metrics?)?;
    Some(match headline.better {
        Better::Higher => format!("{} {:.1} %", headline.title, value * 100.0),
        Better::Lower => format!("{} {value:.4}", headline.title),
    })
}
