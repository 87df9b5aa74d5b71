//! Comparison with golden files: values and gradients that another implementation computed.
//!
//! A golden file is JSON. Each case names an objective, its options and its inputs, and says which loss and gradients
//! must come out, and how closely:
//!
//! ```
//! use burn::tensor::Device;
//! use synod_losses::golden::{File, Verdict};
//!
//! let file = File::parse(br#"{ "loss": "cross_entropy", "cases": [{
//!     "name": "uniform", "objective": "cross_entropy", "params": {},
//!     "inputs": { "logits": { "shape": [1, 2], "data": [0.0, 0.0] },
//!                 "labels": { "shape": [1], "data": [1], "dtype": "i64" } },
//!     "expected": { "loss": 0.693147181, "grads": { "logits": { "shape": [1, 2], "data": [0.5, -0.5] } } },
//!     "rtol": 1e-4, "atol": 1e-6 }] }"#)?;
//! let report = file.evaluate(&Device::flex())?;
//! assert!(report.iter().all(|case| matches!(case.verdict, Verdict::Passed)));
//! # Ok::<(), synod_losses::golden::GoldenError>(())
//! ```
//!
//! Names in golden files may use hyphens where names in plans use underscores. An objective that is not in the zoo is
//! skipped, with the reason, and so is one that belongs to the coordinator's strategies.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::check;
use crate::classification::{cross_entropy, per_sample, softmax_objective};
use crate::error::{LossError, to_f64};
use crate::info::{Objective, TaskKind};
use crate::reduce::{Reduction, reduce_weighted};
use crate::registry::LossConfig;
use crate::regulariser::margin_control;

/// Largest golden file that is read: some hundred times the largest there is.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// Objectives that combine updates instead of training a model; they are no losses and have their own tests.
const STRATEGIES: &[&str] = &["principal_gradient_aggregation", "fedgh"];

/// A golden file.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct File {
    /// What the file is about.
    pub loss: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One case of a golden file.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// What is computed.
    pub objective: String,
    /// Its options.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Its tensors by name.
    pub inputs: BTreeMap<String, Array>,
    /// What must come out.
    pub expected: Expected,
    /// Allowed relative difference.
    pub rtol: f64,
    /// Allowed absolute difference, added to the relative one.
    pub atol: f64,
}

/// A tensor in a golden file.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its entries in row-major order.
    pub data: Vec<f64>,
    /// `"i64"` for integers; left out for floats.
    #[serde(default)]
    pub dtype: Option<String>,
}

/// What must come out of a case.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Expected {
    /// The loss value.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Gradients of the loss by the name of the input.
    #[serde(default)]
    pub grads: BTreeMap<String, Array>,
}

/// What came out of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CaseReport {
    /// Name of the case.
    pub name: String,
    /// What was computed.
    pub objective: String,
    /// Whether it agrees.
    pub verdict: Verdict,
    /// Each compared quantity; empty if skipped.
    pub comparisons: Vec<Comparison>,
}

/// Whether a case agrees with its golden numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every number is within its tolerance.
    Passed,
    /// At least one number is not.
    Failed,
    /// Nothing was compared.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// How far one value or gradient is from its golden numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Which way of computing it: `composed` from the loss functions, or `fused`, the path of training.
    pub path: &'static str,
    /// `loss`, or the name of the input whose gradient it is.
    pub quantity: String,
    /// Largest absolute difference.
    pub absolute_error_max: f64,
    /// Largest difference relative to the golden number, over golden numbers above the absolute tolerance.
    pub relative_error_max: f64,
    /// Largest difference as a share of what is allowed; the quantity agrees if this is at most 1.
    pub tolerance_used: f64,
}

