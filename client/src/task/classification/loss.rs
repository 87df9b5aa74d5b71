//! The plan's loss as a metric: its mean over any number of samples, whatever the batches.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use synod_losses::classification::{mean_weights, per_sample};
use synod_losses::{LossConfig, LossError};

/// Accumulates the mean of a loss. With class weights it is the weighted mean, as in training.
#[derive(Debug)]
pub(super) struct MeanLoss<'a> {
    loss: &'a LossConfig,
    device: Device,
    sum: f64,
    weight: f64,
}

impl<'a> MeanLoss<'a> {
    pub(super) fn new(loss: &'a LossConfig) -> Self {
        Self { loss, device: Device::flex(), sum: 0.0, weight: 0.0 }
    }

    /// Adds samples: `logits: [labels.len(), classes]`, labels below `classes`.
    pub(super) fn add(&mut self, logits: &[f32], labels: &[i64], classes: usize) -> Result<(), LossError> {
        let logits: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
        let logits = TensorData::new(logits, [labels.len(), classes]);
        let logits = Tensor::<2>::from_data(logits, (&self.device, DType::F64));
        let labels = TensorData::new(labels.to_vec(), [labels.len()]);
        let labels = Tensor::<1, Int>::from_data(labels, (&self.device, DType::I64));
        let weights = mean_weights(&logits, &labels, self.loss)?;
        let values = numbers("the loss", &per_sample(logits, labels, self.loss)?)?;
        self.sum += values.iter().sum::<f64>();
        self.weight += match weights {
            Some(weights) => numbers("the class weights", &weights)?.iter().sum(),
            None => values.len() as f64,
        };
        Ok(())
    }

    /// The mean over all samples added. `None` without samples, or where all have the weight 0.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

fn numbers(tensor: &'static str, values: &Tensor<1>) -> Result<Vec<f64>, LossError> {
    values.try_to_vec_as::<f64>().map_err(|error| LossError::Read { tensor, reason: error.to_string() })
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
        let mut once = MeanLoss::new(&loss);
        once.add(&logits, &labels, 2).unwrap();
        let mut twice = MeanLoss::new(&loss);
        twice.add(&logits[..2], &labels[..1], 2).unwrap();
        twice.add(&logits[2..], &labels[1..], 2).unwrap();
        let expected = (two_class(1.0) + 3.0 * two_class(2.0) + 3.0 * two_class(-0.5)) / 7.0;
        assert!((once.mean().unwrap() - expected).abs() < 1e-12);
        assert!((twice.mean().unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn any_loss_of_the_zoo_can_be_a_metric() {
        let loss = LossConfig::Focal(focal::Config::default());
        let mut mean = MeanLoss::new(&loss);
        assert_eq!(mean.mean(), None);
        mean.add(&[0.0, 0.0], &[1], 2).unwrap();
        assert!((mean.mean().unwrap() - 0.25 * 2f64.ln()).abs() < 1e-12);
    }
}
