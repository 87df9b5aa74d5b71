//! The machine itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_common::blocks::Layout;
use synod_common::event::{EVENT_VERSION, LeftOut, Outcome, RunEvent};
use synod_common::ids::{ClientId, Digest, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{OnTooFew, Plan};
use synod_common::update::{Buffer, BufferPool, Update};
use synod_common::wire::{Answer, TaskKind, shorten};

use super::actions::{Action, Event, Measured, Millis, ModelVersion, OutTask, Received};
use super::aggregator::Aggregator;
use super::cohort;
use super::phase::{Assembling, Committing, FinalEvaluation, Gathering, Member, MemberState, Phase};
use super::screening::{Expected, Passed};

/// How long the end of a run waits for evaluations, at most: long enough for a large held-out set on a slow machine.
const FINAL_EVALUATION_MS_MAX: u64 = 600_000;

/// What a run begins with.
#[derive(Debug)]
pub struct Setup {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The model's layout.
    pub layout: Layout,
    /// The initial model, `[layout.len()]`.
    pub initial: Vec<f32>,
    /// Where next models come from; its buffers have `layout.len()` values.
    pub pool: BufferPool,
}

/// A run: see the [module](super).
#[derive(Debug)]
pub struct Machine {
    run: Run,
    phase: Phase,
}

/// What outlives phases.
#[derive(Debug)]
struct Run {
    plan: Arc<Plan>,
    plan_digest: Digest,
    layout: Layout,
    layout_digest: Digest,
    pool: BufferPool,
    started: Millis,
    sites: BTreeMap<ClientId, SiteName>,
    model: Arc<ModelVersion>,
    central_pending: u64,
    tasks_sent: u64,
    updates_received: u64,
}

impl Machine {
    /// A run that has not begun. [`Event::Start`] begins it.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { plan, layout, initial, pool } = setup;
        let digest = layout.model_digest(&initial);
        let model = Arc::new(ModelVersion { round: RoundId(0), digest, values: Buffer::from(initial) });
        let run = Run {
            plan_digest: plan.digest(),
            layout_digest: layout.digest(),
            plan,
            layout,
            pool,
            started: Millis::default(),
            sites: BTreeMap::new(),
            model,
            central_pending: 0,
            tasks_sent: 0,
            updates_received: 0,
        };
        Self { run, phase: Phase::Idle }
    }

    /// Takes one event and says what should be done. Never fails: a site that breaks the rules is an ordinary case.
    pub fn step(&mut self, now: Millis, event: Event, actions: &mut Vec<Action>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        self.phase = self.run.step(phase, now, event, actions);
    }

    /// How the run ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Done(outcome) => Some(outcome),
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::FinalEvaluation(_) => None,
        }
    }

    /// The last committed model.
    #[must_use]
    pub fn model(&self) -> &Arc<ModelVersion> {
        &self.run.model
    }
}

impl Run {
    fn step(&mut self, phase: Phase, now: Millis, event: Event, out: &mut Vec<Action>) -> Phase {
        match event {
            Event::Start => self.on_start(phase, now, out),
            Event::Tick => self.on_tick(phase, now, out),
            Event::Arrived { site, samples, class_counts } => {
                self.on_arrived(phase, now, &site, samples, class_counts, out)
            }
            Event::Left { site, reason } => self.on_left(phase, now, site, reason, out),
            Event::Progress { site, round, step, steps, loss } => {
                if matches!(&phase, Phase::Gathering(g) if g.round == round && g.members.contains_key(&site.client_id()))
                {
                    out.push(Action::Publish(RunEvent::Progress { round, site, step, steps, loss }));
                }
                phase
            }
            Event::Update { site, received } => self.on_update(phase, now, site, received, out),
            Event::Declined { site, round, reason } => self.on_declined(phase, now, site, round, &reason, out),
            Event::Faulted { site, reason } => {
                let round = open_round(&phase);
                out.push(Action::Publish(RunEvent::UpdateRefused { round, site, reason }));
                phase
            }
            Event::Evaluated { site, round, metrics } => self.on_evaluated(phase, now, site, round, metrics, out),
            Event::CentralEvaluation { round, result } => self.on_central(phase, now, round, result, out),
            Event::Committed { round } => self.on_committed(phase, now, round, out),
            Event::CommitFailed { round, reason } => match phase {
                Phase::Committing(c) if c.model.round == round => {
                    let reason = format!(
                        "the model of round {round} could not be saved: {reason}; the model of round {} is kept",
                        self.model.round
                    );
                    self.finish(now, Outcome::Stopped { reason }, out)
                }
                other => other,
            },
            Event::Interrupt => match phase {
                Phase::Done(outcome) => Phase::Done(outcome),
                Phase::Idle
                | Phase::Assembling(_)
                | Phase::Gathering(_)
                | Phase::Committing(_)
                | Phase::FinalEvaluation(_) => self.finish(now, Outcome::Interrupted, out),
            },
        }
    }

