//! The states of simulated sites.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synod_client::keep::Kept;
use synod_common::ids::{RoundId, SiteName};
use synod_common::state::State;

/// What sites keep between rounds. Only of those that took part, and only where the plan's algorithms or loss need it.
#[derive(Default)]
pub(super) struct KeptStates(Mutex<HashMap<SiteName, Kept>>);

impl KeptStates {
    fn all(&self) -> MutexGuard<'_, HashMap<SiteName, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `site` kept of `round`; `None` if it is lost.
    pub(super) fn of(&self, site: &SiteName, round: RoundId) -> Option<Arc<State>> {
        self.all().get(site).map_or_else(|| Kept::default().of(round), |kept| kept.of(round))
    }

    /// Keeps the state of `site` after `round`, which began with that of `base`.
    pub(super) fn keep(&self, site: &SiteName, base: RoundId, round: RoundId, state: State) {
        self.all().entry(site.clone()).or_default().keep(base, round, state);
    }

    /// `round` is committed, with the updates of `sites`.
    pub(super) fn settle(&self, sites: &[SiteName], round: RoundId) {
        let mut all = self.all();
        for site in sites {
            if let Some(kept) = all.get_mut(site) {
                kept.settle(round);
            }
        }
    }
}
