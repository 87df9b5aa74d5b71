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

use super::option::temperatures;
use super::similarity::{check_pair, check_shape, diagonal};
use crate::error::LossError;
use crate::option::{FINITE, NON_NEGATIVE, POSITIVE, RATE, SHARE, objective};
use crate::state::{LossState, Memory};

objective! {
    "isogclr_bimodal", family: "contrastive", file: "isogclr_bimodal.rs", role: Loss,
    tasks: [SelfSupervised, Retrieval],
    remembers: Local, cost: "O(B^2 D)",
    options: {
        gamma / with_gamma: f64 = 0.8, RATE, "say of the batch in the moving average of `s`";
        rho / with_rho: f64 = 6.0, FINITE,
            "distance from uniform that negatives may have; a larger one makes temperatures smaller";
        eta / with_eta: f64 = 0.03, POSITIVE, "step size of temperatures";
        beta_u / with_beta_u: f64 = 0.9, SHARE, "say of the batch in the moving average of the temperature's gradient";
        tau_min / with_tau_min: f64 = 0.005, POSITIVE, "smallest temperature";
        tau_max / with_tau_max: f64 = 1.0, POSITIVE, "largest temperature, at least `tau_min`";
        grad_clip / with_grad_clip: f64 = 5.0, POSITIVE, "largest size of the temperature's gradient";
        tau_initial / with_tau_initial: f64 = 0.01, POSITIVE, "temperature of samples never seen";
        eps / with_eps: f64 = 1e-10, NON_NEGATIVE, "addition to `s` where it divides";
    }
    also: |config: &Config| temperatures(config.tau_min, config.tau_max)
}

impl Config {
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
