//! How rounds open and close, and how the run ends.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::journal::{Committed, Entry, Opened};

/// How long the end of a run waits for evaluations, at most: long enough for a large held-out set on a slow machine.
const FINAL_EVALUATION_MS_MAX: u64 = 600_000;

impl Run {
    /// Opens a round: chooses the cohort and sends it the model.
    pub(super) fn open(&mut self, round: RoundId, attempt: u32, now: Millis, out: &mut Vec<Action>) -> Phase {
        let available = self.sites.clone();
        self.open_with(&available, round, attempt, now, out)
    }

    /// Opens a round with a cohort of `present`. Those who are not there get the model when they come.
    pub(super) fn open_with(
        &mut self,
        present: &BTreeMap<ClientId, SiteName>,
        round: RoundId,
        attempt: u32,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Phase {
        let available: Vec<ClientId> = present.keys().copied().collect();
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
                return self.finish(Outcome::Stopped { reason }, out);
            }
        };
        let deadline = now.plus(rules.time_max.as_millis());
        let state = |id| match self.sites.contains_key(id) {
            true => MemberState::Working,
            false => {
                MemberState::Away { reason: "it has not come back since the coordinator was started again".into() }
            }
        };
        let members: BTreeMap<ClientId, Member> = cohort
            .iter()
            .filter_map(|id| Some((*id, Member { name: present.get(id)?.clone(), state: state(id) })))
            .collect();
        let mut names: Vec<SiteName> = members.values().map(|m| m.name.clone()).collect();
        names.sort();
        let opened = Opened {
            round,
            attempt,
            cohort: names.clone(),
            updates_min: updates_min as u64,
            sites: self.known.len() as u64,
            time_left_ms: deadline.since(now),
        };
        journal(Entry::RoundOpened(opened), out);
        out.push(Action::Publish(RunEvent::RoundStarted {
            round,
            cohort: names,
            model: self.model.digest,
            deadline_ms: deadline.since(now),
        }));
        out.push(Action::WakeAt(deadline));
        for member in members.values().filter(|m| matches!(m.state, MemberState::Working)) {
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
        if gathering.is_writing() && (now >= gathering.deadline || enough) {
            return Phase::Gathering(gathering);
        }
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
                let entry = Box::new(Committed {
                    round,
                    model: digest,
                    took_part: took_part.clone(),
                    left_out: left_out.clone(),
                    step_norm: norm,
                    present: self.sites.values().cloned().collect(),
                    bytes_down: self.bytes_down,
                    bytes_up: self.bytes_up,
                    run_ms: self.run_ms(now),
                });
                out.push(Action::Commit { entry, model: Arc::clone(&model), state: Arc::clone(&state) });
                Phase::Committing(Committing { model, state, took_part, left_out, step_norm: norm, opened })
            }
            Err(error) => {
                let reason =
                    format!("round {round} has no result: {error}; the model of round {} is kept", self.model.round);
                self.finish(Outcome::Stopped { reason }, out)
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
        self.finish(Outcome::Stopped { reason }, out)
    }

    pub(super) fn begin_final_evaluation(&mut self, now: Millis, out: &mut Vec<Action>) -> Phase {
        let has_holdout = self.plan.data.holdout > 0.0 || self.plan.data.has_own_test();
        let awaited = if has_holdout { self.sites.keys().copied().collect() } else { BTreeSet::new() };
        self.final_evaluation(awaited, now, out)
    }

    /// Waits for what `awaited` measure; those who are not there get the model when they come.
    pub(super) fn final_evaluation(
        &mut self,
        awaited: BTreeSet<ClientId>,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Phase {
        let wait = self.plan.round.time_max.as_millis().min(FINAL_EVALUATION_MS_MAX);
        let until = now.plus(wait);
        let there: Vec<SiteName> = awaited.iter().filter_map(|id| self.sites.get(id).cloned()).collect();
        for site in there {
            self.send(&site, self.model.round, TaskKind::Evaluate, until, out);
        }
        out.push(Action::WakeAt(until));
        self.try_end(FinalEvaluation { awaited, until }, now, out)
    }

    pub(super) fn try_end(&mut self, evaluation: FinalEvaluation, now: Millis, out: &mut Vec<Action>) -> Phase {
        let complete = evaluation.awaited.is_empty() && self.central_pending == 0;
        if complete || now >= evaluation.until {
            self.finish(Outcome::Completed, out)
        } else {
            Phase::FinalEvaluation(evaluation)
        }
    }

    /// Ends the run, which is said once it is durable.
    pub(super) fn finish(&mut self, outcome: Outcome, out: &mut Vec<Action>) -> Phase {
        journal(Entry::RunEnded { outcome: outcome.clone() }, out);
        Phase::Ending(outcome)
    }

    /// Ends the run without a word in the journal: what it says already is what the run can go on from.
    pub(super) fn conclude(&mut self, now: Millis, outcome: Outcome, out: &mut Vec<Action>) -> Phase {
        out.push(Action::Publish(RunEvent::RunFinished {
            outcome: outcome.clone(),
            rounds: self.model.round.0,
            model: self.model.digest,
            ms: self.run_ms(now),
            bytes_down: self.bytes_down,
            bytes_up: self.bytes_up,
        }));
        out.push(Action::Finish { outcome: outcome.clone(), model: Arc::clone(&self.model) });
        Phase::Done(outcome)
    }
}

/// Gives `entry` out, to be durable after all entries before it.
pub(super) fn journal(entry: Entry, out: &mut Vec<Action>) {
    out.push(Action::Journal(Box::new(entry.into())));
}

fn named(left_out: &[LeftOut]) -> String {
    let mut parts: Vec<_> = left_out.iter().take(5).map(|l| format!("{}: {}", l.site, l.reason)).collect();
    if left_out.len() > parts.len() {
        parts.push(format!("and {} more", left_out.len() - parts.len()));
    }
    if parts.is_empty() { "nobody is connected".to_owned() } else { parts.join("; ") }
}
