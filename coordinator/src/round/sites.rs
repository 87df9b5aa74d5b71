//! What sites do: arrive, leave, send updates, decline, measure.

use synod_common::event::RunEvent;
use synod_common::ids::{RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::update::Update;
use synod_common::wire::{Answer, TaskKind, shorten};

use super::actions::{Action, Millis, Received};
use super::machine::Run;
use super::phase::{Gathering, MemberState, Phase};
use super::screening::{Expected, Passed};

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
        self.known.insert(id);
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

    pub(super) fn on_left(
        &mut self,
        phase: Phase,
        now: Millis,
        site: SiteName,
        reason: String,
        out: &mut Vec<Action>,
    ) -> Phase {
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

    pub(super) fn on_update(
        &mut self,
        phase: Phase,
        now: Millis,
        site: SiteName,
        received: Box<Received>,
        out: &mut Vec<Action>,
    ) -> Phase {
        self.bytes_up = self.bytes_up.saturating_add(self.bytes_of(self.extras.update));
        let named = received.update.header.round;
        let Phase::Gathering(mut gathering) = phase else {
            let reason =
                format!("no round is open; the update for round {named} is not counted, nothing is to be done");
            refuse(site, named, &reason, out);
            return phase;
        };
        let expected = Expected {
            round: gathering.round,
            plan: &self.plan,
            plan_digest: self.plan_digest,
            layout: &self.layout,
            layout_digest: self.layout_digest,
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

    pub(super) fn count(
        &mut self,
        mut gathering: Box<Gathering>,
        now: Millis,
        site: SiteName,
        passed: Passed,
        update: Update,
        out: &mut Vec<Action>,
    ) -> Phase {
        let Update { header, delta, extra } = update;
        let id = site.client_id();
        let extra = extra.zip(passed.extra);
        let counted = gathering.aggregator.push(id, passed.contribution, delta, passed.screened, extra);
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
        self.try_close(gathering, now, out)
    }

    pub(super) fn on_declined(
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
            | Phase::Done(_) => phase,
        }
    }
}

fn refuse(site: SiteName, round: RoundId, reason: &str, out: &mut Vec<Action>) {
    let reason = shorten(reason);
    out.push(Action::Answer { site: site.clone(), round, answer: Answer::Refused { reason: reason.clone() } });
    out.push(Action::Publish(RunEvent::UpdateRefused { round, site, reason }));
}