    fn on_start(&mut self, phase: Phase, now: Millis, out: &mut Vec<Action>) -> Phase {
        let Phase::Idle = phase else { return phase };
        self.started = now;
        out.push(Action::Publish(RunEvent::RunStarted {
            version: EVENT_VERSION,
            name: self.plan.name.clone(),
            plan: self.plan_digest,
            rounds: u64::from(self.plan.rounds),
            strategy: self.plan.aggregate.strategy.name().to_owned(),
            parameters: self.layout.len() as u64,
            model: self.model.digest,
        }));
        if self.plan.evaluate.central_every > 0 {
            self.evaluate_centrally(out);
        }
        let until = now.plus(self.plan.round.arrive_max.as_millis());
        out.push(Action::WakeAt(until));
        self.try_begin(Assembling { until }, now, out)
    }

    fn on_tick(&mut self, phase: Phase, now: Millis, out: &mut Vec<Action>) -> Phase {
        match phase {
            Phase::Assembling(assembling) if now >= assembling.until => {
                let (there, needed) = (self.sites.len(), self.plan.round.sites_min);
                let names: Vec<_> = self.sites.values().map(ToString::to_string).collect();
                let reason = format!(
                    "{there} of {needed} sites arrived within {} (there: {}); start the missing clients and run again, or lower round.sites_min",
                    self.plan.round.arrive_max,
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                );
                self.finish(now, Outcome::Stopped { reason }, out)
            }
            Phase::Assembling(assembling) => {
                out.push(Action::WakeAt(assembling.until));
                Phase::Assembling(assembling)
            }
            Phase::Gathering(gathering) => self.try_close(gathering, now, out),
            Phase::FinalEvaluation(evaluation) => self.try_end(evaluation, now, out),
            Phase::Idle | Phase::Committing(_) | Phase::Done(_) => phase,
        }
    }

    fn on_arrived(
        &mut self,
        phase: Phase,
        now: Millis,
        site: &SiteName,
        samples: u64,
        class_counts: Vec<u64>,
        out: &mut Vec<Action>,
    ) -> Phase {
        let id = site.client_id();
        self.sites.insert(id, site.clone());
        out.push(Action::Publish(RunEvent::SiteArrived {
            site: site.clone(),
            samples: Some(samples),
            class_counts: (!class_counts.is_empty()).then_some(class_counts),
        }));
        match phase {
            Phase::Assembling(assembling) => self.try_begin(assembling, now, out),
            Phase::Gathering(mut gathering) => {
                // A member that comes back in the same round gets its task again.
                let (round, deadline) = (gathering.round, gathering.deadline);
                if let Some(member) = gathering.members.get_mut(&id)
                    && matches!(member.state, MemberState::Away { .. } | MemberState::Working)
                {
                    member.state = MemberState::Working;
                    self.send(site, round, TaskKind::Train, deadline, out);
                }
                Phase::Gathering(gathering)
            }
            Phase::Idle | Phase::Committing(_) | Phase::FinalEvaluation(_) | Phase::Done(_) => phase,
        }
    }

