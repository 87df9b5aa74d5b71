//! `[simulation]`: how one data set becomes many sites.

use std::collections::BTreeSet;

use serde::Serialize;

use super::attack::{self, Attack};
use super::partition::Partition;
use super::partition_options;
use super::profile::{Drift, Profile, SiteArrival};
use super::shift::Shift;
use crate::ids::SiteName;
use crate::plan::federation::SITES_MAX;
use crate::plan::reader::Section;

/// How one data set becomes many sites on one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// Number of sites; 0 with the partitions `natural` and `grouped`: as many as the data has.
    pub clients: u32,
    /// Names of the sites in order; empty: `site-0`, `site-1`, … or the names in the data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<SiteName>,
    /// Who owns which sample.
    pub partition: Partition,
    /// How the samples of sites differ beyond who owns which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// Sites that come later or go before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrival: Option<SiteArrival>,
    /// Samples that change while the run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What hostile sites do, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<Attack>,
    /// Machines and lines of the sites; with any of them a run has a virtual clock.
    #[serde(rename = "profile", skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
}

impl Simulation {
    /// The names of the sites in order, where the data does not name them.
    pub fn site_names(&self) -> impl Iterator<Item = SiteName> + '_ {
        let numbered = if self.names.is_empty() { self.clients } else { 0 };
        self.names.iter().cloned().chain((0..numbered).filter_map(numbered_name))
    }

    /// The names of `count` sites: those of the plan, or numbered ones.
    #[must_use]
    pub fn names_of(&self, count: usize) -> Vec<SiteName> {
        if self.names.is_empty() { (0..).take(count).filter_map(numbered_name).collect() } else { self.names.clone() }
    }

    pub(in crate::plan) fn read(mut s: Section<'_, '_>) -> Self {
        let names: Vec<SiteName> = s.or("names", Vec::new());
        let partition = partition_options::read(&mut s);
        let listed = partition.listed_sizes().map(<[u32]>::len);
        let default = u32::try_from(listed.unwrap_or(names.len())).unwrap_or(u32::MAX);
        let clients = s.number("clients", default, 0..=SITES_MAX);
        let natural = partition.takes_owners_of_data();
        if let Some(listed) = listed.filter(|listed| *listed != clients as usize) {
            s.problem("partition", format!("`sizes` lists {listed} sites, there are {clients} clients"), None);
        }
        if clients == 0 && !natural && !s.has("clients") {
            s.problem("", "`clients` is missing: the number of simulated sites", Some("add clients = 10"));
        }
        if !names.is_empty() && !natural && names.len() != clients as usize {
            s.problem("names", format!("there are {} names for {clients} clients", names.len()), None);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            s.problem("names", format!("the name {twice} is used twice"), None);
        }
        let shift = s.section("shift").map(Shift::read);
        let arrival = s.section("arrival").map(SiteArrival::read);
        let drift = s.section("drift").and_then(Drift::read);
        let attack = attack::read(&mut s);
        let profiles = Profile::read_all(&mut s);
        s.finish();
        Self { clients, names, partition, shift, arrival, drift, attack, profiles }
    }
}

fn numbered_name(number: u32) -> Option<SiteName> {
    SiteName::new(&format!("site-{number}")).ok()
}
