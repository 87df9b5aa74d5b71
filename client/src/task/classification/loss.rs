//! The plan's loss as a metric, with class weights the weighted mean, as in training.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use synod_losses::classification::{mean_weights, per_sample};
use synod_losses::{LossConfig, LossError};

use crate::task::loss::{MeanLoss, matrix};

/// Accumulates the mean of a loss.
#[derive(Debug)]
pub(super) struct ClassLoss<'a> {
    loss: &'a LossConfig,
    mean: MeanLoss,
}

impl<'a> ClassLoss<'a> {
    pub(super) fn new(loss: &'a LossConfig) -> Self {
        Self { loss, mean: MeanLoss::default() }
    }

    /// Adds samples: `logits: [labels.len(), classes]`, labels below `classes`.
    pub(super) fn add(&mut self, logits: &[f32], labels: &[i64]) -> Result<(), LossError> {
        let logits = matrix(logits.iter().map(|logit| f64::from(*logit)), labels.len());
        let labels = TensorData::new(labels.to_vec(), [labels.len()]);
        let labels = Tensor::<1, Int>::from_data(labels, (&Device::flex(), DType::I64));
        let weights = mean_weights(&logits, &labels, self.loss)?;
        self.mean.add(&per_sample(logits, labels, self.loss)?, weights.as_ref())
    }

    /// The mean over all samples added. `None` without samples, or where all have the weight 0.
    pub(super) fn mean(&self) -> Option<f64> {
        self.mean.mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_losses::classification::{cross_entropy, focal};

    /// ln(1 + e^-d): the loss of two classes whose logits differ by d in favour of the true one.
    fn two_class(d: f64) -> f64 {
        (-d).exp().ln_1p()
    }

    #[test]
    fn batches_do_not_matter() {
        let loss = LossConfig::CrossEntropy(cross_entropy::Config::default().with_class_weights([1.0, 3.0]));
        let (logits, labels) = ([1.0, 0.0, 0.0, 2.0, 0.5, 0.0], [0, 1, 1]);
        let mut once = ClassLoss::new(&loss);
        once.add(&logits, &labels).unwrap();
        let mut twice = ClassLoss::new(&loss);
        twice.add(&logits[..2], &labels[..1]).unwrap();
        twice.add(&logits[2..], &labels[1..]).unwrap();
        let expected = (two_class(1.0) + 3.0 * two_class(2.0) + 3.0 * two_class(-0.5)) / 7.0;
        assert!((once.mean().unwrap() - expected).abs() < 1e-12);
        assert!((twice.mean().unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn any_loss_of_the_zoo_can_be_a_metric() {
        let loss = LossConfig::Focal(focal::Config::default());
        let mut mean = ClassLoss::new(&loss);
        assert_eq!(mean.mean(), None);
        mean.add(&[0.0, 0.0], &[1]).unwrap();
        assert!((mean.mean().unwrap() - 0.25 * 2f64.ln()).abs() < 1e-12);
    }
}
