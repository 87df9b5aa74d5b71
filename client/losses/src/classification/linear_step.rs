//! Full-batch steps of a linear classifier of two classes, from logistic regression to the batch perceptron.
//!
//! # Formula
//! For rows `a_i` of `features` with labels `y_i`, margins `m_i = y_i <a_i, theta>` and `w_i = 1 / (1 + exp(m_i))`, one
//! step adds to `theta`
//!
//! - `lr_gd`: `gamma / n` times `sum w_i y_i a_i`, a gradient step on the logistic loss;
//! - `normalized_lr_gd`: `gamma (sum w_i y_i a_i) / (sum w_i)`, that step times `beta = 1 / mean w_i`;
//! - `batch_perceptron`: `(1 / n) sum over m_i <= 0 of y_i a_i`; step 0 adds `(1 / (2 n)) sum y_i a_i` instead;
//! - `normalized_batch_perceptron`: the mean of `y_i a_i` over the rows with `m_i <= 0`, nothing if there are none.
//!
//! # Shapes
//! `features: [n, d]`, `labels: [n]` of -1 and 1, `theta: [d]`.
//!
//! # Range and gradient
//! No gradient is needed; [`logistic_loss`] has one, for those who look. From `theta = 0` on separable rows of length
//! at most `R` with margin `mu`, the normalised rule is done within `R^2 / mu^2 + 2 ln(2 n - 1) / (gamma mu^2)` steps,
//! the batch perceptron within `n R^2 / mu^2`. The logistic loss may rise while errors get fewer. With `theta` zero and
//! a large `gamma`, `theta / gamma` of `lr_gd` is the batch perceptron.
//!
//! # Choices
//! A site's part of a step are [`Sums`], `d + 4` numbers. They add up to those of all rows however the rows are split,
//! so a federated step is the pooled one. Late in training every `w_i` underflows; they are kept relative to the largest.
//! The default is the normalised rule with `gamma = 10`; larger steps are better, 10 to 100. Perceptrons ignore `gamma`.
//!
//! # Source
//! Tyurin: From Logistic Regression to the Perceptron Algorithm: Exploring Gradient Descent with Large Step Sizes,
//! AAAI 2025.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::linear_step::{Config, optimise};
//!
//! let device = Device::flex();
//! let features = Tensor::<2>::from_data([[1.0, 0.5], [-1.0, 0.25]], &device);
//! let labels = Tensor::<1, Int>::from_data([1, -1], &device);
//! let trace = optimise(&[(features, labels)], &[0.0, 0.0], 3, &Config::default())?;
//! assert_eq!(trace.misclassified_before_step, [2, 0, 0]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::log_sigmoid};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::LossError;
use crate::host::{read, read_whole};
use crate::option::{POSITIVE, any, constants, objective};
use crate::stable::softplus;

/// Which rule makes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Gradient descent on the logistic loss.
    LrGd,
    /// The same, divided by the mean weight.
    NormalizedLrGd,
    /// Sum of the misclassified rows over the number of rows.
    BatchPerceptron,
    /// Mean of the misclassified rows.
    NormalizedBatchPerceptron,
}

objective! {
    "linear_step", family: "classification", file: "linear_step.rs", role: Step, tasks: [Binary],
    remembers: None, cost: "O(B D)",
    options: {
        method / with_method: Method = Method::NormalizedLrGd => "\"normalized_lr_gd\"", any("lr_gd | normalized_lr_gd | batch_perceptron | normalized_batch_perceptron"),
            "which rule makes a step";
        gamma / with_gamma: f64 = 10.0, POSITIVE, "step size of the logistic rules";
    }
}

/// What a site reports for one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// `sum w_i y_i a_i`, divided by `exp(log_scale)`.
    pub direction: Vec<f64>,
    /// `sum w_i`, divided by `exp(log_scale)`.
    pub weight: f64,
    /// Logarithm of the largest `w_i` of the logistic rules; 0 for perceptrons.
    pub log_scale: f64,
    /// Rows.
    pub samples: u64,
    /// Rows with `m_i <= 0`.
    pub misclassified: u64,
}

impl Sums {
    /// Those of this site's rows and another's.
    ///
    /// # Errors
    /// [`LossError::Shape`] if the two have another number of features.
    pub fn merge(self, other: &Self) -> Result<Self, LossError> {
        check_length("direction", other.direction.len(), self.direction.len())?;
        let log_scale = self.log_scale.max(other.log_scale);
        let (own, others) = ((self.log_scale - log_scale).exp(), (other.log_scale - log_scale).exp());
        let directions = self.direction.iter().zip(&other.direction);
        Ok(Self {
            direction: directions.map(|(left, right)| left * own + right * others).collect(),
            weight: self.weight * own + other.weight * others,
            log_scale,
            samples: self.samples + other.samples,
            misclassified: self.misclassified + other.misclassified,
        })
    }

    /// Makes the step that these sums of all sites give.
    ///
    /// # Errors
    /// [`LossError::Shape`] if `theta` has another number of features.
    pub fn apply(&self, theta: &mut [f64], config: &Config) -> Result<(), LossError> {
        check_length("theta", theta.len(), self.direction.len())?;
        let factor = match config.method {
            Method::LrGd => config.gamma * self.log_scale.exp() / self.samples as f64,
            Method::BatchPerceptron => 1.0 / self.samples as f64,
            _ if self.weight == 0.0 => return Ok(()),
            Method::NormalizedLrGd => config.gamma / self.weight,
            Method::NormalizedBatchPerceptron => 1.0 / self.weight,
        };
        for (theta, direction) in theta.iter_mut().zip(&self.direction) {
            *theta += factor * direction;
        }
        Ok(())
    }
}

