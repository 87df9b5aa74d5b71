//! Adaptive multi-head contrastive learning, SimCLR form: several heads, and a temperature for each pair of each head.
//!
//! # Formula
//! For each head `c`, `Z` are the `2 B` rows of `z1[c]` and `z2[c]`, `sim` their cosine, `i+` the row with the other
//! view of the sample of row `i`, and `n*` the row with the largest `sim` among those of other samples (with
//! `positive_in_max`: among all other rows). A small network gives `tau(a, b) = tau_min + (tau_max - tau_min)
//! sigmoid(w2 relu(w1 [a; b] + b1) + b2)`; `tau_p = tau(Z_i, Z_i+)`, `tau_n = tau(Z_i, Z_n*)`. With
//! `Omega(tau) = (d' / 2) ln tau + 1 / tau`:
//!
//! `loss_i = sum_c ( -sim(Z_i, Z_i+) / tau_p + sim(Z_i, Z_n*) / tau_n + beta Omega(tau_p) - beta Omega(tau_n) )`
//!
//! # Shapes
//! `z1, z2: [heads, batch, d]`, not normalised; the network has `w1: [heads, hidden, 2 d]`, `b1, w2: [heads, hidden]`,
//! `b2: [heads]`. Values are `[2 * batch]`, the rows of `z1` first.
//!
//! # Range and gradient
//! Not bounded from below: a small `tau_p` is rewarded where `sim` exceeds `beta`. Which row is hardest is a constant
//! (the first of equal ones). Gradients reach both views and the network. `Omega` is smallest at `tau = 2 / d'`. With
//! `tau_min = tau_max = t` the regulariser cancels and the loss is that of the hardest negative, over `t`.
//!
//! # Choices
//! The default `tau_min` is 0.05 and not the 1e-5 of the released module, with which a small run falls without end.
//! `omega_dim = 0` takes the width of the embeddings as `d'`. Rows shorter than 1e-8 are divided by that. The released
//! module does not run; this follows the paper's table of losses.
//!
//! # Source
//! Wang, Koniusz, Gedeon, Zheng: Adaptive Multi-head Contrastive Learning, ECCV 2024, as tabulated with the
//! released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::amcl_simclr::{Config, amcl_simclr};
//! use synod_losses::contrastive::TemperatureNetwork;
//!
//! let device = Device::flex();
//! let z = Tensor::<3>::from_data([[[1.0, 0.0], [0.0, 1.0]]], &device);
//! let network = TemperatureNetwork {
//!     w1: Tensor::zeros([1, 3, 4], &device),
//!     b1: Tensor::zeros([1, 3], &device),
//!     w2: Tensor::zeros([1, 3], &device),
//!     b2: Tensor::zeros([1], &device),
//! };
//! let outcome = amcl_simclr(z.clone(), z, &network, &Config::default().with_tau_min(0.5).with_tau_max(0.5))?;
//! assert!((outcome.values.mean().into_scalar::<f32>() + 2.0).abs() < 1e-6, "(0 - 1) / 0.5");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::adaptive_temperature::{LENGTH_MIN, TemperatureNetwork, Temperatures};
use super::option::temperatures;
use super::similarity::{EXCLUDED, check_shape, is_diagonal, shape_error, unit};
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "amcl_simclr", family: "contrastive", file: "amcl_simclr.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(B^2 D)",
    options: {
        beta / with_beta: f64 = 0.1, NON_NEGATIVE, "weight of what keeps temperatures in check";
        tau_min / with_tau_min: f64 = 0.05, POSITIVE, "smallest temperature";
        tau_max / with_tau_max: f64 = 2.0, POSITIVE, "largest temperature, at least `tau_min`";
        omega_dim / with_omega_dim: usize = 0, any(">= 0"), "width in the regulariser; 0 takes that of the embeddings";
        positive_in_max / with_positive_in_max: bool = false, any("true | false"),
            "choice whether the positive may be the hardest row";
    }
    also: |config: &Config| temperatures(config.tau_min, config.tau_max)
}

impl Config {
    fn temperatures(&self) -> Temperatures {
        let Self { tau_min, tau_max, omega_dim, .. } = *self;
        Temperatures { tau_min, tau_max, omega_dim }
    }
}

