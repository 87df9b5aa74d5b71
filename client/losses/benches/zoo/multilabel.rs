//! Losses on logits and any number of labels.

use burn::tensor::Tensor;
use synod_losses::multilabel::objective;
use synod_losses::{LossConfig, TaskKind};

use crate::{Case, LOGITS, device, normal};

pub(crate) fn cases() -> Vec<Case> {
    let losses = LossConfig::defaults().into_iter().filter(|loss| loss.fits(TaskKind::MultiLabel));
    losses.flat_map(|loss| LOGITS.map(|size| plan_loss(loss.clone(), size))).collect()
}

/// A loss as training computes it, without memory.
fn plan_loss(loss: LossConfig, [batch, classes]: [usize; 2]) -> Case {
    let targets: Vec<f32> = (0..batch * classes).map(|index| f32::from(u8::from(index % 7 == 0))).collect();
    let targets = Tensor::<1>::from_data(targets.as_slice(), &device()).reshape([batch, classes]);
    Case::new(loss.name(), [batch, classes], normal([batch, classes]), move |logits| {
        objective(logits, targets.clone(), &loss)
    })
}
