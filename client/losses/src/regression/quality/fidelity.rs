//! Fidelity: the chance that one sample is better than another, as predicted, learns the one that labels give.
//!
//! # Formula
//! With the mean level of each sample (`m`, its variance `v`) and labelled scores `S` of deviation `d`:
//!
//! `p = (1 + erf((m_a - m_b) / 2)) / 2` (`fix_std`) or `(1 + erf((m_a - m_b) / sqrt(2 (v_a + v_b + 1e-8)))) / 2`,
//! `t = (1 + erf((S_a - S_b) / sqrt(2 (d_a^2 + d_b^2 + 1e-8)))) / 2`,
//! `loss = 1 - sqrt(p t + 1e-8) - sqrt((1 - p) (1 - t) + 1e-8)`
//!
//! # Shapes
//! Of each side of the pairs `logits: [pairs, columns]`, `score` and `std`: `[pairs]`; the result is `[pairs]`.
//!
//! # Range and gradient
//! From -1e-4 to 1, about 0 for equal chances. The sides can be exchanged. Smooth; only logits get a gradient.
//!
//! # Choices
//! `closed` levels are a softmax over their five columns, others share it with all columns. With `detach_std` predicted
//! variances are constants. Pairs are made within a site, whose scale then does not matter.
//!
//! # Source
//! You et al.: Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution, CVPR
//! 2025; official code, `rating_loss`. Fidelity by Tsai et al., SIGIR 2007.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::quality::{Levels, fidelity::{Config, Side, fidelity}};
//!
//! let device = Device::flex();
//! let one = |value: f32| Tensor::<1>::from_data([value], &device);
//! let side = Side { logits: Tensor::zeros([1, 5], &device), score: one(3.0), std: one(1.0) };
//! let values = fidelity(side.clone(), side, &Levels::new([0, 1, 2, 3, 4])?, &Config::default())?;
//! assert!(values.loss.into_scalar::<f32>().abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::levels::Levels;
use crate::check;
use crate::error::LossError;
use crate::option::{any, objective};

objective! {
    "fidelity", family: "regression", file: "fidelity.rs", role: Loss, tasks: [RegressionInContext],
    remembers: None, cost: "O(B C)",
    options: {
        closed / with_closed: bool = true, any("true, false"), "choice of a softmax over the five levels only";
        fix_std / with_fix_std: bool = true, any("true, false"), "choice of variance 1 for all predictions";
        detach_std / with_detach_std: bool = true, any("true, false"), "choice of predicted variances as constants";
    }
}

/// One side of the pairs.
#[derive(Debug, Clone)]
pub struct Side {
    /// Of the model, `[pairs, columns]`.
    pub logits: Tensor<2>,
    /// Labelled scores, `[pairs]`.
    pub score: Tensor<1>,
    /// Their deviations, at least 0, `[pairs]`.
    pub std: Tensor<1>,
}

/// Values per pair, `[pairs]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub loss: Tensor<1>,
    /// The predicted chance that the first is better.
    pub prediction: Tensor<1>,
    /// The labelled chance.
    pub target: Tensor<1>,
}

/// Keeps roots and divisors from 0, as in the official code.
const EPSILON: f64 = 1e-8;

/// Values per pair.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn fidelity(a: Side, b: Side, levels: &Levels, config: &Config) -> Result<Values, LossError> {
    let pairs = levels.check(NAME, "logits_a", &a.logits)?;
    if levels.check(NAME, "logits_b", &b.logits)? != pairs {
        let (expected, found) = (format!("[{pairs}, columns]"), b.logits.dims().to_vec());
        return Err(LossError::Shape { loss: NAME, tensor: "logits_b", expected, found });
    }
    for (name, tensor) in [("score_a", &a.score), ("std_a", &a.std), ("score_b", &b.score), ("std_b", &b.std)] {
        check::vector(NAME, name, tensor, pairs)?;
    }
    let (left, right) = (levels.score(a.logits, config.closed)?, levels.score(b.logits, config.closed)?);
    let variance = left.variance + right.variance;
    let z = left.mean - right.mean;
    let z = match (config.fix_std, config.detach_std) {
        (true, _) => z * 0.5,
        (false, true) => scaled(z, variance.detach()),
        (false, false) => scaled(z, variance),
    };
    let variance = (a.std.clone() * a.std + b.std.clone() * b.std).detach();
    let target = scaled((a.score - b.score).detach(), variance);
    let root = |p: Tensor<1>, t: Tensor<1>| (p * t + EPSILON).sqrt();
    let agreement = root(chance(z.clone()), chance(target.clone()));
    let against = root(chance(z.clone().neg()), chance(target.clone().neg()));
    Ok(Values { loss: (agreement + against).neg() + 1.0, prediction: chance(z), target: chance(target) })
}

fn scaled(difference: Tensor<1>, variance: Tensor<1>) -> Tensor<1> {
    difference / ((variance + EPSILON) * 2.0).sqrt()
}

/// Up to here `(1 + erf(z)) / 2` keeps its digits.
const NEAR: f64 = 1.0;

/// `(1 + erf(z)) / 2`, and as exact when it is near 0, where the sum would cancel.
pub(super) fn chance(z: Tensor<1>) -> Tensor<1> {
    let far = z.clone().abs().greater_scalar(NEAR);
    let near = (z.clone().mask_fill(far.clone(), 0.0).erf() + 1.0) * 0.5;
    let tail = half_erfc(z.clone().abs().clamp_min(NEAR));
    let tail = tail.clone().mask_where(z.greater_scalar(0.0), tail.neg() + 1.0);
    near.mask_where(far, tail)
}

/// `erfc(x) / 2` for `x >= 0` with a relative error below 1.2e-7: a polynomial in `t = 1 / (1 + x / 2)` in the exponent,
/// from Press et al., Numerical Recipes, section 6.2.
fn half_erfc(x: Tensor<1>) -> Tensor<1> {
    const COEFFICIENTS: [f64; 9] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
    ];
    let t = (x.clone() * 0.5 + 1.0).recip();
    let polynomial = COEFFICIENTS.iter().fold(t.zeros_like(), |sum, coefficient| (sum + *coefficient) * t.clone());
    let exponent = polynomial - x.clone() * x - 1.265_512_23;
    t * exponent.exp() * 0.5
}
