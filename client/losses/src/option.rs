//! What the options of losses in several families share.

use burn::tensor::{Tensor, TensorData};

use crate::error::ConfigError;

/// Numbers from a configuration as a tensor, on the device and in the number type of `like`.
pub(crate) fn constants<const D: usize>(like: &Tensor<D>, values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&like.device(), like.dtype()))
}

/// Checks an option with one weight per class. Their number is checked when the number of classes is known.
pub(crate) fn validate_per_class(option: &'static str, weights: Option<&[f64]>) -> Result<(), ConfigError> {
    const ALLOWED: &str = "one finite number of at least 0 for each class, not all 0";
    let Some(weights) = weights else { return Ok(()) };
    if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return Err(ConfigError::new(option, weight, ALLOWED));
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        return Err(ConfigError::new(option, format!("{weights:?}"), ALLOWED));
    }
    Ok(())
}
