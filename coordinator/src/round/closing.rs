//! How rounds open and close, and how the run ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_common::event::{LeftOut, Outcome, RunEvent};
use synod_common::ids::{ClientId, RoundId, SiteName};
use synod_common::plan::OnTooFew;
use synod_common::wire::TaskKind;

use super::actions::{Action, Millis, ModelVersion};
use super::aggregator::{Aggregator, Step};
use super::cohort;
use super::machine::Run;
use super::phase::{Committing, FinalEvaluation, Gathering, Member, MemberState, Phase};

/// How long the end of a run waits for evaluations, at most: long enough for a large held-out set on a slow machine.
const FINAL_EVALUATION_MS_MAX: u64 = 600_000;

impl Run {
    /// Opens a round: chooses the cohort and sends it the model.
    pub(super) fn open(&mut self, round: RoundId, attempt: u32, now: Millis, out: &mut Vec<Action>) -> Phase {
        let available: Vec<ClientId> = self.sites.keys().copied().collect();
        let rules = &self.plan.round;
        let updates_min = match (rules.updates_min, rules.cohort) {
            (0, 0) => available.len().max(1),
            (0, cohort) => cohort as usize,
            (min, _) => min as usize,
        };
        let cohort = cohort::choose(self.plan.seed, round, attempt, &available, rules.cohort);
        let aggregator = match Aggregator::new(&self.plan, round, &self.layout, cohort.len().max(1), self.known.len()) {
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
    pub(super) fn try_close(&mut self, gathering: Box<Gathering>, now: Millis, out: &mut Vec<Action>) -> Phase {
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
    pub(super) fn close(&mut self, gathering: Gathering, now: Millis, out: &mut Vec<Action>) -> Phase {
        let (took_part, left_out) = (gathering.took_part(), gathering.left_out(now));
        let Gathering { round, opened, aggregator, .. } = gathering;
        let mut values = self.pool.take();
        match aggregator.finish(&self.state, &self.model.values, &mut values) {
            Ok(Step { norm, state }) => {
                let digest = self.layout.model_digest(&values);
                let model = Arc::new(ModelVersion { round, digest, values });
                let state = Arc::new(state);
                out.push(Action::Commit { model: Arc::clone(&model), state: Arc::clone(&state) });
                Phase::Committing(Committing { model, state, took_part, left_out, step_norm: norm, opened })
            }
            Err(error) => {
                let reason =
                    format!("round {round} has no result: {error}; the model of round {} is kept", self.model.round);
                self.finish(now, Outcome::Stopped { reason }, out)
            }
        }
    }

    pub(super) fn too_few(&mut self, gathering: Gathering, now: Millis, out: &mut Vec<Action>) -> Phase {
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

    pub(super) fn begin_final_evaluation(&mut self, now: Millis, out: &mut Vec<Action>) -> Phase {
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

    pub(super) fn try_end(&mut self, evaluation: FinalEvaluation, now: Millis, out: &mut Vec<Action>) -> Phase {
        let complete = evaluation.awaited.is_empty() && self.central_pending == 0;
        if complete || now >= evaluation.until {
            self.finish(now, Outcome::Completed, out)
        } else {
            Phase::FinalEvaluation(evaluation)
        }
    }

    pub(super) fn finish(&mut self, now: Millis, outcome: Outcome, out: &mut Vec<Action>) -> Phase {
        out.push(Action::Publish(RunEvent::RunFinished {
            outcome: outcome.clone(),
            rounds: self.model.round.0,
            model: self.model.digest,
            ms: now.since(self.started),
            bytes_down: self.bytes_down,
            bytes_up: self.bytes_up,
        }));
        out.push(Action::Finish { outcome: outcome.clone(), model: Arc::clone(&self.model) });
        Phase::Done(outcome)
    }
}

fn named(left_out: &[LeftOut]) -> String {
    let mut parts: Vec<_> = left_out.iter().take(5).map(|l| format!("{}: {}", l.site, l.reason)).collect();
    if left_out.len() > parts.len() {
        parts.push(format!("and {} more", left_out.len() - parts.len()));
    }
    if parts.is_empty() { "nobody is connected".to_owned() } else { parts.join("; ") }
}
