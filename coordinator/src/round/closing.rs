//! How rounds open and close, and how the run ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_common::event::{LeftOut, Outcome, RunEvent};
use synod_common::ids::{ClientId, RoundId, SiteName};
use synod_common::plan::{OnTooFew, SITES_MAX};
use synod_common::wire::TaskKind;

use super::actions::{Action, Millis, ModelVersion};
use super::aggregator::{Aggregator, Step};
use super::cohort;
use super::machine::Run;
use super::phase::{Committing, FinalEvaluation, Gathering, Member, MemberState, Phase};

impl Run {
    /// Opens a round: chooses the cohort and sends it the model.
    pub(super) fn open(&mut self, round: RoundId, attempt: u32, now: Millis, out: &mut Vec<Action>) -> Phase {
        let available: Vec<ClientId> = self.sites.keys().copied().collect();
        let (size, rules) = (self.plan.round.cohort, &self.plan.round.updates);
        let updates_min = match (rules.count.min, size) {
            (0, 0) => available.len().max(1),
            (0, size) => size as usize,
            (min, _) => min as usize,
        };
        let updates_min = rules.count.max.map_or(updates_min, |max| updates_min.min(max as usize));
        let cohort = cohort::choose(self.plan.seed, round, attempt, &available, size);
        let updates_max = match (rules.on_too_few, size) {
            // More may come while it waits.
            (OnTooFew::Wait { .. }, 0) => SITES_MAX as usize,
            (OnTooFew::Wait { .. }, size) => size as usize,
            (OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Shrink { .. }, _) => cohort.len().max(1),
        };
        let aggregator = match Aggregator::new(&self.plan, round, &self.layout, updates_max, self.known.len()) {
            Ok(aggregator) => aggregator,
            Err(error) => {
                let reason = format!("round {round} cannot begin: {error}");
                return self.finish(now, Outcome::Stopped { reason }, out);
            }
        };
        let (not_before, deadline) = (now.plus(rules.time.min.as_millis()), now.plus(rules.time.max.as_millis()));
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
        let gathering = Gathering {
            round,
            attempt,
            opened: now,
            not_before,
            deadline,
            extended: false,
            enough_at: None,
            updates_min,
            members,
            aggregator,
        };
        self.try_close(Box::new(gathering), now, out)
    }

    /// Closes the round if it is time; otherwise asks to be woken when it will be.
    pub(super) fn try_close(&mut self, gathering: Box<Gathering>, now: Millis, out: &mut Vec<Action>) -> Phase {
        let rules = &self.plan.round.updates;
        let (updates, not_before) = (gathering.updates(), gathering.not_before);
        let enough = updates >= gathering.updates_min;
        let nobody_left = gathering.pending() == 0;
        let graced = gathering.enough_at.map(|at| at.plus(rules.grace.as_millis()).min(gathering.deadline));
        let may_close = if nobody_left || rules.count.is_full(updates) { Some(not_before) } else { graced };
        let may_close = may_close.filter(|_| enough).map(|at| at.max(not_before));
        let hopeless = nobody_left && !enough && !gathering.extended && now >= not_before;
        if may_close.is_some_and(|at| now >= at) {
            self.close(*gathering, now, out)
        } else if hopeless || now >= gathering.deadline {
            self.too_few(gathering, now, out)
        } else {
            let at = may_close.unwrap_or(if nobody_left { not_before } else { gathering.deadline });
            out.push(Action::WakeAt(if at > now { at } else { gathering.deadline }));
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

    /// What the plan says for a round with too few updates.
    pub(super) fn too_few(&mut self, mut gathering: Box<Gathering>, now: Millis, out: &mut Vec<Action>) -> Phase {
        let (round, left_out) = (gathering.round, gathering.left_out(now));
        let (updates, updates_min) = (gathering.updates() as u64, gathering.updates_min as u64);
        match self.plan.round.updates.on_too_few {
            OnTooFew::Retry { times } if gathering.attempt < times && !self.sites.is_empty() => {
                out.push(Action::Publish(RunEvent::RoundRetried { round, updates, updates_min, left_out }));
                let attempt = gathering.attempt + 1;
                drop(gathering);
                return self.open(round, attempt, now, out);
            }
            OnTooFew::Shrink { floor } if updates >= u64::from(floor) => {
                out.push(Action::Publish(RunEvent::RoundShrunk { round, updates, updates_min, left_out }));
                return self.close(*gathering, now, out);
            }
            OnTooFew::Wait { longer } if !gathering.extended => {
                gathering.extended = true;
                gathering.deadline =
                    gathering.opened.plus(self.plan.round.updates.time.max.as_millis()).plus(longer.as_millis());
                let deadline_ms = gathering.deadline.since(now);
                let extended = RunEvent::RoundExtended { round, updates, updates_min, deadline_ms, left_out };
                out.push(Action::Publish(extended));
                let there: Vec<SiteName> = self.sites.values().cloned().collect();
                there.iter().for_each(|site| self.admit(&mut gathering, site, out));
                return self.try_close(gathering, now, out);
            }
            OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Shrink { .. } | OnTooFew::Wait { .. } => {}
        }
        let reason = format!(
            "round {round} has {updates} of the {updates_min} updates it needs ({}); the model of round {} is kept",
            named(&left_out),
            self.model.round
        );
        self.finish(now, Outcome::Stopped { reason }, out)
    }

    /// Takes `site` into a round that waits for more updates, unless it is in it or the cohort is complete.
    pub(super) fn admit(&mut self, gathering: &mut Gathering, site: &SiteName, out: &mut Vec<Action>) {
        let (id, size) = (site.client_id(), self.plan.round.cohort as usize);
        let has_room = size == 0 || gathering.in_play() < size;
        if has_room && !gathering.members.contains_key(&id) {
            gathering.members.insert(id, Member { name: site.clone(), state: MemberState::Working });
            self.send(site, gathering.round, TaskKind::Train, gathering.deadline, out);
        }
    }

    pub(super) fn begin_final_evaluation(&mut self, now: Millis, out: &mut Vec<Action>) -> Phase {
        let until = now.plus(self.plan.round.evaluation.time.max.as_millis());
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