/// The sums of one site's rows for step number `step`, counted from 0. Waits for the device.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], [`LossError::Read`]. Labels other than -1 and 1 are not looked for;
/// see [`validate_signs`].
pub fn sums(
    features: &Tensor<2>,
    labels: &Tensor<1, Int>,
    theta: &[f64],
    step: usize,
    config: &Config,
) -> Result<Sums, LossError> {
    let (rows, margins) = signed(features, labels, constants(features, theta))?;
    let wrong = margins.clone().lower_equal_scalar(0.0).int();
    let misclassified = read_whole("margins", &wrong.clone().sum())?;
    let (weights, log_scale) = match config.method {
        Method::LrGd | Method::NormalizedLrGd => {
            let logs = log_sigmoid(margins.neg());
            let largest = logs.clone().max();
            ((logs - largest.clone()).exp(), read("weights", &largest)?[0])
        }
        Method::BatchPerceptron if step == 0 => (margins.full_like(0.5), 0.0),
        Method::BatchPerceptron | Method::NormalizedBatchPerceptron => (wrong.float().cast(margins.dtype()), 0.0),
    };
    let [samples] = weights.dims();
    let direction = weights.clone().reshape([1, samples]).matmul(rows);
    Ok(Sums {
        direction: read("direction", &direction)?,
        weight: read("weights", &weights.sum())?[0],
        log_scale,
        samples: samples as u64,
        misclassified: misclassified[0].unsigned_abs(),
    })
}

/// A run of steps.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// Where it ended, `[d]`.
    pub theta: Vec<f64>,
    /// Number of `m_i <= 0` before each step.
    pub misclassified_before_step: Vec<u64>,
}

/// Makes `steps` steps from `theta0` on the rows of all sites, each `features: [n, d]` and `labels: [n]`. It never
/// stops early. Waits for the device in every step.
///
/// # Errors
/// As [`sums`]; [`LossError::EmptyBatch`] without sites.
pub fn optimise(
    sites: &[(Tensor<2>, Tensor<1, Int>)],
    theta0: &[f64],
    steps: usize,
    config: &Config,
) -> Result<Trace, LossError> {
    let mut trace = Trace { theta: theta0.to_vec(), misclassified_before_step: Vec::new() };
    for step in 0..steps {
        let mut total: Option<Sums> = None;
        for (features, labels) in sites {
            let sums = sums(features, labels, &trace.theta, step, config)?;
            total = Some(match total {
                Some(total) => total.merge(&sums)?,
                None => sums,
            });
        }
        let total = total.ok_or(LossError::EmptyBatch { loss: NAME })?;
        trace.misclassified_before_step.push(total.misclassified);
        total.apply(&mut trace.theta, config)?;
    }
    Ok(trace)
}

/// The logistic loss of each row, `[n]`: `ln(1 + exp(-m_i))`, for `features: [n, d]`, `labels: [n]` of -1 and 1 and
/// `theta: [d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn logistic_loss(features: &Tensor<2>, labels: &Tensor<1, Int>, theta: Tensor<1>) -> Result<Tensor<1>, LossError> {
    Ok(softplus(signed(features, labels, theta)?.1.neg()))
}

/// `beta = 1 / mean w_i` by which the normalised rule lengthens a gradient step. Waits for the device.
///
/// # Errors
/// As [`sums`].
pub fn beta(features: &Tensor<2>, labels: &Tensor<1, Int>, theta: &[f64]) -> Result<f64, LossError> {
    let sums = sums(features, labels, theta, 0, &Config::default())?;
    Ok(sums.samples as f64 / sums.weight * (-sums.log_scale).exp())
}

/// Checks on the host that each label is -1 or 1.
///
/// # Errors
/// [`LossError::Sign`] for the first that is not.
pub fn validate_signs(labels: &[i64]) -> Result<(), LossError> {
    match labels.iter().position(|label| !matches!(label, -1 | 1)) {
        Some(position) => Err(LossError::Sign { position, label: labels[position] }),
        None => Ok(()),
    }
}

/// Rows times labels, `[n, d]`, and margins, `[n]`.
fn signed(
    features: &Tensor<2>,
    labels: &Tensor<1, Int>,
    theta: Tensor<1>,
) -> Result<(Tensor<2>, Tensor<1>), LossError> {
    let [samples, width] = check::matrix(NAME, "features", features)?;
    check_length("labels", labels.dims()[0], samples)?;
    check_length("theta", theta.dims()[0], width)?;
    let rows = features.clone() * labels.clone().float().cast(features.dtype()).reshape([samples, 1]);
    let margins = rows.clone().matmul(theta.reshape([width, 1])).reshape([samples]);
    Ok((rows, margins))
}

fn check_length(tensor: &'static str, found: usize, expected: usize) -> Result<(), LossError> {
    if found == expected {
        return Ok(());
    }
    Err(LossError::Shape { loss: NAME, tensor, expected: format!("[{expected}]"), found: vec![found] })
}
