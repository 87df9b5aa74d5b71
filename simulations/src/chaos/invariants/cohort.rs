//! Only members of the cohort count.

use std::collections::BTreeSet;

use synod_common::ids::SiteName;
use synod_coordinator::journal::Entry;

use super::super::scenario::Scenario;
use super::Invariant;

#[derive(Debug)]
pub(super) struct Cohort {
    size: usize,
    members: BTreeSet<SiteName>,
    /// A round that waits takes others in for them.
    out: BTreeSet<SiteName>,
}

impl Cohort {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { size: scenario.plan.round.cohort as usize, members: BTreeSet::new(), out: BTreeSet::new() }
    }
}

impl Invariant for Cohort {
    fn begins(&mut self) {
        self.out.clear();
    }

    fn durable(&mut self, entry: &Entry, _values: &[f32]) -> Result<(), String> {
        match entry {
            Entry::RoundOpened(opened) => {
                self.members = opened.cohort.iter().cloned().collect();
                let in_play = self.members.difference(&self.out).count();
                if self.size > 0 && in_play > self.size {
                    return Err(format!("round {} has {in_play} members, not {}", opened.round, self.size));
                }
            }
            Entry::MemberOut { site, .. } => {
                self.out.insert(site.clone());
            }
            Entry::UpdateAccepted(accepted) if !self.members.contains(&accepted.site) => {
                return Err(format!("{} counts and is not in the cohort of round {}", accepted.site, accepted.round));
            }
            Entry::RoundCommitted(committed) => {
                if let Some(stranger) = committed.took_part.iter().find(|site| !self.members.contains(site)) {
                    return Err(format!("{stranger} is not in the cohort of round {} and took part", committed.round));
                }
            }
            Entry::RunStarted { .. } | Entry::SiteJoined { .. } | Entry::UpdateAccepted(_) | Entry::RunEnded { .. } => {
            }
        }
        Ok(())
    }
}
