//! What the plan's loss remembers of each site between rounds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use synod_common::ids::ClientId;
use synod_common::state::State;
use synod_losses::{Facts, LossConfig, LossError, LossState};

use crate::data::Share;

/// One state a site, for a loss that remembers; for others none. At a site over the network there is one site only.
#[derive(Debug, Default)]
pub(super) struct Memories(Mutex<BTreeMap<ClientId, State>>);

impl Memories {
    /// The state of `client` to train on: what was kept, or the first one. `None` if the loss remembers nothing.
    pub(super) fn of(
        &self,
        client: ClientId,
        loss: &LossConfig,
        share: &Share,
        classes: usize,
    ) -> Result<Option<LossState>, LossError> {
        let Some(remembering) = loss.remembering() else { return Ok(None) };
        let counts = share.class_counts(classes);
        let mut state = remembering.initial(&Facts::new(share.len(), &counts));
        if let Some(kept) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&client) {
            state.restore(|column| kept.vector(column))?;
        }
        Ok(Some(state))
    }

    /// Keeps what was remembered in a round that went well.
    pub(super) fn keep(&self, client: ClientId, remembered: Option<LossState>) {
        let Some(remembered) = remembered else { return };
        let mut state = State::default();
        for (column, values) in remembered.columns() {
            state.set_vector(column, values.to_vec());
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(client, state);
    }
}