/// What comes out of the loss.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// Values per row, `[2 * batch]`.
    pub values: Tensor<1>,
    /// The hardest row of each, `[heads, 2 * batch]`.
    pub hardest: Tensor<2, Int>,
    /// Temperatures of the positives, `[heads, 2 * batch]`.
    pub tau_positive: Tensor<2>,
    /// Temperatures of the hardest rows, `[heads, 2 * batch]`.
    pub tau_negative: Tensor<2>,
}

/// Values per row and what they were computed with, for the views `z1, z2: [heads, batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if shapes differ, there are no heads, or there is one sample only
/// and the positive may not be the hardest row.
pub fn amcl_simclr(
    z1: Tensor<3>,
    z2: Tensor<3>,
    network: &TemperatureNetwork,
    config: &Config,
) -> Result<Outcome, LossError> {
    let [heads, batch, dim] = check_heads(NAME, ("z1", &z1), ("z2", &z2))?;
    network.check(NAME, heads, dim)?;
    if batch == 1 && !config.positive_in_max {
        return Err(shape_error(NAME, "z1", "[heads, n, d] with n >= 2".to_owned(), &[heads, batch, dim]));
    }
    let rows = 2 * batch;
    let anchors = Tensor::cat(vec![z1.clone(), z2.clone()], 1);
    let partners = Tensor::cat(vec![z2, z1], 1);
    let hardest = hardest(unit(anchors.clone().detach(), LENGTH_MIN), config.positive_in_max);
    let others = anchors.clone().gather(1, hardest.clone().expand([heads, rows, dim]));

    let cosine = |others: &Tensor<3>| (unit(anchors.clone(), LENGTH_MIN) * unit(others.clone(), LENGTH_MIN)).sum_dim(2);
    let temperatures = config.temperatures();
    let temperature = |others: &Tensor<3>| temperatures.squash(network.logits(anchors.clone(), others.clone()));
    let (positive, negative) = (cosine(&partners), cosine(&others));
    let (tau_positive, tau_negative) = (temperature(&partners), temperature(&others));
    let omegas = temperatures.omega(tau_positive.clone(), dim) - temperatures.omega(tau_negative.clone(), dim);
    let values = negative / tau_negative.clone() - positive / tau_positive.clone() + omegas * config.beta;
    Ok(Outcome {
        values: values.sum_dim(0).reshape([rows]),
        hardest: hardest.reshape([heads, rows]),
        tau_positive: tau_positive.reshape([heads, rows]),
        tau_negative: tau_negative.reshape([heads, rows]),
    })
}

/// The row with the largest cosine to each, `[heads, rows, 1]`, the first of equal ones.
fn hardest(embeddings: Tensor<3>, positive_in_max: bool) -> Tensor<3, Int> {
    let [_, rows, _] = embeddings.dims();
    let device = embeddings.device();
    let similarities = embeddings.clone().matmul(embeddings.swap_dims(1, 2));
    let left_out = if positive_in_max {
        is_diagonal(rows, &device)
    } else {
        let block = is_diagonal(rows / 2, &device);
        block.repeat(&[2, 2])
    };
    let shape = similarities.dims();
    let similarities = similarities.mask_fill(left_out.unsqueeze::<3>().expand(shape), EXCLUDED);
    let below = similarities.clone().max_dim(2).expand(shape).greater(similarities);
    let rows = rows as i64;
    let positions = Tensor::<1, Int>::arange(0..rows, &device).reshape([1, 1, -1]).expand(shape);
    positions.mask_fill(below, rows - 1).min_dim(2)
}

/// Checks that there is at least one head and one sample and that both tensors have the same shape, which is returned.
pub(super) fn check_heads(
    loss: &'static str,
    (name, tensor): (&'static str, &Tensor<3>),
    (other_name, other): (&'static str, &Tensor<3>),
) -> Result<[usize; 3], LossError> {
    let shape = tensor.dims();
    let [heads, batch, dim] = shape;
    if batch == 0 {
        return Err(LossError::EmptyBatch { loss });
    }
    if heads == 0 || dim == 0 {
        return Err(shape_error(loss, name, "[heads, n, d], each at least 1".to_owned(), &shape));
    }
    check_shape(loss, other_name, &other.dims(), &shape)?;
    Ok(shape)
}
