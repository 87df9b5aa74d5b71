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
        if let Fact::Revoked { site } = fact {
            self.sites.insert(site.clone());
        }
        if let Fact::Sent { site, what } = fact
            && self.sites.contains(site)
        {
            return Err(format!("{site} was revoked and gets {what}"));
        }
        Ok(())
    }
}
