//! A revoked site gets nothing more.

use std::collections::BTreeSet;

use synod_common::ids::SiteName;

use super::super::fact::Fact;
use super::Invariant;

#[derive(Debug, Default)]
pub(super) struct Revoked {
    sites: BTreeSet<SiteName>,
}

impl Invariant for Revoked {
    fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Revoked { site } => {
                self.sites.insert(site.clone());
                Ok(())
            }
            Fact::Sent { site, what } if self.sites.contains(site) => {
                Err(format!("{site} was revoked and gets {what}"))
            }
            Fact::Acknowledged { site, round } if self.sites.contains(site) => {
                Err(format!("{site} was revoked, and its update for round {round} is acknowledged"))
            }
            _ => Ok(()),
        }
    }
}
