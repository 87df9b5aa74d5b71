//! The states of simulated sites.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synod_client::keep::Kept;
use synod_common::ids::{RoundId, SiteName};
use synod_common::state::State;

/// What a site keeps after a round.
pub(super) struct Keep {
    pub(super) site: SiteName,
    /// The round with whose state it began.
    pub(super) base: RoundId,
    pub(super) round: RoundId,
    pub(super) state: State,
}

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

    /// Keeps what a site has after a round.
    pub(super) fn keep(&self, keep: Keep) {
        let Keep { site, base, round, state } = keep;
        self.all().entry(site).or_default().keep(base, round, state);
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
