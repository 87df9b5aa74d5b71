//! How rounds open and close, and how the run ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_common::event::{LeftOut, Outcome, RunEvent};
use synod_common::ids::{ClientId, RoundId, SiteName};
use synod_common::plan::{Async, OnTooFew, SITES_MAX};
use synod_common::wire::TaskKind;

use super::actions::{Action, Millis, ModelVersion};
use super::aggregator::{Aggregator, Step};
use super::cohort;
use super::machine::Run;
use super::phase::{Committing, FinalEvaluation, Gathering, Member, MemberState, Phase};
use crate::journal::{Committed, Entry, Opened};

impl Run {
    /// Opens a round: chooses the cohort and sends it the model. Those who have not come back yet get it when they come.
    pub(super) fn open(&mut self, round: RoundId, attempt: u32, now: Millis, out: &mut Vec<Action>) -> Phase {
        let present = self.present(now);
        let carried = std::mem::take(&mut self.carried);
        let available: Vec<ClientId> = present.keys().filter(|id| !carried.contains_key(id)).copied().collect();
        let (size, rules) = (self.plan.round.cohort, &self.plan.round.updates);
        let updates_min = match (rules.count.min, size) {
            (0, 0) => available.len().max(1),
            (0, size) => size as usize,
            (min, _) => min as usize,
        };
        let updates_min = rules.count.max.map_or(updates_min, |max| updates_min.min(max as usize));
        let (updates_min, size) = match self.plan.round.asynchronous {
            Some(Async { buffer, concurrency, .. }) => {
                let free = (concurrency as usize).saturating_sub(carried.len());
                (buffer as usize, if concurrency == 0 { available.len() } else { free })
            }
            None if size == 0 => (updates_min, available.len()),
            None => (updates_min, size as usize),
        };
        let cohort = cohort::choose(self.plan.seed, round, attempt, &available, size);
        let updates_max = self.updates_max(cohort.len());
        let aggregator = match Aggregator::new(&self.plan, round, &self.layout, updates_max, self.known.len()) {
            Ok(aggregator) => aggregator,
            Err(error) => {
                let reason = format!("round {round} cannot begin: {error}");
                return self.finish(Outcome::Stopped { reason }, out);
            }
        };
        let (not_before, deadline) = (now.plus(rules.time.min.as_millis()), now.plus(rules.time.max.as_millis()));
        let state = |id| match self.sites.contains_key(id) {
            true => MemberState::Working,
            false => {
                MemberState::Away { reason: "it has not come back since the coordinator was started again".into() }
            }
        };
        let mut members: BTreeMap<ClientId, Member> = cohort
            .iter()
            .filter_map(|id| Some((*id, Member { name: present.get(id)?.clone(), task: round, state: state(id) })))
            .collect();
        let late = match self.plan.round.asynchronous {
            Some(_) => {
                members.extend(carried);
                BTreeMap::new()
            }
            None => carried,
        };
        let gathering = Box::new(Gathering {
            round,
            attempt,
            opened: now,
            not_before,
            deadline,
            extended: false,
            enough_at: None,
            updates_min,
            members,
            late,
            counted: BTreeSet::new(),
            aggregator,
        });
        let entry = self.opened(&gathering, now);
        let cohort = entry.cohort.clone();
        journal(Entry::RoundOpened(entry), out);
        let (model, deadline_ms) = (self.model.digest, deadline.since(now));
        out.push(Action::Publish(RunEvent::RoundStarted { round, cohort, model, deadline_ms }));
        out.push(Action::WakeAt(deadline));
        let is_new = |m: &&Member| m.task == round && matches!(m.state, MemberState::Working);
        for member in gathering.members.values().filter(is_new) {
            self.send(&member.name, round, TaskKind::Train, deadline, out);
        }
        self.try_close(gathering, now, out)
    }

    /// What the journal says of an open round.
    fn opened(&self, gathering: &Gathering, now: Millis) -> Opened {
        let mut cohort: Vec<SiteName> = gathering.members.values().map(|m| m.name.clone()).collect();
        cohort.sort();
        Opened {
            round: gathering.round,
            attempt: gathering.attempt,
            cohort,
            updates_min: gathering.updates_min as u64,
            sites: self.known.len() as u64,
            time_left_ms: gathering.deadline.since(now),
            extended: gathering.extended,
        }
    }

    /// Most updates that a round opened for `cohort` members may get.
    pub(super) fn updates_max(&self, cohort: usize) -> usize {
        match (self.plan.round.updates.on_too_few, self.plan.round.cohort) {
            _ if self.plan.round.takes_old() => SITES_MAX as usize,
            // More members may come while it waits.
            (OnTooFew::Wait { .. }, 0) => SITES_MAX as usize,
            (OnTooFew::Wait { .. }, size) => size as usize,
            (OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Shrink { .. }, _) => cohort.max(1),
        }
    }

