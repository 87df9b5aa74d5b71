//! What the plan's loss remembers of a site, as a part of what the site keeps from round to round: the columns of its
//! state are vectors called `loss.NAME`.

use synod_common::plan::Algorithms;
use synod_common::state::State;
use synod_losses::{Facts, LossConfig, LossState};

use super::algorithm::views_initial;
use super::error::TrainError;
use crate::data::Share;

const PREFIX: &str = "loss.";

fn name(column: &str) -> String {
    format!("{PREFIX}{column}")
}

/// The state to train on: what `kept` has of it, or the first one. `None` if neither the loss nor iSogCLR remembers anything.
///
/// # Errors
/// When what is kept is of another loss or of other data.
pub(super) fn restore(
    loss: &LossConfig,
    algorithms: &Algorithms,
    share: &Share,
    classes: usize,
    kept: &State,
) -> Result<Option<LossState>, TrainError> {
    let of_loss = loss.remembering().map(|loss| loss.initial(&Facts::new(share.len(), &share.class_counts(classes))));
    let of_views = algorithms.isogclr.map(|options| views_initial(&options, share.len()));
    let mut state = match (of_loss, of_views) {
        (Some(of_loss), Some(of_views)) => of_loss.with_all(of_views),
        (Some(state), None) | (None, Some(state)) => state,
        (None, None) => return Ok(None),
    };
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
