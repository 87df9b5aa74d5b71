//! What sites do: arrive, leave, send updates, decline, measure.

use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::{RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::update::Update;
use synod_common::wire::{Answer, TaskKind, shorten};

use super::actions::{Action, Millis, Received};
use super::closing::journal;
use super::machine::Run;
use super::phase::{Gathering, MemberState, Phase};
use super::record::{Pending, Record};
use crate::journal::{Accepted, Entry};

impl Run {
    pub(super) fn on_arrived(
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
        self.returning.remove(&id);
        if self.known.insert(id) {
            journal(Entry::SiteJoined { site: site.clone() }, out);
        }
        out.push(Action::Publish(RunEvent::SiteArrived {
            site: site.clone(),
            samples: Some(samples),
            class_counts: (!class_counts.is_empty()).then_some(class_counts),
        }));
        match phase {
            Phase::Assembling(assembling) => self.try_begin(assembling, now, out),
            Phase::Gathering(mut gathering) => {
                match self.plan.round.asynchronous {
                    // Back again, it takes its turn with the newest model.
                    Some(_) => gathering.loses(id, "it connected again"),
                    None => self.task_again(&mut gathering, site, out),
                }
                self.join(&mut gathering, now, site, out);
                Phase::Gathering(gathering)
            }
            Phase::FinalEvaluation(evaluation) => {
                if evaluation.awaited.contains(&id) {
                    self.send(site, self.model.round, TaskKind::Evaluate, evaluation.until, out);
                }
                Phase::FinalEvaluation(evaluation)
            }
            Phase::Idle | Phase::Committing(_) | Phase::Ending(_) | Phase::Done(_) => phase,
        }
    }

    /// A member that comes back in the same round gets its task again.
    pub(super) fn task_again(&mut self, gathering: &mut Gathering, site: &SiteName, out: &mut Vec<Action>) {
        if let Some(member) = gathering.members.get_mut(&site.client_id())
            && matches!(member.state, MemberState::Away { .. } | MemberState::Working)
        {
            (member.state, member.task) = (MemberState::Working, gathering.round);
            self.send(site, gathering.round, TaskKind::Train, gathering.deadline, out);
        }
    }

    pub(super) fn on_left(
        &mut self,
        phase: Phase,
        now: Millis,
        site: &SiteName,
        reason: &str,
        out: &mut Vec<Action>,
    ) -> Phase {
        let id = site.client_id();
        if self.sites.remove(&id).is_none() {
            return phase;
        }
        out.push(Action::Publish(RunEvent::SiteLeft { site: site.clone(), reason: reason.to_owned() }));
        // The model of an earlier round is not kept, so its task cannot be given again.
        self.carried.remove(&id);
        match phase {
            Phase::Gathering(mut gathering) => {
                if gathering.late.get(&id).is_some_and(|late| matches!(late.state, MemberState::Working)) {
                    gathering.late.remove(&id);
                }
                gathering.loses(id, reason);
                self.join(&mut gathering, now, site, out);
                Phase::Gathering(gathering)
            }
            Phase::FinalEvaluation(mut evaluation) => {
                evaluation.awaited.remove(&id);
                self.try_end(evaluation, now, out)
            }
            Phase::Idle | Phase::Assembling(_) | Phase::Committing(_) | Phase::Ending(_) | Phase::Done(_) => phase,
        }
    }

    /// As leaving, and nothing of it is waited for any more: what it sent and was not accepted yet is dropped.
    pub(super) fn on_expelled(
        &mut self,
        phase: Phase,
        now: Millis,
        site: &SiteName,
        reason: &str,
        out: &mut Vec<Action>,
    ) -> Phase {
        let id = site.client_id();
        self.known.remove(&id);
        self.returning.remove(&id);
        self.held.retain(|(holder, _)| holder != site);
        match self.on_left(phase, now, site, reason, out) {
            Phase::Gathering(mut gathering) => {
                let state = gathering.task_of(id).map(|member| &member.state);
                // An update on its way to the journal counts when it is there: the journal cannot take it back.
                if state.is_some_and(|state| !matches!(state, MemberState::Counted | MemberState::Writing)) {
                    put_out(&mut gathering, now, site, reason, out);
                }
                self.try_close(gathering, now, out)
            }
            other => other,
        }
    }

    pub(super) fn on_update(
        &mut self,
        phase: Phase,
        now: Millis,
        site: SiteName,
        received: Box<Received>,
        out: &mut Vec<Action>,
    ) -> Phase {
        let (id, named) = (site.client_id(), received.update.header.round);
        let Phase::Gathering(mut gathering) = phase else {
            if matches!(phase, Phase::Committing(_)) && self.carried.contains_key(&id) {
                self.held.push((site, received));
                return phase;
            }
            let reason =
                format!("no round is open; the update for round {named} is not counted, nothing is to be done");
            refuse(site, named, &reason, out);
            return phase;
        };
        let (round, attempt, deadline, taken) =
            (gathering.round, gathering.attempt, gathering.deadline, gathering.taken());
        let is_full = match self.plan.round.asynchronous {
            Some(_) => taken >= gathering.updates_min,
            None => self.plan.round.updates.count.is_full(taken),
        };
        let is_member = gathering.members.contains_key(&id);
        let Some(member) = gathering.task_of(id).filter(|member| member.task == named) else {
            if self.acknowledged.get(&id) == Some(&named) && named < round {
                out.push(Action::Answer { site, round: named, answer: Answer::Accepted });
            } else if named < round {
                late(site, named, round, out);
            } else {
                let reason = match is_member {
                    true => format!(
                        "the update answers round {named}, round {round} is open; it is not counted, nothing is to be done"
                    ),
                    false => {
                        format!("the site is not in the cohort of round {round}; it will be asked when it is its turn")
                    }
                };
                refuse(site, named, &reason, out);
            }
            return Phase::Gathering(gathering);
        };
        match &member.state {
            // An update whose acknowledgement was lost is sent again: it counts once, and is acknowledged again.
            MemberState::Counted => {
                out.push(Action::Answer { site, round: named, answer: Answer::Accepted });
                return Phase::Gathering(gathering);
            }
            MemberState::Out { reason } => {
                let reason = format!("the site is out of round {named}: {reason}");
                refuse(site, named, &reason, out);
                return Phase::Gathering(gathering);
            }
            // The same update again, on a new connection: the answer comes when the first is durable.
            MemberState::Writing => return Phase::Gathering(gathering),
            MemberState::Working | MemberState::Away { .. } => {}
        }
        if is_full && self.plan.round.asynchronous.is_some() {
            self.held.push((site, received));
            return Phase::Gathering(gathering);
        }
        let age = round.0.saturating_sub(named.0);
        let checked = self.expected(named, age).check(&received);
        let refused = match checked {
            Ok(_) if self.plan.round.weight_at(age).is_none() => {
                member.state = MemberState::Out { reason: "its update was too old".to_owned() };
                late(site.clone(), named, round, out);
                self.join(&mut gathering, now, &site, out);
                return self.try_close(gathering, now, out);
            }
            Ok(_) if is_full && is_member => format!(
                "round {named} takes {taken} updates and has them; this one came after them and is not counted, nothing is to be done"
            ),
            Ok(passed) => {
                member.state = MemberState::Writing;
                let Update { header, delta, extra } = received.update;
                let accepted = Accepted { round, attempt, site, header, time_left_ms: deadline.since(now) };
                let entry = Entry::UpdateAccepted(Box::new(accepted));
                let pending = Some(Box::new(Pending { passed, delta, extra }));
                out.push(Action::Journal(Box::new(Record { entry, pending })));
                return Phase::Gathering(gathering);
            }
            Err(reason) => reason,
        };
        put_out(&mut gathering, now, &site, &refused, out);
        refuse(site.clone(), named, &refused, out);
        self.join(&mut gathering, now, &site, out);
        self.try_close(gathering, now, out)
    }

    /// Takes the updates that waited for a round to open.
    pub(super) fn take_held(&mut self, mut phase: Phase, now: Millis, out: &mut Vec<Action>) -> Phase {
        if !matches!(phase, Phase::Committing(_)) {
            for (site, received) in std::mem::take(&mut self.held) {
                phase = self.on_update(phase, now, site, received, out);
            }
        }
        phase
    }

    /// A record is durable: an update counts and is acknowledged, the end of the run is said.
    pub(super) fn on_journalled(&mut self, phase: Phase, now: Millis, record: Record, out: &mut Vec<Action>) -> Phase {
        match (phase, record.entry, record.pending) {
            (Phase::Gathering(gathering), Entry::UpdateAccepted(accepted), Some(pending))
                if gathering.round == accepted.round && gathering.attempt == accepted.attempt =>
            {
                self.count(gathering, now, *accepted, *pending, out)
            }
            (Phase::Ending(outcome), Entry::RunEnded { .. }, _) => self.conclude(now, outcome, out),
            (phase, _, _) => phase,
        }
    }

    /// Nothing more can be made durable, so nothing more is promised: the run ends with what is.
    pub(super) fn on_journal_failed(
        &mut self,
        phase: Phase,
        now: Millis,
        record: Record,
        reason: &str,
        out: &mut Vec<Action>,
    ) -> Phase {
        let reason = format!("the journal cannot be written: {reason}");
        if let Entry::UpdateAccepted(accepted) = record.entry {
            refuse(
                accepted.site,
                accepted.header.round,
                &format!("the update was not saved and does not count: {reason}"),
                out,
            );
        }
        match phase {
            Phase::Done(_) => phase,
            // The model is there, and what was done is known; when the coordinator is started again it finds this once more.
            Phase::Ending(outcome) => self.conclude(now, outcome, out),
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::FinalEvaluation(_) => {
                let reason = format!(
                    "{reason}; the model of round {} and the updates that were acknowledged are kept",
                    self.model.round
                );
                self.conclude(now, Outcome::Stopped { reason }, out)
            }
        }
    }

    /// An update is durable.
    fn count(
        &mut self,
        mut gathering: Box<Gathering>,
        now: Millis,
        accepted: Accepted,
        pending: Pending,
        out: &mut Vec<Action>,
    ) -> Phase {
        let (Accepted { round, site, header, .. }, Pending { passed, delta, extra }) = (accepted, pending);
        let id = site.client_id();
        let extra = extra.zip(passed.extra);
        let counted = gathering.aggregator.push(id, passed.contribution, delta, passed.screened, extra);
        if counted.is_ok()
            && let Some(member) = gathering.task_of(id)
        {
            member.state = MemberState::Counted;
            gathering.counted.insert(site.clone());
            if self.plan.round.takes_old() {
                self.acknowledged.insert(id, header.round);
            }
        }
        if let Err(error) = counted {
            put_out(&mut gathering, now, &site, &error.to_string(), out);
            refuse(site, header.round, &error.to_string(), out);
            return self.try_close(gathering, now, out);
        }
        out.push(Action::Answer { site: site.clone(), round: header.round, answer: Answer::Accepted });
        let age = passed.contribution.age;
        if age > 0 {
            let weight = self.plan.round.weight_at(age);
            out.push(Action::Publish(RunEvent::UpdateLate {
                round: header.round,
                site: site.clone(),
                rounds_late: age,
                weight,
            }));
        }
        out.push(Action::Publish(RunEvent::UpdateAccepted {
            round,
            site: site.clone(),
            samples: u64::from(passed.contribution.samples.get()),
            norm: passed.screened.norm(),
            bytes_down: self.bytes_of(self.extras.train),
            bytes_up: self.bytes_of(self.extras.update),
            train_ms: header.train_ms,
            train: header.train,
            before: header.before,
            after: header.after,
        }));
        if gathering.enough_at.is_none() && gathering.updates() >= gathering.updates_min {
            gathering.enough_at = Some(now);
        }
        self.join(&mut gathering, now, &site, out);
        self.try_close(gathering, now, out)
    }

    pub(super) fn on_declined(
        &mut self,
        phase: Phase,
        now: Millis,
        site: &SiteName,
        round: RoundId,
        reason: &str,
        out: &mut Vec<Action>,
    ) -> Phase {
        let id = site.client_id();
        out.push(Action::Publish(RunEvent::UpdateRefused { round, site: site.clone(), reason: reason.to_owned() }));
        match phase {
            Phase::Gathering(mut gathering) if gathering.has_task(id, round) => {
                let state = gathering.task_of(id).map(|member| &member.state);
                if state.is_some_and(|state| !matches!(state, MemberState::Counted | MemberState::Writing)) {
                    put_out(&mut gathering, now, site, &format!("declined: {reason}"), out);
                }
                self.join(&mut gathering, now, site, out);
                self.try_close(gathering, now, out)
            }
            Phase::FinalEvaluation(mut evaluation) => {
                evaluation.awaited.remove(&id);
                self.try_end(evaluation, now, out)
            }
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::Ending(_)
            | Phase::Done(_) => phase,
        }
    }

    pub(super) fn on_evaluated(
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
            | Phase::Ending(_)
            | Phase::Done(_) => phase,
        }
    }
}

