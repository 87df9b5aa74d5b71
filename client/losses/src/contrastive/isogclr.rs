//! iSogCLR: contrastive learning in which every sample of a site has a temperature that the data choose.
//!
//! # Formula
//! With `Z` the `2 B` rows of `z1` and `z2`, `S = Z Z^T`, `k` the sample of row `i`, `i+` the row with its other view,
//! and sums over the `m = 2 B - 2` rows `j` of other samples:
//!
//! 1. `a_ij = S_ij / tau_k`, `g_i = sum_j exp(a_ij) / m`;
//! 2. `s_i = (1 - gamma) s_k + gamma g_i`, and `s_i = g_i` for samples seen for the first time;
//! 3. `loss_i = sum_j w_ij S_ij / m - S_ii+` with `w_ij = exp(a_ij) / s_i`;
//! 4. `q_i = ln s_i + rho - sum_j w_ij a_ij / m`, `q_k` the mean of both views within `+-grad_clip`;
//! 5. `s_k` becomes the mean of both views, `u_k` becomes `(1 - beta_u) u_k + beta_u q_k`, `tau_k` becomes
//!    `tau_k - eta u_k` within `[tau_min, tau_max]`.
//!
//! The value of a sample is the sum over its two views.
//!
//! # Shapes
//! `z1, z2: [batch, d]` with rows of length 1; the state `log_s, tau, u: [batch]`; values are `[batch]`.
//!
//! # Range and gradient
//! The value is a surrogate whose gradient is right and whose number is not: watch
//! [`robust_contrastive`](super::robust_contrastive()). Weights and state are constants, only `S` carries a gradient.
//! With `gamma = 1` the gradient is twice that of the robust objective. One sample is refused.
//!
//! # Choices
//! `s` is kept as its logarithm and weights are computed from it: nothing overflows at temperatures below 0.012. The
//! state of a sample is local, it says how common the sample is; [`isogclr`] keeps it in a [`LossState`] by sample, to
//! be stored with the site's data. A sample that was never seen follows the rule of the first epoch. Defaults are the
//! command recommended with the released code.
//!
//! # Source
//! Qiu, Hu, Yuan, Zhou, Zhang, Yang: Not All Semantics are Created Equal: Contrastive Self-supervised Learning with
//! Automatic Temperature Individualization, ICML 2023; `SogCLR_DRO_Loss` in the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::Memory;
//! use synod_losses::contrastive::isogclr::{Config, isogclr};
//!
//! let config = Config::default();
//! let mut state = config.initial(100);
//! let z = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
//! let values = isogclr(z.clone(), z, &mut Memory::new(&mut state, &[17, 4]), &config)?;
//! assert_eq!(values.dims(), [2]);
//! assert!(state.columns().any(|(name, values)| name == "tau" && values[17] != values[0]));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Bool, Tensor};

use super::option::temperatures;
use super::similarity::{EXCLUDED, check_pair, check_shape, is_diagonal, log_sum_exp};
use crate::error::LossError;
use crate::option::{FINITE, POSITIVE, RATE, SHARE, any, objective};
use crate::state::{LossState, Memory};

objective! {
    "isogclr", family: "contrastive", file: "isogclr.rs", role: Loss, tasks: [SelfSupervised],
    remembers: Local, cost: "O(B^2 D)",
    options: {
        gamma / with_gamma: f64 = 0.8, RATE, "say of the batch in the moving average of `s`";
        rho / with_rho: f64 = 0.4, FINITE,
            "distance from uniform that negatives may have; a larger one makes temperatures smaller";
        eta / with_eta: f64 = 0.03, POSITIVE, "step size of temperatures";
        beta_u / with_beta_u: f64 = 0.5, SHARE, "say of the batch in the moving average of the temperature's gradient";
        tau_min / with_tau_min: f64 = 0.05, POSITIVE, "smallest temperature";
        tau_max / with_tau_max: f64 = 1.0, POSITIVE, "largest temperature, at least `tau_min`";
        grad_clip / with_grad_clip: f64 = 3.0, POSITIVE, "largest size of the temperature's gradient";
        tau_initial / with_tau_initial: f64 = 0.1, POSITIVE, "temperature of samples never seen";
        first_epoch / with_first_epoch: bool = false, any("true | false"),
            "choice whether all samples count as seen for the first time";
    }
    also: |config: &Config| temperatures(config.tau_min, config.tau_max)
}

impl Config {
    /// The state of a site with `samples` training samples before the first step.
    #[must_use]
    pub fn initial(&self, samples: usize) -> LossState {
        let state = LossState::default().with_samples(LOG_S, samples, EXCLUDED as f32);
        state.with_samples(TAU, samples, self.tau_initial as f32).with_samples(U, samples, 0.0)
    }
}

