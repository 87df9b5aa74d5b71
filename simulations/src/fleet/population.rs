//! The sites of a simulation: who they are and which samples are theirs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use synod_client::data::{DataError, Dataset, Loaded, Normaliser, Rows, Share, SiteData, Targets};
use synod_common::ids::{ClientId, SiteName};
use synod_common::plan::{Fit, Normalise, Partition, Plan, Strategy, Task};
use synod_common::random::{Purpose, run_stream};

use super::error::FleetError;
use super::hostile::Hostile;
use crate::partition::partition;

/// The sites of a simulation over one shared data set.
pub struct Population {
    plan: Arc<Plan>,
    dataset: Arc<Dataset>,
    sites: Vec<Site>,
    by_client: HashMap<ClientId, usize>,
    pooled: Option<Arc<Normaliser>>,
    test: Option<Share>,
    hostile: Hostile,
}

struct Site {
    name: SiteName,
    rows: Vec<u32>,
    own_test: Option<Rows>,
    data: OnceLock<Arc<SiteData>>,
}

impl Population {
    /// Splits `loaded` into the sites of the plan's `[simulation]` section.
    ///
    /// # Errors
    /// Without that section, or when the data cannot be split as it says.
    pub fn new(plan: &Arc<Plan>, loaded: &Loaded) -> Result<Self, FleetError> {
        let simulation = plan.simulation.as_ref().ok_or(FleetError::NoSimulation)?;
        let dataset = Arc::clone(&loaded.train);
        let natural = simulation.partition == Partition::Natural;
        let owners = dataset.owners().filter(|_| natural);
        let found = owners.map_or(simulation.clients as usize, |o| o.names().len());
        if natural && simulation.clients != 0 && simulation.clients as usize != found {
            return Err(FleetError::Natural { found, expected: simulation.clients as usize });
        }
        let names: Vec<SiteName> = if !simulation.names.is_empty() {
            simulation.names.clone()
        } else if let Some(owners) = owners {
            owners.names().to_vec()
        } else {
            simulation.site_names().collect()
        };
        if names.len() != found {
            return Err(FleetError::Natural { found, expected: names.len() });
        }
        let mut rng = run_stream(plan.seed, Purpose::Partition);
        let owner_of = owners.map(synod_client::data::Owners::of).or(loaded.assignment.as_deref());
        let (groups, count) = groups(&dataset, &plan.task);
        let parts = partition(&simulation.partition, found, &groups, count, owner_of, &mut rng)?;
        let tests = own_tests(loaded, natural);
        let sites = names.into_iter().zip(parts).enumerate();
        let sites = sites.map(|(i, (name, rows))| (name, rows, tests.get(i).cloned())).collect();
        let mut population = Self::of(Arc::clone(plan), dataset, loaded.test.clone(), sites)?;
        if let Some(attack) = &simulation.attack {
            // A root that attacks would make no sense of FLTrust.
            let trusted = match &plan.aggregate.strategy {
                Strategy::Fltrust { root } => population.by_client.get(&root.client_id()).copied(),
                _ => None,
            };
            population.hostile = Hostile::draw(attack, population.len(), trusted, plan.seed);
        }
        Ok(population)
    }

    /// The sites that attack.
    #[must_use]
    pub fn hostile(&self) -> &Hostile {
        &self.hostile
    }

    /// A population of one site that has every sample of this one, for the pooled reference.
    ///
    /// # Errors
    /// When a normalisation cannot be fitted.
    pub fn pooled(&self, plan: Arc<Plan>) -> Result<Self, FleetError> {
        let mut rows: Vec<u32> = self.sites.iter().flat_map(|s| s.rows.iter().copied()).collect();
        rows.sort_unstable();
        let name = SiteName::from_text("pooled").ok_or(FleetError::NoSimulation)?;
        Self::of(plan, Arc::clone(&self.dataset), self.test_set(), vec![(name, rows, None)])
    }

    /// A population of the one site `index` of this one, for the local-only reference. It is measured on the same
    /// central test set.
    ///
    /// # Errors
    /// When there is no such site or a normalisation cannot be fitted.
    pub fn alone(&self, plan: Arc<Plan>, index: usize) -> Result<Self, FleetError> {
        let site = self.sites.get(index).ok_or(FleetError::NoSimulation)?;
        let own = (site.name.clone(), site.rows.clone(), site.own_test.clone());
        Self::of(plan, Arc::clone(&self.dataset), self.test_set(), vec![own])
    }

