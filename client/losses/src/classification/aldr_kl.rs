//! ALDR-KL: LDR-KL whose temperature adapts to each training sample, lower where the model is surer.
//!
//! # Formula
//! With `f` the `logits` after `normalise`, `C` classes, `lambda'` the temperature remembered of the sample
//! (`lambda_prev`) and `g` as in [`ldr_kl`](mod@super::ldr_kl):
//!
//! - `q = softmax(f / lambda') + 1e-5`, divided by its sum, and `KL = sum_c q_c ln(C q_c)`;
//! - `lambda = lambda0 (1 - KL / (alpha ln C))`, a constant from here on, and what is remembered;
//! - `loss = lambda (ln sum_c exp(g_c / lambda) - ln C) - alpha ln C / (2 lambda0) (lambda - lambda0)^2`.
//!
//! # Shapes
//! `logits: [batch, classes]` with at least 2 classes, `targets: [batch]` with values in `0..classes`,
//! `lambda_prev: [batch]`, above 0; the result is `[batch]`, and so are the new temperatures.
//!
//! # Range and gradient
//! May be negative. Smooth; no gradient goes through `q` and `lambda`. `lambda` lies in
//! `[lambda0 (1 - 1/alpha), lambda0]` and is kept above 1e-8, which matters for `alpha = 1` only.
//!
//! # Choices
//! `1 - KL / (alpha ln C)` is computed as `(alpha - 1 + H / ln C) / alpha` with the entropy `H` of `q`, in which the
//! largest probability enters through the sum of the others: so small temperatures keep their digits. Before a
//! sample's first visit its temperature is `lambda0`. The temperatures tell which labels look wrong and stay at the
//! site. The defaults are those of the released code.
//!
//! # Source
//! Zhu, Ying, Yang: Label Distributionally Robust Losses for Multi-class Classification: Consistency, Robustness and
//! Adaptivity, ICML 2023, the ALDR-KL loss, as in the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::aldr_kl::{Config, aldr_kl};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[8.0, 0.0], [1.0, 1.0]], &device);
//! let targets = Tensor::<1, Int>::from_data([0, 1], &device);
//! let first_visit = Tensor::<1>::from_data([1.0, 1.0], &device);
//! let visit = aldr_kl(logits, targets, first_visit, &Config::default())?;
//! let lambda = visit.lambda_new.try_into_vec_as::<f32>().expect("on the CPU");
//! assert!(lambda[0] < lambda[1] && lambda[1] <= 1.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{IndexingUpdateOp, Int, Tensor, activation::softmax};

use super::ldr_kl::{Normalise, normalised, robust};
use crate::check;
use crate::error::LossError;
use crate::option::{Allowed, NON_NEGATIVE, POSITIVE, any, objective};
use crate::state::{Facts, LossState, Memory, Remembering, Targets};

/// The column of remembered temperatures.
const LAMBDA: &str = "lambda";

/// Added to probabilities, as in the released code.
const PROBABILITY_FLOOR: f64 = 1e-5;

/// Lower bound of a temperature, which everything is divided by.
const LAMBDA_MIN: f64 = 1e-8;

/// Below every probability that the floor allows; keeps `0 ln 0` at 0.
const ZERO: f64 = 1e-30;

const ADAPTED: Allowed<f64> = Allowed { test: |alpha| alpha.is_finite() && *alpha >= 1.0, text: "finite, >= 1" };

objective! {
    "aldr_kl", family: "classification", file: "aldr_kl.rs", role: Loss, tasks: [Classification],
    remembers: Local, cost: "O(B C), and one number per training sample",
    options: {
        lambda0 / with_lambda0: f64 = 1.0, POSITIVE, "temperature of a sample not seen before";
        alpha / with_alpha: f64 = 2.0, ADAPTED, "how little the temperature adapts";
        margin / with_margin: f64 = 0.1, NON_NEGATIVE, "by how much the true class must lead";
        normalise / with_normalise: Normalise = Normalise::L1Mean => "\"l1_mean\"", any("none | softplus_mean | l1_mean"),
            "of each row of logits";
    }
}

/// What comes of a visit to samples, each `[batch]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Visit {
    /// Values per sample.
    pub values: Tensor<1>,
    /// Their temperatures from now on, without gradient.
    pub lambda_new: Tensor<1>,
}

/// Values per sample and new temperatures for `logits: [batch, classes]`, `targets: [batch]` and the remembered
/// temperatures `lambda_prev: [batch]`, each above 0.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels and temperatures out of range are not looked for; see
/// [`check`].
pub fn aldr_kl(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    lambda_prev: Tensor<1>,
    config: &Config,
) -> Result<Visit, LossError> {
    let [batch, classes] = check::several_classes(NAME, &logits, &targets)?;
    if lambda_prev.dims() != [batch] {
        let expected = format!("[{batch}], one temperature per row of logits");
        let found = lambda_prev.dims().to_vec();
        return Err(LossError::Shape { loss: NAME, tensor: "lambda_prev", expected, found });
    }
    let f = normalised(logits, config.normalise);
    let log_classes = (classes as f64).ln();
    let spread = entropy(softmax(f.clone().detach() / lambda_prev.detach().reshape([batch, 1]), 1)) / log_classes;
    let lambda = (spread + (config.alpha - 1.0)) * (config.lambda0 / config.alpha);
    let lambda = lambda.clamp(LAMBDA_MIN, config.lambda0.max(LAMBDA_MIN));
    let distance = lambda.clone() - config.lambda0;
    let penalty = distance.clone() * distance * (config.alpha * log_classes / (2.0 * config.lambda0));
    let values = robust(f, targets, lambda.clone(), config.margin) - penalty.reshape([batch]);
    Ok(Visit { values, lambda_new: lambda.reshape([batch]) })
}

/// Entropy of each row of probabilities after the floor is added, `[batch, 1]`.
fn entropy(probs: Tensor<2>) -> Tensor<2> {
    let q = probs + PROBABILITY_FLOOR;
    let q = q.clone() / q.sum_dim(1);
    let top = q.clone().argmax(1);
    let largest = q.clone().gather(1, top.clone());
    let others = q.scatter(1, top, largest.neg(), IndexingUpdateOp::Add);
    let rest = others.clone().sum_dim(1);
    let of_others = (others.clone() * others.clamp_min(ZERO).log()).sum_dim(1);
    let of_largest = (rest.clone().neg() + 1.0) * rest.neg().log1p();
    (of_others + of_largest).neg()
}

/// Values per sample of samples that are visited for the first time.
pub(super) fn first_visit(logits: Tensor<2>, targets: Tensor<1, Int>, config: &Config) -> Result<Tensor<1>, LossError> {
    let lambda = Tensor::full([logits.dims()[0]], config.lambda0, (&logits.device(), logits.dtype()));
    Ok(aldr_kl(logits, targets, lambda, config)?.values)
}

impl Remembering for Config {
    fn initial(&self, facts: &Facts<'_>) -> LossState {
        LossState::default().with_samples(LAMBDA, facts.samples, self.lambda0 as f32)
    }

    fn objective(&self, outputs: Tensor<2>, targets: Targets, memory: &mut Memory<'_>) -> Result<Tensor<1>, LossError> {
        let labels = targets.labels(NAME)?;
        let lambda_prev = memory.read(LAMBDA, &outputs)?;
        let visit = aldr_kl(outputs, labels, lambda_prev, self)?;
        memory.write(LAMBDA, visit.lambda_new)?;
        Ok(visit.values.mean())
    }
}
