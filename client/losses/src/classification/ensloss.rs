//! EnsLoss: a random convex calibrated loss in every step, drawn as derivatives, against overfitting of two classes.
//!
//! # Formula
//! With margins `s_b = (2 label_b - 1) score_b` and standard normal draws `normals`:
//!
//! 1. `r = -min(inverse Box-Cox(normals), cap)`, where the inverse Box-Cox transform of `z` is `exp(z)` for
//!    `lambda = 0` and `max(0, 1 + lambda z)^(1 / lambda)` otherwise;
//! 2. the sorted `r` are handed out to the margins in ascending order, the most negative to the smallest margin;
//! 3. where a margin is above 1 its `r` is divided by it; 1e-6 is taken from all. The result is `g`;
//! 4. `value_b = g_b s_b`, with `g` constant.
//!
//! # Shapes
//! `scores: [batch]`, `labels: [batch]` of 0 and 1, `normals: [batch]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `g` lies in `[-cap - 1e-6, 0)` and does not fall with the margin, as the derivative of a convex decreasing loss.
//! The gradient of a score is `g_b (2 label_b - 1)`. **The value is no loss to look at**: only its gradient means
//! something; log the accuracy or the logistic loss beside it.
//!
//! # Choices
//! Derivatives are computed in double precision on the host, which waits for the device once a step. Equal margins
//! keep the order of the samples. The paper redraws `lambda` in `[-1, 1]` every few epochs; here whoever trains gives
//! it.
//!
//! # Source
//! Dai: EnsLoss: Stochastic Calibrated Loss Ensembles for Preventing Overfitting in Classification, ICML 2025; the cap
//! of 1 is that of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::ensloss::{Config, ensloss};
//!
//! let device = Device::flex();
//! let scores = Tensor::<1>::from_data([0.5, -0.5], &device);
//! let labels = Tensor::<1, Int>::from_data([1, 1], &device);
//! let normals = Tensor::<1>::from_data([3.0, -3.0], &device);
//! let values = ensloss(scores, &labels, &normals, &Config::default())?.try_into_vec_as::<f32>().expect("on the CPU");
//! assert!((values[1] - 0.5).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use crate::check;
use crate::error::LossError;
use crate::host::{read_finite, read_whole};
use crate::option::{Allowed, POSITIVE, constants, objective};

/// Keeps every derivative below 0, as in the released code.
const DERIVATIVE_SHIFT: f64 = 1e-6;

const DEGREE: Allowed<f64> = Allowed { test: |lambda| (-1.0..=1.0).contains(lambda), text: "[-1, 1]" };

objective! {
    "ensloss", family: "classification", file: "ensloss.rs", role: Loss, tasks: [Binary],
    remembers: None, cost: "O(B log B)",
    options: {
        lambda / with_lambda: f64 = 0.0, DEGREE, "shape of the random derivatives";
        cap / with_cap: f64 = 1.0, POSITIVE, "largest size of a derivative";
    }
}

/// Values per sample, `[batch]`, for `scores: [batch]`, `labels: [batch]` of 0 and 1, and standard normal draws
/// `normals: [batch]`. Waits for the device.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], [`LossError::Label`] for a label other than 0 and 1,
/// [`LossError::NotFinite`].
pub fn ensloss(
    scores: Tensor<1>,
    labels: &Tensor<1, Int>,
    normals: &Tensor<1>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let signed = signed_derivatives(&scores, labels, normals, config)?;
    let weights: Vec<f64> = signed.iter().map(|(sign, g)| sign * g).collect();
    Ok(constants(&scores, &weights) * scores)
}

/// The derivatives `g`, one per sample. Waits for the device.
///
/// # Errors
/// As [`ensloss`].
pub fn derivatives(
    scores: &Tensor<1>,
    labels: &Tensor<1, Int>,
    normals: &Tensor<1>,
    config: &Config,
) -> Result<Vec<f64>, LossError> {
    Ok(signed_derivatives(scores, labels, normals, config)?.into_iter().map(|(_, g)| g).collect())
}

/// For each sample the sign of its label and its derivative.
fn signed_derivatives(
    scores: &Tensor<1>,
    labels: &Tensor<1, Int>,
    normals: &Tensor<1>,
    config: &Config,
) -> Result<Vec<(f64, f64)>, LossError> {
    let [batch] = scores.dims();
    if batch == 0 {
        return Err(LossError::EmptyBatch { loss: NAME });
    }
    for (tensor, found) in [("labels", labels.dims()), ("normals", normals.dims())] {
        if found != [batch] {
            let expected = format!("[{batch}], one per score");
            return Err(LossError::Shape { loss: NAME, tensor, expected, found: found.to_vec() });
        }
    }
    let labels = read_whole("labels", labels)?;
    check::labels(&labels, 2)?;
    let signs = labels.iter().map(|&label| if label == 1 { 1.0 } else { -1.0 });
    // Adding 0 makes -0 and 0 equal margins.
    let scores = read_finite("scores", scores)?;
    let margins: Vec<(f64, f64)> = signs.zip(scores).map(|(sign, score)| (sign, sign * score + 0.0)).collect();
    let normals = read_finite("normals", normals)?;
    let mut drawn: Vec<f64> = normals.into_iter().map(|z| -inverse_box_cox(z, config.lambda).min(config.cap)).collect();
    drawn.sort_by(f64::total_cmp);
    let mut order: Vec<usize> = (0..batch).collect();
    order.sort_by(|&left, &right| margins[left].1.total_cmp(&margins[right].1));
    let mut derivatives = vec![(0.0, 0.0); batch];
    for (sample, drawn) in order.into_iter().zip(drawn) {
        let (sign, margin) = margins[sample];
        derivatives[sample] = (sign, drawn / margin.max(1.0) - DERIVATIVE_SHIFT);
    }
    Ok(derivatives)
}

fn inverse_box_cox(z: f64, lambda: f64) -> f64 {
    if lambda == 0.0 { z.exp() } else { (1.0 + lambda * z).max(0.0).powf(1.0 / lambda) }
}