    fn on_left(&mut self, phase: Phase, now: Millis, site: SiteName, reason: String, out: &mut Vec<Action>) -> Phase {
        let id = site.client_id();
        if self.sites.remove(&id).is_none() {
            return phase;
        }
        out.push(Action::Publish(RunEvent::SiteLeft { site, reason: reason.clone() }));
        match phase {
            Phase::Gathering(mut gathering) => {
                if let Some(member) = gathering.members.get_mut(&id)
                    && matches!(member.state, MemberState::Working)
                {
                    member.state = MemberState::Away { reason };
                }
                Phase::Gathering(gathering)
            }
            Phase::FinalEvaluation(mut evaluation) => {
                evaluation.awaited.remove(&id);
                self.try_end(evaluation, now, out)
            }
            Phase::Idle | Phase::Assembling(_) | Phase::Committing(_) | Phase::Done(_) => phase,
        }
    }

    fn on_update(
        &mut self,
        phase: Phase,
        now: Millis,
        site: SiteName,
        received: Received,
        out: &mut Vec<Action>,
    ) -> Phase {
        self.updates_received += 1;
        let named = received.update.header.round;
        let Phase::Gathering(mut gathering) = phase else {
            let reason =
                format!("no round is open; the update for round {named} is not counted, nothing is to be done");
            refuse(site, named, &reason, out);
            return phase;
        };
        let expected = Expected {
            round: gathering.round,
            plan: self.plan_digest,
            layout: &self.layout,
            layout_digest: self.layout_digest,
            limits: &self.plan.screening,
        };
        let id = site.client_id();
        let Some(member) = gathering.members.get_mut(&id) else {
            let reason = format!(
                "the site is not in the cohort of round {}; it will be asked when it is its turn",
                gathering.round
            );
            refuse(site, named, &reason, out);
            return Phase::Gathering(gathering);
        };
        match (&member.state, expected.check(&received)) {
            // An update whose acknowledgement was lost is sent again: it counts once, and is acknowledged again.
            (MemberState::Counted, _) if named == gathering.round => {
                out.push(Action::Answer { site, round: named, answer: Answer::Accepted });
                Phase::Gathering(gathering)
            }
            (MemberState::Out { reason }, _) if named == gathering.round => {
                let reason = format!("the site is out of round {named}: {reason}");
                refuse(site, named, &reason, out);
                Phase::Gathering(gathering)
            }
            (_, Ok(passed)) => self.count(gathering, now, site, passed, received.update, out),
            (_, Err(reason)) => {
                if named == gathering.round {
                    member.state = MemberState::Out { reason: reason.clone() };
                }
                refuse(site, named, &reason, out);
                self.try_close(gathering, now, out)
            }
        }
    }

    fn count(
        &mut self,
        mut gathering: Box<Gathering>,
        now: Millis,
        site: SiteName,
        passed: Passed,
        update: Update,
        out: &mut Vec<Action>,
    ) -> Phase {
        let Update { header, delta } = update;
        let id = site.client_id();
        let counted = gathering.aggregator.push(id, passed.samples, delta, passed.screened);
        if let Some(member) = gathering.members.get_mut(&id) {
            member.state = match &counted {
                Ok(()) => MemberState::Counted,
                Err(error) => MemberState::Out { reason: error.to_string() },
            };
        }
        if let Err(error) = counted {
            refuse(site, header.round, &error.to_string(), out);
            return self.try_close(gathering, now, out);
        }
        out.push(Action::Answer { site: site.clone(), round: header.round, answer: Answer::Accepted });
        out.push(Action::Publish(RunEvent::UpdateAccepted {
            round: header.round,
            site,
            samples: u64::from(passed.samples.get()),
            norm: passed.screened.norm(),
            bytes_down: self.layout.bytes(),
            bytes_up: self.layout.bytes(),
            train_ms: header.train_ms,
            train: header.train,
            before: header.before,
            after: header.after,
        }));
        if gathering.enough_at.is_none() && gathering.updates() >= gathering.updates_min {
            gathering.enough_at = Some(now);
        }
        self.try_close(gathering, now, out)
    }

