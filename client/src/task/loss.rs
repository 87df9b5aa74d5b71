//! The plan's loss as a metric: its mean over any number of samples, whatever the batches.

use burn::tensor::{DType, Device, Tensor, TensorData};
use synod_losses::LossError;

/// Accumulates a mean.
#[derive(Debug, Default)]
pub(super) struct MeanLoss {
    sum: f64,
    weight: f64,
}

impl MeanLoss {
    /// Adds values `[batch]` that are multiplied by their weights already; without weights each counts 1.
    pub(super) fn add(&mut self, values: &Tensor<1>, weights: Option<&Tensor<1>>) -> Result<(), LossError> {
        let values = numbers("the loss", values)?;
        self.sum += values.iter().sum::<f64>();
        self.weight += match weights {
            Some(weights) => numbers("the weights", weights)?.iter().sum(),
            None => values.len() as f64,
        };
        Ok(())
    }

    /// The mean of all that was added. `None` without samples, or where all have the weight 0.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// `values` as `[rows, n]` in f64 on the host; `rows` is at least 1.
pub(super) fn matrix(values: impl IntoIterator<Item = f64>, rows: usize) -> Tensor<2> {
    let values: Vec<f64> = values.into_iter().collect();
    let columns = values.len() / rows.max(1);
    Tensor::from_data(TensorData::new(values, [rows, columns]), (&Device::flex(), DType::F64))
}

fn numbers(tensor: &'static str, values: &Tensor<1>) -> Result<Vec<f64>, LossError> {
    values.try_to_vec_as::<f64>().map_err(|error| LossError::Read { tensor, reason: error.to_string() })
}
