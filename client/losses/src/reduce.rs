//! From one value per sample to the number that is minimised.
//!
//! Losses return unreduced values; every one of them becomes a number here, so that masks and denominators mean the
//! same everywhere. Nothing in this module waits for the device.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::LossError;

/// How values per sample become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Sum divided by the number of unmasked entries (or by the sum of their weights).
    #[default]
    Mean,
    /// Sum over the unmasked entries.
    Sum,
    /// No reduction: masked entries become zero.
    None,
}

/// Reduces `values: [batch]` to `[1]` (`[batch]` for [`Reduction::None`]).
///
/// An entry of `mask: [batch]` that is zero leaves its sample out, any other value keeps it. A sample left out counts
/// neither above nor below the fraction bar, and gets no gradient, whatever its value is: NaN does not leak. If all
/// are left out the result is zero.
///
/// # Errors
/// [`LossError::EmptyBatch`] for no values at all, [`LossError::Shape`] if the mask has another length.
pub fn reduce(values: Tensor<1>, mask: Option<Tensor<1>>, reduction: Reduction) -> Result<Tensor<1>, LossError> {
    reduce_weighted(values, None, mask, reduction)
}

/// As [`reduce`], for values that have been multiplied by `weights: [batch]` already: the mean divides by the sum of
/// the weights of unmasked entries. Where that sum is zero the mean is zero.
///
/// # Errors
/// As [`reduce`]; also [`LossError::Shape`] if the weights have another length.
pub fn reduce_weighted(
    values: Tensor<1>,
    weights: Option<Tensor<1>>,
    mask: Option<Tensor<1>>,
    reduction: Reduction,
) -> Result<Tensor<1>, LossError> {
    let [batch] = values.dims();
    if batch == 0 {
        return Err(LossError::EmptyBatch { loss: "the reduction" });
    }
    for (tensor, other) in [("weights", &weights), ("mask", &mask)] {
        if let Some(other) = other
            && other.dims() != [batch]
        {
            let expected = format!("[{batch}], one entry per value");
            return Err(LossError::Shape { loss: "the reduction", tensor, expected, found: other.dims().to_vec() });
        }
    }
    let left_out = mask.map(|mask| mask.equal_scalar(0.0));
    let values = match &left_out {
        Some(left_out) => values.mask_fill(left_out.clone(), 0.0),
        None => values,
    };
    Ok(match (reduction, weights, left_out) {
        (Reduction::None, ..) => values,
        (Reduction::Sum, ..) => values.sum(),
        (Reduction::Mean, None, None) => values.mean(),
        (Reduction::Mean, weights, left_out) => {
            let weights = weights.unwrap_or_else(|| values.ones_like());
            let counted = match left_out {
                Some(left_out) => weights.mask_fill(left_out, 0.0),
                None => weights,
            };
            values.sum() / denominator(counted.sum())
        }
    })
}

/// Makes a sum of weights safe to divide by: a zero sum has a zero numerator, and 0 / tiny is the zero we want.
pub(crate) fn denominator(sum: Tensor<1>) -> Tensor<1> {
    sum.clamp_min(SUM_MIN)
}

/// Far below any sum of weights that means something, far above where f16 and f32 lose it.
const SUM_MIN: f64 = 1e-7;