/// A golden file could not be evaluated. That a number differs is no error but a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// The file is larger than [`FILE_BYTES_MAX`].
    #[error("the golden file has {bytes} bytes, at most {FILE_BYTES_MAX} are read; split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The file is not JSON, or not in the golden format.
    #[error("could not read the golden file: {0}; it needs `loss` and `cases`, see the documentation of the format")]
    Format(#[from] serde_json::Error),
    /// A tensor of a case cannot be used.
    #[error("case `{case}`: {tensor} {problem}; correct the golden file")]
    Array {
        /// Name of the case.
        case: String,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The loss refused the case.
    #[error("case `{case}`: {source}")]
    Loss {
        /// Name of the case.
        case: String,
        /// Why.
        source: LossError,
    },
}

impl File {
    /// Reads a golden file.
    ///
    /// # Errors
    /// [`GoldenError::TooLarge`], [`GoldenError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, GoldenError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(GoldenError::TooLarge { bytes: bytes.len() });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Evaluates every case on `device`; gradients are recorded whether or not the device says so.
    ///
    /// # Errors
    /// See [`Case::evaluate`].
    pub fn evaluate(&self, device: &Device) -> Result<Vec<CaseReport>, GoldenError> {
        self.cases.iter().map(|case| case.evaluate(device)).collect()
    }
}

impl Case {
    /// Evaluates the case on `device` and compares value and gradients.
    ///
    /// # Errors
    /// [`GoldenError::Array`] if a tensor is missing or malformed, [`GoldenError::Loss`] if options or inputs are
    /// refused.
    pub fn evaluate(&self, device: &Device) -> Result<CaseReport, GoldenError> {
        let name = self.objective.replace('-', "_");
        if STRATEGIES.contains(&name.as_str()) {
            return Ok(self.skipped("it combines updates, which the coordinator's strategies do"));
        }
        let (loss, margin) = match LossConfig::find(&name) {
            None => return Ok(self.skipped("the zoo has no such loss")),
            Some(info) if !info.fits(TaskKind::Classification) => {
                return Ok(self.skipped("it takes other inputs than logits and labels"));
            }
            Some(info) if info.name == margin_control::Config::INFO.name => {
                (LossConfig::default(), Some(self.margin()?))
            }
            Some(info) => (self.at(LossConfig::from_name(info.name, Value::Object(self.params.clone())))?, None),
        };
        let mut comparisons = Vec::new();
        for path in ["composed", "fused"] {
            self.compare(path, &loss, margin.as_ref(), device, &mut comparisons)?;
        }
        if comparisons.is_empty() {
            return Ok(self.skipped("it states neither a loss nor a gradient"));
        }
        // Written so that a NaN fails.
        let passed = comparisons.iter().all(|comparison| comparison.tolerance_used <= 1.0);
        let verdict = if passed { Verdict::Passed } else { Verdict::Failed };
        Ok(CaseReport { name: self.name.clone(), objective: self.objective.clone(), verdict, comparisons })
    }

    fn compare(
        &self,
        path: &'static str,
        loss: &LossConfig,
        margin: Option<&margin_control::Config>,
        device: &Device,
        comparisons: &mut Vec<Comparison>,
    ) -> Result<(), GoldenError> {
        let device = device.clone().autodiff();
        let logits = self.logits(&device)?;
        let labels = self.labels(logits.dims()[1], &device)?;
        let value = self.at(if path == "fused" {
            softmax_objective(logits.clone(), labels, loss, margin)
        } else {
            composed(logits.clone(), labels, loss, margin)
        })?;
        if let Some(expected) = self.expected.loss {
            let found = self.read("the loss", value.clone())?;
            comparisons.push(self.comparison(path, "loss", &found, &[expected]));
        }
        if self.expected.grads.is_empty() {
            return Ok(());
        }
        let gradients = value.backward();
        for (input, expected) in &self.expected.grads {
            let gradient = (input == "logits").then(|| logits.grad(&gradients)).flatten();
            let gradient = gradient.ok_or_else(|| self.array_error(input, "has no gradient in this objective"))?;
            let found = self.read("the gradient", gradient)?;
            if expected.shape != logits.dims() || found.len() != expected.data.len() {
                return Err(self.array_error(input, "has a golden gradient of another shape"));
            }
            comparisons.push(self.comparison(path, input, &found, &expected.data));
        }
        Ok(())
    }

    fn margin(&self) -> Result<margin_control::Config, GoldenError> {
        let config: margin_control::Config = serde_json::from_value(Value::Object(self.params.clone()))?;
        let name = margin_control::Config::INFO.name;
        self.at(config.validate().map_err(|source| LossError::Config { name, source }))
    }

    fn logits(&self, device: &Device) -> Result<Tensor<2>, GoldenError> {
        let array = self.input(&["logits"])?;
        let &[batch, classes] = array.shape.as_slice() else {
            return Err(self.array_error("logits", "is not a matrix"));
        };
        let data: Vec<f32> = array.data.iter().map(|&value| value as f32).collect();
        let logits = Tensor::from_data(TensorData::new(data, [batch, classes]), device);
        self.at(check::validate_finite("logits", &logits))?;
        Ok(logits.require_grad())
    }

    fn labels(&self, classes: usize, device: &Device) -> Result<Tensor<1, Int>, GoldenError> {
        let array = self.input(&["labels", "targets"])?;
        if array.shape.len() != 1 || array.data.iter().any(|label| label.fract() != 0.0) {
            return Err(self.array_error("labels", "is not a list of whole numbers"));
        }
        let labels: Vec<i64> = array.data.iter().map(|&label| label as i64).collect();
        self.at(check::labels(&labels, classes))?;
        Ok(Tensor::from_data(TensorData::new(labels, [array.data.len()]), device))
    }

    fn input(&self, names: &[&str]) -> Result<&Array, GoldenError> {
        let found = names.iter().find_map(|&name| self.inputs.get(name));
        let array = found.ok_or_else(|| self.array_error(&names.join(" or "), "is missing"))?;
        let elements = array.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if elements != Some(array.data.len()) {
            return Err(self.array_error(&names.join(" or "), "has a shape that does not match its data"));
        }
        Ok(array)
    }

    fn comparison(&self, path: &'static str, quantity: &str, found: &[f64], expected: &[f64]) -> Comparison {
        let (mut absolute, mut relative, mut used) = (0.0, 0.0, 0.0);
        // Unlike f64::max this keeps NaN, once seen.
        let worst = |so_far: f64, next: f64| if next > so_far || next.is_nan() { next } else { so_far };
        for (&found, &expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            absolute = worst(absolute, difference);
            if expected.abs() > self.atol {
                relative = worst(relative, difference / expected.abs());
            }
            used = worst(used, difference / (self.atol + self.rtol * expected.abs()));
        }
        Comparison {
            path,
            quantity: quantity.to_owned(),
            absolute_error_max: absolute,
            relative_error_max: relative,
            tolerance_used: used,
        }
    }

    fn read<const D: usize>(&self, what: &'static str, tensor: Tensor<D>) -> Result<Vec<f64>, GoldenError> {
        let data = tensor.try_into_data().map_err(|error| LossError::Read { tensor: what, reason: error.to_string() });
        self.at(data.and_then(|data| to_f64(what, &data)))
    }

    fn skipped(&self, reason: &str) -> CaseReport {
        let verdict = Verdict::Skipped { reason: reason.to_owned() };
        CaseReport { name: self.name.clone(), objective: self.objective.clone(), verdict, comparisons: Vec::new() }
    }

    fn at<T>(&self, result: Result<T, LossError>) -> Result<T, GoldenError> {
        result.map_err(|source| GoldenError::Loss { case: self.name.clone(), source })
    }

    fn array_error(&self, tensor: &str, problem: &str) -> GoldenError {
        GoldenError::Array { case: self.name.clone(), tensor: tensor.to_owned(), problem: problem.to_owned() }
    }
}

/// The objective put together from its parts, each differentiated by burn.
fn composed(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    loss: &LossConfig,
    margin: Option<&margin_control::Config>,
) -> Result<Tensor<1>, LossError> {
    let values = per_sample(logits.clone(), labels.clone(), loss)?;
    let weights = match loss {
        LossConfig::CrossEntropy(config) => cross_entropy::target_weights(&logits, labels, config)?,
        _ => None,
    };
    let mean = reduce_weighted(values, weights, None, Reduction::Mean)?;
    Ok(match margin {
        Some(margin) => mean + margin_control::margin_control(logits, margin)?,
        None => mean,
    })
}
