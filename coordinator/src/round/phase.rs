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
    pub(super) aggregator: Aggregator,
}

/// One member of an open round's cohort.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: SiteName,
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

    /// Members whose update may still come.
    pub(super) fn pending(&self) -> usize {
        let may_come =
            |m: &&Member| matches!(m.state, MemberState::Working | MemberState::Away { .. } | MemberState::Writing);
        self.members.values().filter(may_come).count()
    }

    /// Whether updates are on their way to the journal. A round does not close over them: once they are durable they count,
    /// in this life of the coordinator and in the next.
    pub(super) fn is_writing(&self) -> bool {
        self.members.values().any(|m| matches!(m.state, MemberState::Writing))
    }

    /// Updates that count, or will once they are written.
    pub(super) fn taken(&self) -> usize {
        let writing = self.members.values().filter(|m| matches!(m.state, MemberState::Writing)).count();
        self.updates() + writing
    }

    /// Updates that count so far.
    pub(super) fn updates(&self) -> usize {
        self.aggregator.updates()
    }

    /// Whose updates count.
    pub(super) fn took_part(&self) -> Vec<SiteName> {
        let mut names: Vec<_> =
            self.members.values().filter(|m| matches!(m.state, MemberState::Counted)).map(|m| m.name.clone()).collect();
        names.sort();
        names
    }

    /// Who is missing, and why.
    pub(super) fn left_out(&self, now: Millis) -> Vec<LeftOut> {
        let seconds = now.since(self.opened) as f64 / 1000.0;
        let mut all: Vec<_> = self
            .members
            .values()
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