    fn on_declined(
        &mut self,
        phase: Phase,
        now: Millis,
        site: SiteName,
        round: RoundId,
        reason: &str,
        out: &mut Vec<Action>,
    ) -> Phase {
        let id = site.client_id();
        out.push(Action::Publish(RunEvent::UpdateRefused { round, site, reason: reason.to_owned() }));
        match phase {
            Phase::Gathering(mut gathering) if gathering.round == round => {
                if let Some(member) = gathering.members.get_mut(&id)
                    && !matches!(member.state, MemberState::Counted)
                {
                    member.state = MemberState::Out { reason: format!("declined: {reason}") };
                }
                self.try_close(gathering, now, out)
            }
            Phase::FinalEvaluation(mut evaluation) => {
                evaluation.awaited.remove(&id);
                self.try_end(evaluation, now, out)
            }
            Phase::Idle | Phase::Assembling(_) | Phase::Gathering(_) | Phase::Committing(_) | Phase::Done(_) => phase,
        }
    }

    fn on_evaluated(
        &mut self,
        phase: Phase,
        now: Millis,
        site: SiteName,
        round: RoundId,
        metrics: Option<Metrics>,
        out: &mut Vec<Action>,
    ) -> Phase {
        match phase {
            Phase::FinalEvaluation(mut evaluation) if round == self.model.round => {
                if evaluation.awaited.remove(&site.client_id())
                    && let Some(metrics) = metrics
                {
                    out.push(Action::Publish(RunEvent::SiteEvaluated { round, site, metrics }));
                }
                self.try_end(evaluation, now, out)
            }
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::FinalEvaluation(_)
            | Phase::Done(_) => phase,
        }
    }

    fn on_central(
        &mut self,
        phase: Phase,
        now: Millis,
        round: RoundId,
        result: Result<Measured, String>,
        out: &mut Vec<Action>,
    ) -> Phase {
        self.central_pending = self.central_pending.saturating_sub(1);
        if let Ok(Measured { metrics, confusion }) = result {
            out.push(Action::Publish(RunEvent::Evaluated { round, metrics, confusion }));
        }
        match phase {
            Phase::FinalEvaluation(evaluation) => self.try_end(evaluation, now, out),
            Phase::Idle | Phase::Assembling(_) | Phase::Gathering(_) | Phase::Committing(_) | Phase::Done(_) => phase,
        }
    }

    fn on_committed(&mut self, phase: Phase, now: Millis, round: RoundId, out: &mut Vec<Action>) -> Phase {
        let committing = match phase {
            Phase::Committing(c) if c.model.round == round => c,
            other => return other,
        };
        self.model = committing.model;
        out.push(Action::Publish(RunEvent::RoundCommitted {
            round,
            took_part: committing.took_part,
            left_out: committing.left_out,
            model: self.model.digest,
            step_norm: committing.step_norm,
            ms: now.since(committing.opened),
        }));
        let rounds = u64::from(self.plan.rounds);
        if self.plan.evaluate.central_in(round.0, rounds) {
            self.evaluate_centrally(out);
        }
        if round.0 < rounds { self.open(round.next(), 0, now, out) } else { self.begin_final_evaluation(now, out) }
    }

    fn evaluate_centrally(&mut self, out: &mut Vec<Action>) {
        self.central_pending += 1;
        out.push(Action::EvaluateCentrally { model: Arc::clone(&self.model) });
    }

    fn send(&mut self, site: &SiteName, round: RoundId, kind: TaskKind, deadline: Millis, out: &mut Vec<Action>) {
        self.tasks_sent += 1;
        let task = OutTask { round, kind, model: Arc::clone(&self.model), deadline };
        out.push(Action::Send { site: site.clone(), task });
    }

