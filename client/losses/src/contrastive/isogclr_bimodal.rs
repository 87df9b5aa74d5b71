//! iSogCLR for pairs of image and text: every image and every text of a site has a temperature that the data choose.
//!
//! # Formula
//! `D_ij = image_i . text_j`. On the image side, anchor `i` and `d_ij = D_ij - D_ii`; on the text side, anchor `j` and
//! the differences to `D_jj` over `i`. On each side, with sums over all `B` candidates, the positive included:
//!
//! 1. `a = d / tau`, `b' = max(b, max_j a)`, `e = exp(a - b')`, `g = sum_j e / (B - 1)`;
//! 2. `s' = (1 - gamma) s exp(b - b') + gamma g`, `w = e / (s' + eps)`;
//! 3. `loss = sum_j w d / (B - 1)`;
//! 4. `q = ln s' + b' + rho - sum_j w a / (B - 1)`, `u' = (1 - beta_u) u + beta_u q` with `q` within `+-grad_clip`,
//!    `tau' = tau - eta u'` within `[tau_min, tau_max]`.
//!
//! The value of a pair is the sum of both sides.
//!
//! # Shapes
//! `image, text: [batch, d]` with rows of length 1; each state `[batch]`; values are `[batch]`.
//!
//! # Range and gradient
//! The value is a surrogate, as in the form for two views. Weights and state are constants; gradients flow through
//! `D_ij` and `D_ii`. One pair is refused.
//!
//! # Choices
//! The state is local, and [`isogclr_bimodal`] keeps it by sample in a [`LossState`]. New samples begin with `s`, `b`
//! and `u` at 0. Defaults are those of the released code.
//!
//! # Source
//! Qiu, Hu, Yuan, Zhou, Zhang, Yang: Not All Semantics are Created Equal: Contrastive Self-supervised Learning with
//! Automatic Temperature Individualization, ICML 2023; `SogCLR_DRO_Loss` of the bimodal experiments in the released
//! code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::Memory;
//! use synod_losses::contrastive::isogclr_bimodal::{Config, isogclr_bimodal};
//!
//! let config = Config::default();
//! let mut state = config.initial(3);
//! let z = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
//! let values = isogclr_bimodal(z.clone(), z, &mut Memory::new(&mut state, &[2, 0]), &config)?;
//! assert_eq!(values.dims(), [2]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::option::{finite, fraction, temperatures, unit_interval};
use super::similarity::{check_pair, check_shape, diagonal};
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{not_negative, positive};
use crate::state::{LossState, Memory};

const NAME: &str = "isogclr_bimodal";

/// Options of iSogCLR for pairs of image and text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Say of the batch in the moving average of `s`, above 0 and at most 1.
    pub gamma: f64,
    /// How far the distribution of negatives may be from uniform, finite; a larger one makes temperatures smaller.
    pub rho: f64,
    /// Step size of temperatures, finite and above 0.
    pub eta: f64,
    /// Say of the batch in the moving average of the temperature's gradient, 0 to 1.
    pub beta_u: f64,
    /// Smallest temperature, above 0.
    pub tau_min: f64,
    /// Largest temperature, finite and at least `tau_min`.
    pub tau_max: f64,
    /// Largest size of the temperature's gradient, finite and above 0.
    pub grad_clip: f64,
    /// Temperature of samples never seen, within the limits.
    pub tau_initial: f64,
    /// Added to `s` where it divides, finite and at least 0.
    pub eps: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            gamma: 0.8,
            rho: 6.0,
            eta: 0.03,
            beta_u: 0.9,
            tau_min: 0.005,
            tau_max: 1.0,
            grad_clip: 5.0,
            tau_initial: 0.01,
            eps: 1e-10,
        }
    }
}

