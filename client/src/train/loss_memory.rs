//! What the plan's loss remembers of a site, as a part of what the site keeps from round to round: the columns of its
//! state are vectors called `loss.NAME`.

use synod_common::state::State;
use synod_losses::{Facts, LossConfig, LossState};

use super::error::TrainError;
use crate::data::Share;

const PREFIX: &str = "loss.";

fn name(column: &str) -> String {
    format!("{PREFIX}{column}")
}

/// The state to train on: what `kept` has of it, or the first one. `None` if the loss remembers nothing.
///
/// # Errors
/// When what is kept is of another loss or of other data.
pub(super) fn restore(
    loss: &LossConfig,
    share: &Share,
    classes: usize,
    kept: &State,
) -> Result<Option<LossState>, TrainError> {
    let Some(remembering) = loss.remembering() else { return Ok(None) };
    let mut state = remembering.initial(&Facts::new(share.len(), &share.class_counts(classes)));
    let known = state.columns().any(|(column, _)| kept.vector(&name(column)).is_some());
    if known {
        state.restore(|column| kept.vector(&name(column)))?;
    }
    Ok(Some(state))
}

/// Puts it into what the site keeps.
///
/// # Errors
/// When a column's name breaks the rules for names in a state.
pub(super) fn keep(remembered: &LossState, kept: &mut State) -> Result<(), TrainError> {
    for (column, values) in remembered.columns() {
        kept.set_named_vector(&name(column), values.to_vec())?;
    }
    Ok(())
}

/// Hands it on from the round before where nothing was trained.
///
/// # Errors
/// As [`keep`].
pub(super) fn carry(before: &State, kept: &mut State) -> Result<(), TrainError> {
    for (name, values) in before.vectors().filter(|(name, _)| name.starts_with(PREFIX)) {
        kept.set_named_vector(name, values.to_vec())?;
    }
    Ok(())
}