    fn try_begin(&mut self, assembling: Assembling, now: Millis, out: &mut Vec<Action>) -> Phase {
        if self.sites.len() >= self.plan.round.sites_min as usize {
            self.open(RoundId(1), 0, now, out)
        } else {
            Phase::Assembling(assembling)
        }
    }

    /// Opens a round: chooses the cohort and sends it the model.
    fn open(&mut self, round: RoundId, attempt: u32, now: Millis, out: &mut Vec<Action>) -> Phase {
        let available: Vec<ClientId> = self.sites.keys().copied().collect();
        let rules = &self.plan.round;
        let updates_min = match (rules.updates_min, rules.cohort) {
            (0, 0) => available.len().max(1),
            (0, cohort) => cohort as usize,
            (min, _) => min as usize,
        };
        let cohort = cohort::choose(self.plan.seed, round, attempt, &available, rules.cohort);
        let aggregator = match Aggregator::new(&self.plan.aggregate.strategy, round, &self.layout, cohort.len().max(1))
        {
            Ok(aggregator) => aggregator,
            Err(error) => {
                let reason = format!("round {round} cannot begin: {error}");
                return self.finish(now, Outcome::Stopped { reason }, out);
            }
        };
        let deadline = now.plus(rules.time_max.as_millis());
        let members: BTreeMap<ClientId, Member> = cohort
            .iter()
            .filter_map(|id| Some((*id, Member { name: self.sites.get(id)?.clone(), state: MemberState::Working })))
            .collect();
        let mut names: Vec<SiteName> = members.values().map(|m| m.name.clone()).collect();
        names.sort();
        out.push(Action::Publish(RunEvent::RoundStarted {
            round,
            cohort: names,
            model: self.model.digest,
            deadline_ms: deadline.since(now),
        }));
        out.push(Action::WakeAt(deadline));
        for member in members.values() {
            self.send(&member.name, round, TaskKind::Train, deadline, out);
        }
        let gathering =
            Gathering { round, attempt, opened: now, deadline, enough_at: None, updates_min, members, aggregator };
        self.try_close(Box::new(gathering), now, out)
    }

    /// Closes the round if it is time; otherwise asks to be woken when it will be.
    fn try_close(&mut self, gathering: Box<Gathering>, now: Millis, out: &mut Vec<Action>) -> Phase {
        let enough = gathering.updates() >= gathering.updates_min;
        let nobody_left = gathering.pending() == 0;
        let graced = gathering.enough_at.map(|at| at.plus(self.plan.round.grace.as_millis()).min(gathering.deadline));
        if enough && (nobody_left || graced.is_some_and(|at| now >= at)) {
            self.close(*gathering, now, out)
        } else if now >= gathering.deadline || (nobody_left && !enough) {
            self.too_few(*gathering, now, out)
        } else {
            out.push(Action::WakeAt(graced.unwrap_or(gathering.deadline)));
            Phase::Gathering(gathering)
        }
    }

    /// Makes the next model.
    fn close(&mut self, gathering: Gathering, now: Millis, out: &mut Vec<Action>) -> Phase {
        let (took_part, left_out) = (gathering.took_part(), gathering.left_out(now));
        let Gathering { round, opened, aggregator, .. } = gathering;
        let mut values = self.pool.take();
        match aggregator.finish(self.plan.aggregate.server_lr, &self.model.values, &mut values) {
            Ok(step_norm) => {
                let digest = self.layout.model_digest(&values);
                let model = Arc::new(ModelVersion { round, digest, values });
                out.push(Action::Commit { model: Arc::clone(&model) });
                Phase::Committing(Committing { model, took_part, left_out, step_norm, opened })
            }
            Err(error) => {
                let reason =
                    format!("round {round} has no result: {error}; the model of round {} is kept", self.model.round);
                self.finish(now, Outcome::Stopped { reason }, out)
            }
        }
    }