impl Config {
    /// Sets the say of the batch in the moving average of `s`.
    #[must_use]
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// Sets how far the distribution of negatives may be from uniform.
    #[must_use]
    pub fn with_rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets the step size of temperatures.
    #[must_use]
    pub fn with_eta(mut self, eta: f64) -> Self {
        self.eta = eta;
        self
    }

    /// Sets the limits of temperatures and that of samples never seen.
    #[must_use]
    pub fn with_temperatures(mut self, tau_min: f64, tau_initial: f64, tau_max: f64) -> Self {
        (self.tau_min, self.tau_initial, self.tau_max) = (tau_min, tau_initial, tau_max);
        self
    }

    /// Sets the moving average of the temperature's gradient and its largest size.
    #[must_use]
    pub fn with_gradient(mut self, beta_u: f64, grad_clip: f64) -> Self {
        (self.beta_u, self.grad_clip) = (beta_u, grad_clip);
        self
    }

    /// The state of a site with `samples` training samples before the first step.
    #[must_use]
    pub fn initial(&self, samples: usize) -> LossState {
        let column = |state: LossState, side: &Columns| {
            let state = state.with_samples(side.s, samples, 0.0).with_samples(side.b, samples, 0.0);
            state.with_samples(side.u, samples, 0.0).with_samples(side.tau, samples, self.tau_initial as f32)
        };
        column(column(LossState::default(), &IMAGE), &TEXT)
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "contrastive",
        role: Role::Loss,
        tasks: &[TaskKind::SelfSupervised, TaskKind::Retrieval],
        options: &[
            OptionInfo::new("gamma", "0.8", "> 0, <= 1", "say of the batch in the moving average of s"),
            OptionInfo::new("rho", "6.0", "finite", "how far negatives may be from uniform"),
            OptionInfo::new("eta", "0.03", "finite, > 0", "step size of temperatures"),
            OptionInfo::new("beta_u", "0.9", "0 to 1", "say of the batch in the temperature's gradient"),
            OptionInfo::new("tau_min", "0.005", "> 0", "smallest temperature"),
            OptionInfo::new("tau_max", "1.0", "finite, >= tau_min", "largest temperature"),
            OptionInfo::new("grad_clip", "5.0", "finite, > 0", "largest size of the temperature's gradient"),
            OptionInfo::new("tau_initial", "0.01", "> 0", "temperature of samples never seen"),
            OptionInfo::new("eps", "1e-10", "finite, >= 0", "added to s where it divides"),
        ],
        remembers: Remembers::Local,
        cost: "O(B^2 D)",
        file: include_str!("isogclr_bimodal.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        fraction("gamma", self.gamma)?;
        finite("rho", self.rho)?;
        positive("eta", self.eta)?;
        unit_interval("beta_u", self.beta_u)?;
        temperatures(self.tau_min, self.tau_max)?;
        positive("grad_clip", self.grad_clip)?;
        positive("tau_initial", self.tau_initial)?;
        not_negative("eps", self.eps)?;
        Ok(self)
    }
}

/// What is remembered of one side of the pairs of a batch, each `[batch]`.
#[derive(Debug, Clone)]
pub struct Side {
    /// Moving averages `s`, relative to `exp(b)`.
    pub s: Tensor<1>,
    /// Largest exponents so far.
    pub b: Tensor<1>,
    /// Moving averages of the temperatures' gradients.
    pub u: Tensor<1>,
    /// Temperatures.
    pub tau: Tensor<1>,
}

/// What comes out of a step.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Step {
    /// Values per pair, `[batch]`, whose mean is minimised.
    pub values: Tensor<1>,
    /// What is to be remembered of the images.
    pub image: Side,
    /// What is to be remembered of the texts.
    pub text: Side,
}

