//! One struct per phase, holding only what exists in that phase.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_common::event::{LeftOut, Outcome};
use synod_common::ids::{ClientId, RoundId, SiteName};
use synod_common::state::State;

use super::actions::{Millis, ModelVersion};
use super::aggregator::Aggregator;

/// Where the run is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not begun.
    Idle,
    /// Waiting for enough sites.
    Assembling(Assembling),
    /// A round is open.
    Gathering(Box<Gathering>),
    /// The next model is made and waits to be durable.
    Committing(Committing),
    /// Sites measure the final model.
    FinalEvaluation(FinalEvaluation),
    /// How the run ended is being written.
    Ending(Outcome),
    /// Over.
    Done(Outcome),
}

#[derive(Debug)]
pub(super) struct Assembling {
    pub(super) not_before: Millis,
    pub(super) until: Millis,
}

/// An open round.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) round: RoundId,
    pub(super) attempt: u32,
    pub(super) opened: Millis,
    /// It does not close before.
    pub(super) not_before: Millis,
    pub(super) deadline: Millis,
    /// Whether it stays open because it has too few updates: sites that come now take part.
    pub(super) extended: bool,
    /// When the round had enough updates.
    pub(super) enough_at: Option<Millis>,
    pub(super) updates_min: usize,
    pub(super) members: BTreeMap<ClientId, Member>,
    /// Sites that still work on an earlier round, where late updates count.
    pub(super) late: BTreeMap<ClientId, Member>,
    /// Whose updates count.
    pub(super) counted: BTreeSet<SiteName>,
    pub(super) aggregator: Aggregator,
}

/// One member of an open round's cohort.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: SiteName,
    /// The round of its task.
    pub(super) task: RoundId,
    pub(super) state: MemberState,
}

#[derive(Debug)]
pub(super) enum MemberState {
    /// It has the task.
    Working,
    /// Its connection ended; it may come back.
    Away { reason: String },
    /// It will send nothing that counts in this round.
    Out { reason: String },
    /// Its update passed and is being written; it counts once it is durable.
    Writing,
    /// Its update counts.
    Counted,
}

impl Gathering {
    /// Members that are not out.
    pub(super) fn in_play(&self) -> usize {
        self.members.values().filter(|m| !matches!(m.state, MemberState::Out { .. })).count()
    }

    /// A member's connection is gone.
    pub(super) fn loses(&mut self, id: ClientId, reason: &str) {
        if let Some(member) = self.members.get_mut(&id)
            && matches!(member.state, MemberState::Working)
        {
            member.state = MemberState::Away { reason: reason.to_owned() };
        }
    }

    /// Who has a task and may still answer it.
    pub(super) fn awaited(&self) -> Vec<SiteName> {
        let may_answer = |m: &&Member| matches!(m.state, MemberState::Working | MemberState::Away { .. });
        self.members.values().chain(self.late.values()).filter(may_answer).map(|m| m.name.clone()).collect()
    }

    /// Members whose update may still come.
    pub(super) fn pending(&self) -> usize {
        let may_come =
            |m: &&Member| matches!(m.state, MemberState::Working | MemberState::Away { .. } | MemberState::Writing);
        self.members.values().filter(may_come).count()
    }

    /// Whether updates are on their way to the journal. A round does not close over them: once they are durable they count,
    /// in this life of the coordinator and in the next.
    pub(super) fn is_writing(&self) -> bool {
        self.members.values().chain(self.late.values()).any(|m| matches!(m.state, MemberState::Writing))
    }

    /// Whether a site has a task of this round.
    pub(super) fn has_task(&self, id: ClientId, task: RoundId) -> bool {
        self.members.get(&id).or_else(|| self.late.get(&id)).is_some_and(|m| m.task == task)
    }

    /// The task that a site has: of this round, or of an earlier one.
    pub(super) fn task_of(&mut self, id: ClientId) -> Option<&mut Member> {
        self.members.get_mut(&id).or_else(|| self.late.get_mut(&id))
    }

    /// Updates that count, or will once they are written.
    pub(super) fn taken(&self) -> usize {
        let writing = self.members.values().filter(|m| matches!(m.state, MemberState::Writing)).count();
        self.updates() + writing
    }

    /// Updates that count so far, without those that are folded into this round.
    pub(super) fn updates(&self) -> usize {
        let folded = self.late.values().filter(|m| matches!(m.state, MemberState::Counted)).count();
        self.aggregator.updates() - folded
    }

    /// Whose updates count.
    pub(super) fn took_part(&self) -> Vec<SiteName> {
        self.counted.iter().cloned().collect()
    }

    /// Who is missing, and why.
    pub(super) fn left_out(&self, now: Millis) -> Vec<LeftOut> {
        let seconds = now.since(self.opened) as f64 / 1000.0;
        let mut all: Vec<_> = self
            .members
            .values()
            .filter(|m| !self.counted.contains(&m.name))
            .filter_map(|m| {
                let reason = match &m.state {
                    MemberState::Working | MemberState::Writing => format!("no update after {seconds:.1} s"),
                    MemberState::Away { reason } => format!("not connected: {reason}"),
                    MemberState::Out { reason } => reason.clone(),
                    MemberState::Counted => return None,
                };
                Some(LeftOut { site: m.name.clone(), reason })
            })
            .collect();
        all.sort_by(|a, b| a.site.cmp(&b.site));
        all
    }
}

/// A model that waits to be durable.
#[derive(Debug)]
pub(super) struct Committing {
    pub(super) model: Arc<ModelVersion>,
    pub(super) state: Arc<State>,
    pub(super) took_part: Vec<SiteName>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) step_norm: f64,
    pub(super) opened: Millis,
}

/// Sites measure the final model, and the central evaluation may still run.
#[derive(Debug)]
pub(super) struct FinalEvaluation {
    pub(super) awaited: BTreeSet<ClientId>,
    pub(super) until: Millis,
}
