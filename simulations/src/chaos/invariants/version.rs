//! The model's version grows by one with each committed round, and what listeners are told of it is so.

use synod_common::blocks::Layout;
use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::{Digest, RoundId};
use synod_coordinator::journal::Entry;

use super::super::fact::Fact;
use super::super::scenario::Scenario;
use super::Invariant;

#[derive(Debug)]
pub(super) struct Version {
    layout: Layout,
    /// Committed.
    last: (RoundId, Digest),
    told: RoundId,
}

impl Version {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let first = scenario.layout.model_digest(&scenario.initial);
        Self { layout: scenario.layout.clone(), last: (RoundId(0), first), told: RoundId(0) }
    }
}

impl Invariant for Version {
    fn durable(&mut self, entry: &Entry, values: &[f32]) -> Result<(), String> {
        let (last, model) = self.last;
        match entry {
            Entry::RunStarted { model: first, .. } if *first != model => {
                Err("the run begins with another model than its plan gives".to_owned())
            }
            Entry::RoundOpened(opened) if opened.round != last.next() => {
                Err(format!("round {} opens after round {last}", opened.round))
            }
            Entry::RoundCommitted(committed) if committed.round != last.next() => {
                Err(format!("round {} is committed after round {last}", committed.round))
            }
            Entry::RoundCommitted(committed) if self.layout.model_digest(values) != committed.model => {
                Err(format!("the model of round {} does not have its hash", committed.round))
            }
            Entry::RoundCommitted(committed) => {
                self.last = (committed.round, committed.model);
                Ok(())
            }
            Entry::RunStarted { .. }
            | Entry::SiteJoined { .. }
            | Entry::RoundOpened(_)
            | Entry::UpdateAccepted(_)
            | Entry::MemberOut { .. }
            | Entry::RunEnded { .. } => Ok(()),
        }
    }

    fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        let Fact::Published(event) = fact else { return Ok(()) };
        if let RunEvent::RoundCommitted { round, model, .. } = &**event {
            if (*round, *model) != self.last || *round <= self.told {
                return Err(format!("listeners hear of round {round}, durable is round {}", self.last.0));
            }
            self.told = *round;
        }
        // One that is interrupted may not have heard yet that the next is durable.
        if let RunEvent::RunResumed { model, .. } | RunEvent::RunFinished { outcome: Outcome::Completed, model, .. } =
            &**event
            && *model != self.last.1
        {
            return Err(format!("listeners hear of a model that is not that of round {}", self.last.0));
        }
        Ok(())
    }
}