/// Values per pair, `[batch]`, for `image, text: [batch, d]` with rows of length 1. Reads what is remembered of the
/// samples and writes what is to be remembered, for which it waits for the device.
///
/// # Errors
/// As [`step`]; [`LossError::Memory`] if the memory is of another loss or of other data.
pub fn isogclr_bimodal(
    image: Tensor<2>,
    text: Tensor<2>,
    memory: &mut Memory<'_>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let (of_image, of_text) = (IMAGE.read(memory, &image)?, TEXT.read(memory, &image)?);
    let Step { values, image, text } = step(image, text, of_image, of_text, config)?;
    IMAGE.write(memory, image)?;
    TEXT.write(memory, text)?;
    Ok(values)
}

/// One step from a given state of images and texts, for `image, text: [batch, d]` with rows of length 1.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are fewer than two pairs or shapes do not match.
pub fn step(
    image: Tensor<2>,
    text: Tensor<2>,
    of_image: Side,
    of_text: Side,
    config: &Config,
) -> Result<Step, LossError> {
    let [batch, _] = check_pair(NAME, ("image", &image), ("text", &text), 2)?;
    for side in [&of_image, &of_text] {
        for (name, column) in [("s", &side.s), ("b", &side.b), ("u", &side.u), ("tau", &side.tau)] {
            check_shape(NAME, name, &column.dims(), &[batch])?;
        }
    }
    let similarities = image.matmul(text.transpose());
    let positives = diagonal(similarities.clone());
    let (of_images, image) = one_side(similarities.clone() - positives.clone(), of_image, config);
    let (of_texts, text) = one_side(similarities.transpose() - positives, of_text, config);
    Ok(Step { values: of_images + of_texts, image, text })
}

/// Values and state of the anchors in the rows of `differences: [batch, batch]`.
fn one_side(differences: Tensor<2>, side: Side, config: &Config) -> (Tensor<1>, Side) {
    let [batch, _] = differences.dims();
    let others = (batch - 1) as f64;
    let column = |values: Tensor<1>| values.detach().reshape([batch, 1]);
    let (tau, s, b) = (column(side.tau), column(side.s), column(side.b));
    let scaled = differences.clone().detach() / tau.clone();
    let largest = b.clone().max_pair(scaled.clone().max_dim(1));
    let exponentials = (scaled.clone() - largest.clone()).exp();
    let kept = s * (b - largest.clone()).exp() * (1.0 - config.gamma);
    let s = kept + exponentials.clone().sum_dim(1) * (config.gamma / others);
    let weights = exponentials / (s.clone() + config.eps) / others;
    let values = (weights.clone() * differences).sum_dim(1).reshape([batch]);
    let q = s.clone().log() + largest.clone() + config.rho - (weights * scaled).sum_dim(1);
    let q = q.clamp(-config.grad_clip, config.grad_clip);
    let u = column(side.u) * (1.0 - config.beta_u) + q * config.beta_u;
    let tau = (tau - u.clone() * config.eta).clamp(config.tau_min, config.tau_max);
    let flat = |column: Tensor<2>| column.reshape([batch]);
    (values, Side { s: flat(s), b: flat(largest), u: flat(u), tau: flat(tau) })
}

/// Names of the columns of one side.
struct Columns {
    s: &'static str,
    b: &'static str,
    u: &'static str,
    tau: &'static str,
}

const IMAGE: Columns = Columns { s: "s_image", b: "b_image", u: "u_image", tau: "tau_image" };
const TEXT: Columns = Columns { s: "s_text", b: "b_text", u: "u_text", tau: "tau_text" };

impl Columns {
    fn read(&self, memory: &Memory<'_>, like: &Tensor<2>) -> Result<Side, LossError> {
        let read = |name| memory.read(name, like);
        Ok(Side { s: read(self.s)?, b: read(self.b)?, u: read(self.u)?, tau: read(self.tau)? })
    }

    fn write(&self, memory: &mut Memory<'_>, side: Side) -> Result<(), LossError> {
        memory.write(self.s, side.s)?;
        memory.write(self.b, side.b)?;
        memory.write(self.u, side.u)?;
        memory.write(self.tau, side.tau)
    }
}