/// A member will send nothing more that counts in this round.
fn put_out(gathering: &mut Gathering, now: Millis, site: &SiteName, reason: &str, out: &mut Vec<Action>) {
    let (id, reason) = (site.client_id(), shorten(reason));
    let (round, attempt, time_left_ms) = (gathering.round, gathering.attempt, gathering.deadline.since(now));
    let Some(member) = gathering.task_of(id) else { return };
    member.state = MemberState::Out { reason: reason.clone() };
    if !gathering.members.contains_key(&id) {
        return;
    }
    journal(Entry::MemberOut { round, attempt, site: site.clone(), reason, time_left_ms }, out);
}

/// An update that came too late to count.
fn late(site: SiteName, named: RoundId, open: RoundId, out: &mut Vec<Action>) {
    let rounds_late = open.0.saturating_sub(named.0);
    let reason = shorten(&format!(
        "the update answers round {named}, which closed; round {open} is open, the update came too late and is not counted, nothing is to be done"
    ));
    out.push(Action::Answer { site: site.clone(), round: named, answer: Answer::Refused { reason } });
    out.push(Action::Publish(RunEvent::UpdateLate { round: named, site, rounds_late, weight: None }));
}

fn refuse(site: SiteName, round: RoundId, reason: &str, out: &mut Vec<Action>) {
    let reason = shorten(reason);
    out.push(Action::Answer { site: site.clone(), round, answer: Answer::Refused { reason: reason.clone() } });
    out.push(Action::Publish(RunEvent::UpdateRefused { round, site, reason }));
}
