//! The sites of a simulation: who they are and which samples are theirs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use synod_client::data::{DataError, Dataset, Loaded, Normaliser, Rows, Share, SiteData, Trace};
use synod_common::ids::{ClientId, SiteName};
use synod_common::plan::{Fit, Normalise, Partition, Plan, Strategy};

use super::error::FleetError;
use super::hostile::Hostile;
use super::split::{Split, groups, split};
use crate::shift::{Shifts, drifted};

/// The sites of a simulation over one shared data set.
pub struct Population {
    plan: Arc<Plan>,
    dataset: Arc<Dataset>,
    sites: Vec<Site>,
    by_client: HashMap<ClientId, usize>,
    pooled: Option<Arc<Normaliser>>,
    test: Option<Share>,
    hostile: Hostile,
    /// Sites of the plan's simulation, of which this may have one alone.
    planned: usize,
    traces: Vec<Trace>,
}

struct Site {
    name: SiteName,
    /// Its place among the plan's sites, by which it differs from them; a site of all samples has none.
    place: Option<usize>,
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
        let Split { names, rows: parts } = split(plan, simulation, loaded)?;
        let natural = simulation.partition == Partition::Natural;
        let tests = own_tests(loaded, natural);
        let sites = names.into_iter().zip(parts).enumerate();
        let sites = sites.map(|(i, (name, rows))| (name, rows, tests.get(i).cloned())).collect();
        let mut population = Self::of(Arc::clone(plan), Arc::clone(&loaded.train), loaded.test.clone(), sites)?;
        population.traces.clone_from(&loaded.traces);
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
        Self::of(plan, Arc::clone(&self.dataset), self.test_set(), vec![(name, rows, None)]).map(|mut pooled| {
            pooled.sites.iter_mut().for_each(|site| site.place = None);
            pooled
        })
    }

    /// A population of the one site `index` of this one, for the local-only reference. It is measured on the same
    /// central test set.
    ///
    /// # Errors
    /// When there is no such site or a normalisation cannot be fitted.
    pub fn alone(&self, plan: Arc<Plan>, index: usize) -> Result<Self, FleetError> {
        let site = self.sites.get(index).ok_or(FleetError::NoSimulation)?;
        let own = (site.name.clone(), site.rows.clone(), site.own_test.clone());
        let mut alone = Self::of(plan, Arc::clone(&self.dataset), self.test_set(), vec![own])?;
        alone.planned = self.planned;
        alone.sites.iter_mut().for_each(|alone| alone.place = site.place);
        Ok(alone)
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
        let place =
            |(place, (name, rows, own_test))| Site { name, place: Some(place), rows, own_test, data: OnceLock::new() };
        let sites: Vec<Site> = sites.into_iter().enumerate().map(place).collect();
        let planned = sites.len();
        Ok(Self {
            plan,
            dataset,
            sites,
            by_client,
            pooled,
            test,
            hostile: Hostile::default(),
            planned,
            traces: Vec::new(),
        })
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

    pub(super) fn name(&self, index: usize) -> Option<&SiteName> {
        self.sites.get(index).map(|site| &site.name)
    }

    /// Samples of the site `index`, held-out ones included.
    pub(super) fn size(&self, index: usize) -> Option<usize> {
        self.sites.get(index).map(|site| site.rows.len())
    }

    /// Samples of each site, held-out ones included.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.sites.iter().map(|s| s.rows.len())
    }

    /// The row numbers of each site, held-out ones included.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.sites.iter().map(|s| s.rows.as_slice())
    }

    /// The class of each row of the shared data set, and how many there are; in tasks without one class a sample, the groups
    /// by which rules of label skew split: the first label or none, or the tenth by the first target.
    #[must_use]
    pub fn groups(&self) -> (Cow<'_, [u32]>, usize) {
        groups(&self.dataset, &self.plan.task)
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
        let shift = self.plan.simulation.as_ref().and_then(|simulation| simulation.shift.as_ref());
        if let Some((place, shift)) = site.place.zip(shift) {
            let classes = self.plan.task.classes() as u32;
            data = Shifts { shift, seed: self.plan.seed, sites: self.planned, classes }.apply(place, client, data)?;
        }
        if self.hostile.flips_labels(index) {
            let last = (self.plan.task.outputs() as u32).saturating_sub(1);
            let positions = 0..data.train.len() as u32;
            let flipped = positions.map(|position| last.saturating_sub(data.train.group(position))).collect();
            data.train = data.train.with_labels(flipped)?;
        }
        Ok(Arc::clone(site.data.get_or_init(|| Arc::new(data))))
    }

    /// The samples of the site `index` in `round`, where they change while the run goes on.
    pub(super) fn data_in(&self, index: usize, round: u64) -> Result<Arc<SiteData>, DataError> {
        let data = self.data(index)?;
        let drift = self.plan.simulation.as_ref().and_then(|simulation| simulation.drift.as_ref());
        match drift.filter(|_| self.sites[index].place.is_some()) {
            Some(drift) => {
                let (classes, client) = (self.plan.task.classes() as u32, self.sites[index].name.client_id());
                Ok(Arc::new(drifted(drift, self.plan.seed, client, classes, round, &data)?))
            }
            None => Ok(data),
        }
    }

    /// When devices are there, for each profile of the plan.
    pub(super) fn traces(&self) -> &[Trace] {
        &self.traces
    }

    pub(super) fn index(&self, name: &SiteName) -> Option<usize> {
        self.by_client.get(&name.client_id()).copied()
    }
}

/// Each natural site's own test rows, where the data says whose they are.
fn own_tests(loaded: &Loaded, natural: bool) -> Vec<Rows> {
    let Some(test) = loaded.test.as_ref().filter(|_| natural) else { return Vec::new() };
    let Some(owners) = test.owners() else { return Vec::new() };
    owners.rows().into_iter().map(|rows| Rows { dataset: Arc::clone(test), rows }).collect()
}
