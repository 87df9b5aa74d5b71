//! Checks of inputs, split by what they cost.
//!
//! - **Shapes** are known without asking the device. Every loss checks them on every call.
//! - **Values** (labels in range, finite logits) lie on the device, and looking at them waits for it: on a GPU once
//!   per batch, which costs more than the loss itself. No loss function does that. Check labels once, on the host,
//!   when the data are read ([`labels`]); check tensors with [`validate_labels`] and [`validate_finite`] where you
//!   are about to read from the device anyway, for example on the loss value at the end of an epoch.
//!
//! A loss called with a label out of range has no defined result: the CPU backend panics in `gather`, GPU backends may
//! return any number. A non-finite logit gives a non-finite loss, never a wrong finite one.
//!
//! ```
//! use synod_losses::check;
//!
//! assert!(check::labels(&[0, 2, 1], 3).is_ok());
//! let error = check::labels(&[0, 3], 3).unwrap_err();
//! assert!(error.to_string().starts_with("label 3 at position 1 is not in 0..3"));
//! ```

use burn::tensor::{Int, Tensor};

use crate::error::LossError;
use crate::host::{read_finite, read_whole};

/// Checks labels on the host: each must lie in `0..classes`.
///
/// # Errors
/// [`LossError::Label`] for the first label that does not.
pub fn labels(labels: &[i64], classes: usize) -> Result<(), LossError> {
    let outside = |label: i64| usize::try_from(label).map_or(true, |label| label >= classes);
    match labels.iter().position(|&label| outside(label)) {
        Some(position) => Err(LossError::Label { position, label: labels[position], classes }),
        None => Ok(()),
    }
}

/// Checks labels on the device as [`labels`] does. Waits for the device.
///
/// # Errors
/// [`LossError::Label`] for the first label outside `0..classes`, [`LossError::Read`] if the device fails.
pub fn validate_labels(targets: &Tensor<1, Int>, classes: usize) -> Result<(), LossError> {
    labels(&read_whole("targets", targets)?, classes)
}

/// Checks that a tensor holds no NaN and no infinity. Waits for the device.
///
/// `name` is used in the error, for example `"logits"`.
///
/// # Errors
/// [`LossError::NotFinite`] for the first such value, [`LossError::Read`] if the device fails.
pub fn validate_finite<const D: usize>(name: &'static str, tensor: &Tensor<D>) -> Result<(), LossError> {
    read_finite(name, tensor).map(drop)
}

/// Checks the shapes every classification loss takes and returns `[batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], or [`LossError::Shape`] if there are no classes or the targets do not match the batch.
pub fn classification(
    loss: &'static str,
    logits: &Tensor<2>,
    targets: &Tensor<1, Int>,
) -> Result<[usize; 2], LossError> {
    let [batch, classes] = matrix(loss, "logits", logits)?;
    if targets.dims() != [batch] {
        let expected = format!("[{batch}], one label per row of logits");
        return Err(LossError::Shape { loss, tensor: "targets", expected, found: targets.dims().to_vec() });
    }
    Ok([batch, classes])
}

/// As [`classification`], for losses that compare the true class with others.
///
/// # Errors
/// As [`classification`]; [`LossError::Shape`] also for a single class.
pub fn several_classes(
    loss: &'static str,
    logits: &Tensor<2>,
    targets: &Tensor<1, Int>,
) -> Result<[usize; 2], LossError> {
    match classification(loss, logits, targets)? {
        [batch, 1] => {
            let expected = format!("[{batch}, classes] with at least 2 classes");
            Err(LossError::Shape { loss, tensor: "logits", expected, found: vec![batch, 1] })
        }
        shape => Ok(shape),
    }
}

/// Checks that a matrix has at least one row and one column and returns its shape.
///
/// # Errors
/// [`LossError::EmptyBatch`] for no rows, [`LossError::Shape`] for no columns.
pub fn matrix(loss: &'static str, name: &'static str, tensor: &Tensor<2>) -> Result<[usize; 2], LossError> {
    match tensor.dims() {
        [0, _] => Err(LossError::EmptyBatch { loss }),
        [batch, 0] => {
            let expected = format!("[{batch}, n] with n >= 1");
            Err(LossError::Shape { loss, tensor: name, expected, found: vec![batch, 0] })
        }
        shape => Ok(shape),
    }
}

/// Checks that a matrix has at least one entry and `other` has the same shape, which is returned. Each comes with its
/// name.
///
/// # Errors
/// As [`matrix`]; [`LossError::Shape`] if the shapes differ.
pub fn same_shape(
    loss: &'static str,
    (name, tensor): (&'static str, &Tensor<2>),
    (other_name, other): (&'static str, &Tensor<2>),
) -> Result<[usize; 2], LossError> {
    let shape = matrix(loss, name, tensor)?;
    if other.dims() != shape {
        let expected = format!("{shape:?}, that of {name}");
        return Err(LossError::Shape { loss, tensor: other_name, expected, found: other.dims().to_vec() });
    }
    Ok(shape)
}

/// Checks that an option with one entry per class has as many entries as there are classes.
///
/// # Errors
/// [`LossError::PerClass`] if not.
pub fn per_class(
    loss: &'static str,
    option: &'static str,
    values: Option<&[f64]>,
    classes: usize,
) -> Result<(), LossError> {
    match values {
        Some(values) if values.len() != classes => {
            Err(LossError::PerClass { loss, option, given: values.len(), classes })
        }
        _ => Ok(()),
    }
}

/// Checks that a vector has `len` entries.
///
/// # Errors
/// [`LossError::EmptyBatch`] if it should have none, [`LossError::Shape`] if it has another number.
pub fn vector(loss: &'static str, name: &'static str, tensor: &Tensor<1>, len: usize) -> Result<(), LossError> {
    match tensor.dims() {
        _ if len == 0 => Err(LossError::EmptyBatch { loss }),
        [found] if found == len => Ok(()),
        found => {
            let expected = format!("[{len}]");
            Err(LossError::Shape { loss, tensor: name, expected, found: found.to_vec() })
        }
    }
}