    fn of(
        plan: Arc<Plan>,
        dataset: Arc<Dataset>,
        test: Option<Arc<Dataset>>,
        sites: Vec<(SiteName, Vec<u32>, Option<Rows>)>,
    ) -> Result<Self, FleetError> {
        let mut all: Vec<u32> = sites.iter().flat_map(|s| s.1.iter().copied()).collect();
        all.sort_unstable();
        // The central test set belongs to nobody: it is seen through the normalisation of all sites' samples.
        let central = Arc::new(Normaliser::fit(&plan, &dataset, &all)?);
        let pooled =
            matches!(plan.data.normalise, Normalise::Standard { fit: Fit::Pooled }).then(|| Arc::clone(&central));
        let test = test.map(|test| Share::whole(test, central));
        let by_client = sites.iter().enumerate().map(|(i, s)| (s.0.client_id(), i)).collect();
        let sites = sites
            .into_iter()
            .map(|(name, rows, own_test)| Site { name, rows, own_test, data: OnceLock::new() })
            .collect();
        Ok(Self { plan, dataset, sites, by_client, pooled, test, hostile: Hostile::default() })
    }

    fn test_set(&self) -> Option<Arc<Dataset>> {
        self.test.as_ref().map(|share| Arc::clone(share.dataset()))
    }

    /// Number of sites.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there are no sites.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// The sites' names in order.
    pub fn names(&self) -> impl Iterator<Item = &SiteName> {
        self.sites.iter().map(|s| &s.name)
    }

    /// Samples of each site, held-out ones included.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.sites.iter().map(|s| s.rows.len())
    }

    /// The row numbers of each site, held-out ones included.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.sites.iter().map(|s| s.rows.as_slice())
    }

    /// The shared data set.
    #[must_use]
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// The central test set.
    #[must_use]
    pub fn test(&self) -> Option<&Share> {
        self.test.as_ref()
    }

    /// The samples of the site `name`, split into training and held-out ones.
    ///
    /// # Errors
    /// When there is no such site or its samples cannot be used.
    pub fn site(&self, name: &SiteName) -> Result<Arc<SiteData>, FleetError> {
        let index = self.by_client.get(&name.client_id()).ok_or_else(|| {
            let mut sites: Vec<String> = self.names().take(8).map(ToString::to_string).collect();
            if self.len() > sites.len() {
                sites.push(format!("… ({} in all)", self.len()));
            }
            FleetError::NoSite { name: name.to_string(), sites: sites.join(", ") }
        })?;
        Ok(self.data(*index)?)
    }

    pub(super) fn data(&self, index: usize) -> Result<Arc<SiteData>, DataError> {
        let site = &self.sites[index];
        if let Some(data) = site.data.get() {
            return Ok(Arc::clone(data));
        }
        let client = site.name.client_id();
        let dataset = Arc::clone(&self.dataset);
        let own_test = site.own_test.clone();
        let mut data =
            SiteData::for_site(&self.plan, client, dataset, site.rows.clone(), own_test, self.pooled.as_ref())?;
        if self.hostile.flips_labels(index) {
            data.train = data.train.with_flipped_labels(self.plan.task.outputs() as u32);
        }
        Ok(Arc::clone(site.data.get_or_init(|| Arc::new(data))))
    }

    pub(super) fn index(&self, name: &SiteName) -> Option<usize> {
        self.by_client.get(&name.client_id()).copied()
    }
}

/// Groups into which a regression's samples are dealt by the size of their first target.
const TARGET_GROUPS: usize = 10;

/// The group of each sample by which the partitions of label skew deal them out, and how many groups there are: its
/// class; its first label or none; in regression the tenth of the samples, ordered by the first target, that it is in.
fn groups<'d>(dataset: &'d Dataset, task: &Task) -> (Cow<'d, [u32]>, usize) {
    match dataset.targets() {
        Targets::Classes(_) => (Cow::Borrowed(dataset.groups()), task.classes()),
        Targets::Labels(_) => (Cow::Borrowed(dataset.groups()), task.classes() + 1),
        Targets::Numbers(matrix) => {
            let first = |row: &u32| matrix.row(*row as usize)[0];
            let mut order = dataset.all_rows();
            order.sort_by(|a, b| first(a).total_cmp(&first(b)));
            let mut groups = vec![0; order.len()];
            for (rank, row) in order.iter().enumerate() {
                groups[*row as usize] = (rank * TARGET_GROUPS / order.len()) as u32;
            }
            (Cow::Owned(groups), TARGET_GROUPS)
        }
    }
}

/// Each natural site's own test rows, where the data says whose they are.
fn own_tests(loaded: &Loaded, natural: bool) -> Vec<Rows> {
    let Some(test) = loaded.test.as_ref().filter(|_| natural) else { return Vec::new() };
    let Some(owners) = test.owners() else { return Vec::new() };
    owners.rows().into_iter().map(|rows| Rows { dataset: Arc::clone(test), rows }).collect()
}
