//! Tensors as numbers on the host. Everything here waits for the device.

use burn::tensor::{Int, Tensor};

use crate::error::{LossError, to_f64};

/// The entries of a tensor, in row-major order.
pub(crate) fn read<const D: usize>(name: &'static str, tensor: &Tensor<D>) -> Result<Vec<f64>, LossError> {
    let data = tensor.try_to_data().map_err(|error| LossError::Read { tensor: name, reason: error.to_string() })?;
    to_f64(name, &data)
}

/// As [`read`], refusing NaN and infinities.
pub(crate) fn read_finite<const D: usize>(name: &'static str, tensor: &Tensor<D>) -> Result<Vec<f64>, LossError> {
    let values = read(name, tensor)?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(LossError::NotFinite { tensor: name, position, value: values[position] }),
        None => Ok(values),
    }
}

/// The entries of an integer tensor, in row-major order.
pub(crate) fn read_whole<const D: usize>(name: &'static str, tensor: &Tensor<D, Int>) -> Result<Vec<i64>, LossError> {
    let values = tensor.try_to_vec_as::<i64>();
    values.map_err(|error| LossError::Read { tensor: name, reason: error.to_string() })
}
