//! Adaptive multi-head learning, SimSiam form: each prediction nears the other view, at a temperature of its own.
//!
//! # Formula
//! With `sim` the cosine, `sg` no gradient, `ta, tb = tau_min + (tau_max - tau_min) sigmoid(t1, t2)` and
//! `Omega(tau) = (d' / 2) ln tau + 1 / tau`, for each sample:
//!
//! `loss = sum_c ( -sim(p1, sg h2) / (2 ta) - sim(p2, sg h1) / (2 tb) + beta (Omega(ta) + Omega(tb)) )`
//!
//! # Shapes
//! `p1, p2` (predictor outputs) and `h1, h2` (projections): `[heads, batch, d]`; `t1, t2: [heads, batch]`; the result
//! is `[batch]`.
//!
//! # Range and gradient
//! Bounded from below for given limits of the temperature, and smooth. `h1` and `h2` get no gradient. A row of zeros
//! has the similarity 0.
//!
//! # Choices
//! The default `tau_min` is 0.05 and not the 1e-5 of the released module, as for the SimCLR form. `omega_dim = 0` takes
//! the width of the embeddings as `d'`. Rows shorter than 1e-8 are divided by that.
//!
//! # Source
//! Wang, Koniusz, Gedeon, Zheng: Adaptive Multi-head Contrastive Learning, ECCV 2024, as tabulated with the
//! released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::amcl_simsiam::{Config, Inputs, amcl_simsiam};
//!
//! let device = Device::flex();
//! let p = Tensor::<3>::ones([2, 3, 4], &device);
//! let t = Tensor::<2>::zeros([2, 3], &device);
//! let inputs = Inputs { p1: p.clone(), p2: p.clone(), h1: p.clone(), h2: p, t1: t.clone(), t2: t };
//! let values = amcl_simsiam(inputs, &Config::default().with_beta(0.0).with_tau_min(0.5).with_tau_max(0.5))?;
//! assert!((values.mean().into_scalar::<f32>() + 4.0).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::adaptive_temperature::{LENGTH_MIN, Temperatures};
use super::amcl_simclr::check_heads;
use super::option::temperatures;
use super::similarity::{check_shape, unit};
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "amcl_simsiam", family: "contrastive", file: "amcl_simsiam.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(B D)",
    options: {
        beta / with_beta: f64 = 0.1, NON_NEGATIVE, "weight of what keeps temperatures in check";
        tau_min / with_tau_min: f64 = 0.05, POSITIVE, "smallest temperature";
        tau_max / with_tau_max: f64 = 2.0, POSITIVE, "largest temperature, at least `tau_min`";
        omega_dim / with_omega_dim: usize = 0, any(">= 0"), "width in the regulariser; 0 takes that of the embeddings";
    }
    also: |config: &Config| temperatures(config.tau_min, config.tau_max)
}

impl Config {
    fn temperatures(&self) -> Temperatures {
        let Self { tau_min, tau_max, omega_dim, .. } = *self;
        Temperatures { tau_min, tau_max, omega_dim }
    }
}

/// What the loss is computed from.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Predictor outputs of the first view, `[heads, batch, d]`.
    pub p1: Tensor<3>,
    /// Predictor outputs of the second view, `[heads, batch, d]`.
    pub p2: Tensor<3>,
    /// Projections of the first view, `[heads, batch, d]`.
    pub h1: Tensor<3>,
    /// Projections of the second view, `[heads, batch, d]`.
    pub h2: Tensor<3>,
    /// Temperature logits of the pairs of `p1`, `[heads, batch]`.
    pub t1: Tensor<2>,
    /// Temperature logits of the pairs of `p2`, `[heads, batch]`.
    pub t2: Tensor<2>,
}

/// Values per sample, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if shapes do not match or there are no heads.
pub fn amcl_simsiam(inputs: Inputs, config: &Config) -> Result<Tensor<1>, LossError> {
    let [heads, batch, dim] = check_heads(NAME, ("p1", &inputs.p1), ("h2", &inputs.h2))?;
    check_shape(NAME, "p2", &inputs.p2.dims(), &[heads, batch, dim])?;
    check_shape(NAME, "h1", &inputs.h1.dims(), &[heads, batch, dim])?;
    check_shape(NAME, "t1", &inputs.t1.dims(), &[heads, batch])?;
    check_shape(NAME, "t2", &inputs.t2.dims(), &[heads, batch])?;
    let temperatures = config.temperatures();
    let half = |prediction: Tensor<3>, projection: Tensor<3>, logits: Tensor<2>| {
        let cosine = unit(prediction, LENGTH_MIN) * unit(projection.detach(), LENGTH_MIN);
        let tau = temperatures.squash(logits);
        let nearness = cosine.sum_dim(2).reshape([heads, batch]) / (tau.clone() * 2.0);
        temperatures.omega(tau, dim) * config.beta - nearness
    };
    let values = half(inputs.p1, inputs.h2, inputs.t1) + half(inputs.p2, inputs.h1, inputs.t2);
    Ok(values.sum_dim(0).reshape([batch]))
}
