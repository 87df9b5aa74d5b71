//! An update counts at most once.

use std::collections::BTreeSet;

use synod_common::blocks::values_digest;
use synod_common::event::RunEvent;
use synod_common::ids::{Digest, SiteName};
use synod_coordinator::journal::Entry;

use super::super::fact::Fact;
use super::Invariant;

#[derive(Debug, Default)]
pub(super) struct CountsOnce {
    /// In the open attempt.
    sites: BTreeSet<SiteName>,
    /// The same values are the same update, whoever they are said to be of.
    updates: BTreeSet<Digest>,
    /// As the run's listeners were told.
    told: BTreeSet<SiteName>,
}

impl Invariant for CountsOnce {
    fn begins(&mut self) {
        self.sites.clear();
        self.updates.clear();
    }

    fn durable(&mut self, entry: &Entry, values: &[f32]) -> Result<(), String> {
        match entry {
            Entry::UpdateAccepted(accepted) => {
                if !self.sites.insert(accepted.site.clone()) || !self.updates.insert(values_digest(values)) {
                    return Err(format!("an update of {} counts twice in round {}", accepted.site, accepted.round));
                }
            }
            Entry::RoundCommitted(committed) => {
                let different: BTreeSet<_> = committed.took_part.iter().collect();
                if different.len() != committed.took_part.len() {
                    return Err(format!("a site took part twice in round {}", committed.round));
                }
            }
            Entry::RunStarted { .. }
            | Entry::SiteJoined { .. }
            | Entry::RoundOpened(_)
            | Entry::MemberOut { .. }
            | Entry::RunEnded { .. } => {}
        }
        Ok(())
    }

    fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        let Fact::Published(event) = fact else { return Ok(()) };
        if let RunEvent::RoundStarted { .. } = **event {
            self.told.clear();
        }
        if let RunEvent::UpdateAccepted { round, site, .. } = &**event
            && !self.told.insert(site.clone())
        {
            return Err(format!("the update of {site} was counted twice in round {round}"));
        }
        Ok(())
    }
}
