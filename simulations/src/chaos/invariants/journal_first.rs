//! Nothing is acknowledged, and no end is said, before the journal has it.

use std::collections::BTreeSet;

use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::{RoundId, SiteName};
use synod_coordinator::journal::Entry;

use super::super::fact::Fact;
use super::Invariant;

#[derive(Debug, Default)]
pub(super) struct JournalFirst {
    /// Of the open attempt, or of the round that was committed last.
    accepted: BTreeSet<(SiteName, RoundId)>,
    ended: Option<Outcome>,
}

impl Invariant for JournalFirst {
    fn begins(&mut self) {
        self.accepted.clear();
        self.ended = None;
    }

    fn durable(&mut self, entry: &Entry, _values: &[f32]) -> Result<(), String> {
        match entry {
            Entry::UpdateAccepted(accepted) => {
                self.accepted.insert((accepted.site.clone(), accepted.header.round));
            }
            Entry::RunEnded { outcome } => self.ended = Some(outcome.clone()),
            Entry::RunStarted { .. }
            | Entry::SiteJoined { .. }
            | Entry::RoundOpened(_)
            | Entry::MemberOut { .. }
            | Entry::RoundCommitted(_) => {}
        }
        Ok(())
    }

    fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        if let Fact::Acknowledged { site, round } = fact
            && !self.accepted.contains(&(site.clone(), *round))
        {
            return Err(format!(
                "the update of {site} for round {round} is acknowledged, and the journal does not have it"
            ));
        }
        if let Fact::Published(event) = fact
            && let RunEvent::RunFinished { outcome: Outcome::Completed, .. } = **event
            && self.ended != Some(Outcome::Completed)
        {
            return Err("the run is said to be complete, and the journal does not say so".to_owned());
        }
        Ok(())
    }
}
