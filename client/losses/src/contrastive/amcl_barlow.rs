//! Adaptive multi-head learning, Barlow Twins form: each entry of the correlation has a temperature.
//!
//! # Formula
//! For each head, `C = n(z1)^T n(z2) / B` with `n(z)` the columns of `z` less their mean and over their deviation,
//! variances divided by `B - 1`; `tau = tau_min + (tau_max - tau_min) sigmoid(t)`;
//! `Omega(tau) = (d' / 2) ln tau + 1 / tau`:
//!
//! - `on_diag = sum_l (1 - C_ll / tau_ll)^2`, `off_diag = sum_{l != m} C_lm^2 / tau_lm`;
//! - `regulariser = sum_l Omega(tau_ll) - sum_{l != m} Omega(tau_lm)`;
//! - `loss = sum_c ( on_diag + lambda off_diag + beta regulariser )`.
//!
//! # Shapes
//! `z1, z2: [heads, batch, d]`, `t: [heads, d, d]`; each part is `[1]`, because correlations are over the whole batch.
//!
//! # Range and gradient
//! Smooth, and not bounded by 0: the regulariser may have any sign. A constant column becomes zeros without a
//! gradient. One sample is refused. Gradients reach both views and the temperatures.
//!
//! # Choices
//! The logits of the temperatures are an input: how the paper computes temperatures between features is not known.
//! `omega_dim = 0` takes `d` as `d'`. The default `tau_min` is 0.05, as for the SimCLR form.
//!
//! # Source
//! Wang, Koniusz, Gedeon, Zheng: Adaptive Multi-head Contrastive Learning, ECCV 2024, as tabulated with the
//! released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::amcl_barlow::{Config, amcl_barlow};
//!
//! let device = Device::flex();
//! let z = Tensor::<3>::from_data([[[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]], &device);
//! let config = Config::default().with_tau_min(0.75).with_tau_max(0.75);
//! let parts = amcl_barlow(z.clone(), z, Tensor::zeros([1, 2, 2], &device), &config)?;
//! assert!(parts.on_diagonal.into_scalar::<f32>() < 1e-8, "C_ll is 3/4, as is the temperature");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::adaptive_temperature::Temperatures;
use super::amcl_simclr::check_heads;
use super::option::temperatures;
use super::similarity::{check_shape, is_diagonal, shape_error, standardise};
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "amcl_barlow", family: "contrastive", file: "amcl_barlow.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(B D^2)",
    options: {
        beta / with_beta: f64 = 0.1, NON_NEGATIVE, "weight of what keeps temperatures in check";
        lambda / with_lambda: f64 = 0.005, POSITIVE, "weight of the entries off the diagonal";
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

/// The parts of the loss, summed over heads, each `[1]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Distance of the diagonal from 1.
    pub on_diagonal: Tensor<1>,
    /// Distance of the rest from 0, not yet weighted.
    pub off_diagonal: Tensor<1>,
    /// What keeps temperatures in check, not yet weighted.
    pub regulariser: Tensor<1>,
}

impl Parts {
    /// What is minimised, `[1]`.
    #[must_use]
    pub fn loss(self, config: &Config) -> Tensor<1> {
        self.on_diagonal + self.off_diagonal * config.lambda + self.regulariser * config.beta
    }
}

/// The parts of the loss, for the views `z1, z2: [heads, batch, d]` and temperature logits `t: [heads, d, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if shapes do not match, there are no heads or fewer than two
/// samples.
pub fn amcl_barlow(z1: Tensor<3>, z2: Tensor<3>, t: Tensor<3>, config: &Config) -> Result<Parts, LossError> {
    let [heads, batch, dim] = check_heads(NAME, ("z1", &z1), ("z2", &z2))?;
    check_shape(NAME, "t", &t.dims(), &[heads, dim, dim])?;
    if batch < 2 {
        return Err(shape_error(NAME, "z1", "[heads, n, d] with n >= 2".to_owned(), &[heads, batch, dim]));
    }
    let standardised = |z| standardise(z, 1, batch as f64 - 1.0, 0.0);
    let correlation = standardised(z1).swap_dims(1, 2).matmul(standardised(z2)) / batch as f64;
    let temperatures = config.temperatures();
    let tau = temperatures.squash(t);
    let omega = temperatures.omega(tau.clone(), dim);

    let on = is_diagonal(dim, &tau.device()).unsqueeze::<3>().expand([heads, dim, dim]);
    let off = on.clone().bool_not();
    let sum_on = |entries: Tensor<3>| entries.mask_fill(off.clone(), 0.0).sum();
    let sum_off = |entries: Tensor<3>| entries.mask_fill(on.clone(), 0.0).sum();
    let distance = (correlation.clone() / tau.clone() - 1.0).square();
    Ok(Parts {
        on_diagonal: sum_on(distance),
        off_diagonal: sum_off(correlation.square() / tau),
        regulariser: sum_on(omega.clone()) - sum_off(omega),
    })
}
