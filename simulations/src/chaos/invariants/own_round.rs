//! An update counts in its own round and in no other: it names it, and was trained from its model.

use std::collections::BTreeSet;

use synod_common::ids::{Digest, RoundId, SiteName};
use synod_coordinator::journal::Entry;

use super::super::fact::trained;
use super::super::scenario::Scenario;
use super::Invariant;

#[derive(Debug)]
pub(super) struct OwnRound {
    honest: BTreeSet<SiteName>,
    model: Digest,
    open: Option<(RoundId, u32)>,
}

impl OwnRound {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let honest = scenario.sites.iter().filter(|site| site.habit.is_none()).map(|site| site.name.clone()).collect();
        Self { honest, model: Digest([0; 32]), open: None }
    }
}

impl Invariant for OwnRound {
    fn durable(&mut self, entry: &Entry, values: &[f32]) -> Result<(), String> {
        match entry {
            Entry::RunStarted { model, .. } => self.model = *model,
            Entry::RoundOpened(opened) => self.open = Some((opened.round, opened.attempt)),
            Entry::UpdateAccepted(accepted) => {
                let (site, round) = (&accepted.site, accepted.round);
                if self.open != Some((round, accepted.attempt)) || accepted.header.round != round {
                    return Err(format!("the update of {site} for round {round} counts while {:?} is open", self.open));
                }
                if self.honest.contains(site) && trained(site, round, self.model, values.len()) != values {
                    return Err(format!("what counts for {site} in round {round} is not what it trained in it"));
                }
            }
            Entry::RoundCommitted(committed) => (self.model, self.open) = (committed.model, None),
            Entry::RunEnded { .. } => self.open = None,
            Entry::SiteJoined { .. } | Entry::MemberOut { .. } => {}
        }
        Ok(())
    }
}