/// What is remembered of the samples of a batch, each `[batch]`.
#[derive(Debug, Clone)]
pub struct State {
    /// Logarithm of the moving average `s`; -1e30 for 0.
    pub log_s: Tensor<1>,
    /// Temperatures.
    pub tau: Tensor<1>,
    /// Moving averages of the temperatures' gradients.
    pub u: Tensor<1>,
}

/// What comes out of a step, each `[batch]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Step {
    /// Values per sample, whose mean is minimised.
    pub values: Tensor<1>,
    /// What is to be remembered.
    pub state: State,
    /// Gradients of the temperatures within their limit, `q_k` of the formula.
    pub tau_gradient: Tensor<1>,
}

/// Values per sample, `[batch]`, for the views `z1, z2: [batch, d]` with rows of length 1. Reads what is remembered of
/// the samples and writes what is to be remembered, for which it waits for the device.
///
/// # Errors
/// As [`step`]; [`LossError::Memory`] if the memory is of another loss or of other data.
pub fn isogclr(z1: Tensor<2>, z2: Tensor<2>, memory: &mut Memory<'_>, config: &Config) -> Result<Tensor<1>, LossError> {
    let state = State { log_s: memory.read(LOG_S, &z1)?, tau: memory.read(TAU, &z1)?, u: memory.read(U, &z1)? };
    let never_seen = state.log_s.clone().lower_equal_scalar(EXCLUDED / 2.0);
    let Step { values, state, .. } = step_with(z1, z2, state, Some(never_seen), config)?;
    memory.write(LOG_S, state.log_s)?;
    memory.write(TAU, state.tau)?;
    memory.write(U, state.u)?;
    Ok(values)
}

/// One step from a given state, for the views `z1, z2: [batch, d]` with rows of length 1. Whether samples count as
/// seen for the first time, `first_epoch` decides for all of them.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are fewer than two samples or shapes do not match.
pub fn step(z1: Tensor<2>, z2: Tensor<2>, state: State, config: &Config) -> Result<Step, LossError> {
    step_with(z1, z2, state, None, config)
}

fn step_with(
    z1: Tensor<2>,
    z2: Tensor<2>,
    state: State,
    never_seen: Option<Tensor<1, Bool>>,
    config: &Config,
) -> Result<Step, LossError> {
    let [batch, _] = check_pair(NAME, ("z1", &z1), ("z2", &z2), 2)?;
    for (name, column) in [("log_s", &state.log_s), ("tau", &state.tau), ("u", &state.u)] {
        check_shape(NAME, name, &column.dims(), &[batch])?;
    }
    let rows = 2 * batch;
    let negatives = (rows - 2) as f64;
    let partners = (z1.clone() * z2.clone()).sum_dim(1);
    let embeddings = Tensor::cat(vec![z1, z2], 0);
    let similarities = embeddings.clone().matmul(embeddings.transpose());
    let of_rows = |column: &Tensor<1>| column.clone().detach().repeat_dim(0, 2).reshape([rows, 1]);

    // 1 and 2, in logarithms.
    let own = is_diagonal(batch, &similarities.device()).repeat(&[2, 2]);
    let scaled = similarities.clone().detach() / of_rows(&state.tau);
    let log_g = log_sum_exp(scaled.clone().mask_fill(own.clone(), EXCLUDED)) - negatives.ln();
    let log_s = if config.first_epoch {
        log_g
    } else {
        let kept = of_rows(&state.log_s) + (1.0 - config.gamma).max(f64::MIN_POSITIVE).ln();
        let averaged = log_sum_exp(Tensor::cat(vec![kept, log_g.clone() + config.gamma.ln()], 1));
        match never_seen {
            Some(samples) => averaged.mask_where(samples.repeat_dim(0, 2).reshape([rows, 1]), log_g),
            None => averaged,
        }
    };

    // 3 and 4.
    let weights = (scaled.clone() - log_s.clone()).exp().mask_fill(own, 0.0) / negatives;
    let both = |of_rows: Tensor<2>| of_rows.reshape([2, batch]).sum_dim(0).reshape([batch]);
    let values = both((weights.clone() * similarities).sum_dim(1)) - partners.reshape([batch]) * 2.0;
    let q = log_s.clone() + config.rho - (weights * scaled).sum_dim(1);
    let tau_gradient = (both(q) / 2.0).clamp(-config.grad_clip, config.grad_clip);

    // 5. The mean of both s, from their logarithms.
    let log_s = log_sum_exp(log_s.reshape([2, batch]).transpose()).reshape([batch]) - 2f64.ln();
    let u = state.u.detach() * (1.0 - config.beta_u) + tau_gradient.clone() * config.beta_u;
    let tau = (state.tau.detach() - u.clone() * config.eta).clamp(config.tau_min, config.tau_max);
    Ok(Step { values, state: State { log_s, tau, u }, tau_gradient })
}

const LOG_S: &str = "log_s";
const TAU: &str = "tau";
const U: &str = "u";