    fn too_few(&mut self, gathering: Gathering, now: Millis, out: &mut Vec<Action>) -> Phase {
        let left_out = gathering.left_out(now);
        let (round, updates, updates_min) = (gathering.round, gathering.updates(), gathering.updates_min);
        let may_retry = self.plan.round.on_too_few == OnTooFew::Retry
            && gathering.attempt < self.plan.round.retries_max
            && !self.sites.is_empty();
        if may_retry {
            out.push(Action::Publish(RunEvent::RoundRetried {
                round,
                updates: updates as u64,
                updates_min: updates_min as u64,
                left_out,
            }));
            let attempt = gathering.attempt + 1;
            drop(gathering);
            return self.open(round, attempt, now, out);
        }
        let reason = format!(
            "round {round} has {updates} of the {updates_min} updates it needs ({}); the model of round {} is kept",
            named(&left_out),
            self.model.round
        );
        self.finish(now, Outcome::Stopped { reason }, out)
    }

    fn begin_final_evaluation(&mut self, now: Millis, out: &mut Vec<Action>) -> Phase {
        let wait = self.plan.round.time_max.as_millis().min(FINAL_EVALUATION_MS_MAX);
        let until = now.plus(wait);
        let mut awaited = std::collections::BTreeSet::new();
        let has_holdout = self.plan.data.holdout > 0.0 || self.plan.data.has_own_test();
        if has_holdout {
            let sites: Vec<SiteName> = self.sites.values().cloned().collect();
            for site in sites {
                awaited.insert(site.client_id());
                self.send(&site, self.model.round, TaskKind::Evaluate, until, out);
            }
        }
        out.push(Action::WakeAt(until));
        self.try_end(FinalEvaluation { awaited, until }, now, out)
    }

    fn try_end(&mut self, evaluation: FinalEvaluation, now: Millis, out: &mut Vec<Action>) -> Phase {
        let complete = evaluation.awaited.is_empty() && self.central_pending == 0;
        if complete || now >= evaluation.until {
            self.finish(now, Outcome::Completed, out)
        } else {
            Phase::FinalEvaluation(evaluation)
        }
    }

    fn finish(&mut self, now: Millis, outcome: Outcome, out: &mut Vec<Action>) -> Phase {
        out.push(Action::Publish(RunEvent::RunFinished {
            outcome: outcome.clone(),
            rounds: self.model.round.0,
            model: self.model.digest,
            ms: now.since(self.started),
            bytes_down: self.tasks_sent.saturating_mul(self.layout.bytes()),
            bytes_up: self.updates_received.saturating_mul(self.layout.bytes()),
        }));
        out.push(Action::Finish { outcome: outcome.clone(), model: Arc::clone(&self.model) });
        Phase::Done(outcome)
    }
}

fn refuse(site: SiteName, round: RoundId, reason: &str, out: &mut Vec<Action>) {
    let reason = shorten(reason);
    out.push(Action::Answer { site: site.clone(), round, answer: Answer::Refused { reason: reason.clone() } });
    out.push(Action::Publish(RunEvent::UpdateRefused { round, site, reason }));
}

fn open_round(phase: &Phase) -> RoundId {
    match phase {
        Phase::Gathering(g) => g.round,
        Phase::Committing(c) => c.model.round,
        Phase::Idle | Phase::Assembling(_) | Phase::FinalEvaluation(_) | Phase::Done(_) => RoundId(0),
    }
}

/// At most five names with their reasons.
fn named(left_out: &[LeftOut]) -> String {
    let mut parts: Vec<_> = left_out.iter().take(5).map(|l| format!("{}: {}", l.site, l.reason)).collect();
    if left_out.len() > parts.len() {
        parts.push(format!("and {} more", left_out.len() - parts.len()));
    }
    if parts.is_empty() { "nobody is connected".to_owned() } else { parts.join("; ") }
}
