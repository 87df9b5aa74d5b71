//! What the plan's loss remembers of each site between rounds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use synod_common::ids::ClientId;
use synod_losses::{Facts, LossConfig, LossState};

use crate::data::Share;

/// One state a site, for a loss that remembers; for others none. At a site over the network there is one site only.
#[derive(Debug, Default)]
pub(super) struct Memories(Mutex<BTreeMap<ClientId, LossState>>);

impl Memories {
    /// The state of `client` to train on, a copy; the first one where it has none. `None` if the loss remembers nothing.
    pub(super) fn of(&self, client: ClientId, loss: &LossConfig, share: &Share, classes: usize) -> Option<LossState> {
        let remembering = loss.remembering()?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&client).cloned();
        Some(known.unwrap_or_else(|| {
            let counts = share.class_counts(classes);
            remembering.initial(&Facts::new(share.len(), &counts))
        }))
    }

    /// Keeps what was remembered in a round that went well.
    pub(super) fn keep(&self, client: ClientId, state: Option<LossState>) {
        if let Some(state) = state {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(client, state);
        }
    }
}