    /// Closes the round if it is time; otherwise asks to be woken when it will be.
    pub(super) fn try_close(&mut self, gathering: Box<Gathering>, now: Millis, out: &mut Vec<Action>) -> Phase {
        let rules = &self.plan.round.updates;
        let (updates, not_before) = (gathering.updates(), gathering.not_before);
        let enough = updates >= gathering.updates_min;
        let nobody_left = gathering.pending() == 0;
        let is_due = now >= gathering.deadline || enough;
        if gathering.is_writing() && is_due {
            return Phase::Gathering(gathering);
        }
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
    pub(super) fn close(&mut self, mut gathering: Gathering, now: Millis, out: &mut Vec<Action>) -> Phase {
        let (took_part, mut left_out) = (gathering.took_part(), gathering.left_out(now));
        self.carried = self.carry(&mut gathering);
        if self.plan.round.asynchronous.is_some() {
            // Who works on is not left out.
            left_out.retain(|l| !self.carried.contains_key(&l.site.client_id()));
        }
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
                    present: self.present(now).into_values().collect(),
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

    /// What the plan says for a round with too few updates.
    pub(super) fn too_few(&mut self, mut gathering: Box<Gathering>, now: Millis, out: &mut Vec<Action>) -> Phase {
        let (round, left_out) = (gathering.round, gathering.left_out(now));
        let (updates, updates_min) = (gathering.updates() as u64, gathering.updates_min as u64);
        match self.plan.round.updates.on_too_few {
            OnTooFew::Retry { times } if gathering.attempt < times && !self.present(now).is_empty() => {
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
                for site in self.sites.clone().values() {
                    self.join(&mut gathering, now, site, out);
                }
                journal(Entry::RoundOpened(self.opened(&gathering, now)), out);
                return self.try_close(gathering, now, out);
            }
            OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Shrink { .. } | OnTooFew::Wait { .. } => {}
        }
        let reason = format!(
            "round {round} has {updates} of the {updates_min} updates it needs ({}); the model of round {} is kept",
            named(&left_out),
            self.model.round
        );
        self.finish(Outcome::Stopped { reason }, out)
    }

    /// A site is free while a round is open: in asynchronous rounds it may train from the newest model, and a round that
    /// waits for more updates takes it in.
    pub(super) fn join(&mut self, gathering: &mut Gathering, now: Millis, site: &SiteName, out: &mut Vec<Action>) {
        let members = gathering.members.len();
        match self.plan.round.asynchronous {
            Some(_) => self.dispatch(gathering, out),
            None if gathering.extended && self.sites.contains_key(&site.client_id()) => {
                self.admit(gathering, site, out);
            }
            None => {}
        }
        if gathering.members.len() > members {
            journal(Entry::RoundOpened(self.opened(gathering, now)), out);
        }
    }

    /// Gives the newest model to sites that are free and have not trained from it, as many as may train at once.
    fn dispatch(&mut self, gathering: &mut Gathering, out: &mut Vec<Action>) {
        let Some(Async { concurrency, .. }) = self.plan.round.asynchronous else { return };
        let (round, deadline) = (gathering.round, gathering.deadline);
        let is_free = |m: &Member| match m.state {
            MemberState::Counted | MemberState::Out { .. } => m.task < round,
            MemberState::Away { .. } => true,
            MemberState::Working | MemberState::Writing => false,
        };
        let free: Vec<ClientId> =
            self.sites.keys().filter(|id| gathering.members.get(id).is_none_or(is_free)).copied().collect();
        let working = gathering.members.values().filter(|m| matches!(m.state, MemberState::Working)).count();
        let room = if concurrency == 0 { free.len() } else { (concurrency as usize).saturating_sub(working) };
        let chosen = cohort::choose(self.plan.seed, round, gathering.attempt, &free, room.min(free.len()));
        for id in &chosen {
            let Some(site) = self.sites.get(id).cloned() else { continue };
            self.send(&site, round, TaskKind::Train, deadline, out);
            gathering.members.insert(*id, Member { name: site, task: round, state: MemberState::Working });
        }
    }

    /// Takes `site` into a round that waits for more updates, unless it has a task or the cohort is complete.
    fn admit(&mut self, gathering: &mut Gathering, site: &SiteName, out: &mut Vec<Action>) {
        let (id, size) = (site.client_id(), self.plan.round.cohort as usize);
        let has_room = size == 0 || gathering.in_play() < size;
        if has_room && gathering.task_of(id).is_none() {
            let member = Member { name: site.clone(), task: gathering.round, state: MemberState::Working };
            gathering.members.insert(id, member);
            self.send(site, gathering.round, TaskKind::Train, gathering.deadline, out);
        }
    }

    /// Sites that work on when `gathering` closes, where their updates count later.
    fn carry(&self, gathering: &mut Gathering) -> BTreeMap<ClientId, Member> {
        if !self.plan.round.takes_old() {
            return BTreeMap::new();
        }
        let next = gathering.round.next();
        let mut all = std::mem::take(&mut gathering.members);
        all.append(&mut gathering.late);
        all.retain(|_, m| {
            matches!(m.state, MemberState::Working) && self.plan.round.weight_at(next.0 - m.task.0).is_some()
        });
        all
    }

    pub(super) fn begin_final_evaluation(&mut self, now: Millis, out: &mut Vec<Action>) -> Phase {
        let has_holdout = self.plan.data.holdout > 0.0 || self.plan.data.has_own_test();
        let awaited: BTreeSet<_> = if has_holdout { self.present(now).into_keys().collect() } else { BTreeSet::new() };
        let until = now.plus(self.plan.round.evaluation.time.max.as_millis());
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
