//! Losses on logits and labels.

use synod_losses::classification::softmax_objective;
use synod_losses::{LossConfig, TaskKind};

use crate::{Case, LOGITS, labels, normal};

pub(crate) fn cases() -> Vec<Case> {
    let losses = LossConfig::defaults().into_iter().filter(|loss| loss.fits(TaskKind::Classification));
    losses.flat_map(|loss| LOGITS.map(|size| plan_loss(loss.clone(), size))).collect()
}

/// A loss as training computes it.
fn plan_loss(loss: LossConfig, [batch, classes]: [usize; 2]) -> Case {
    let labels = labels(batch, classes);
    Case::new(loss.name(), [batch, classes], normal([batch, classes]), move |logits| {
        softmax_objective(logits, labels.clone(), &loss, None)
    })
}
