//! Comparison with golden files: steps that another implementation computed from the same updates.
//!
//! A golden file is JSON. Each case names an objective, its options and its inputs, and says what must come out and how
//! closely. Two objectives are known here; names may have hyphens or underscores:
//!
//! | objective | options | inputs | must come out |
//! |---|---|---|---|
//! | `principal-gradient-aggregation` | `keep`, `orientation` | `block0`, `block1`, … `[sites, parameters]` | per block `aggregate`, `coefficients` |
//! | `fedgh` | | `block` `[sites, parameters]`, `previous` `[parameters]` | `aggregate` |
//!
//! ```
//! use synod_coordinator::golden::{File, Verdict};
//!
//! let file = File::parse(br#"{ "cases": [{
//!     "name": "agreeing", "objective": "fedgh", "params": {},
//!     "inputs": { "block": { "shape": [2, 1], "data": [1.0, 3.0] }, "previous": { "shape": [1], "data": [1.0] } },
//!     "expected": { "other": { "aggregate": { "shape": [1], "data": [2.0] } } },
//!     "rtol": 1e-6, "atol": 1e-9 }] }"#)?;
//! assert!(matches!(file.evaluate()[0].verdict, Verdict::Passed));
//! # Ok::<(), synod_coordinator::golden::GoldenError>(())
//! ```
//!
//! Anything else, such as a loss, is skipped with the reason.

mod compute;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::aggregate::AggregateError;

/// Largest golden file that is read: some hundred times the largest there is.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// A golden file.
#[derive(Debug, Clone, Deserialize)]
pub struct File {
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One case of a golden file.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// What is computed.
    pub objective: String,
    /// Its options.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Its tensors by name. What is no tensor is looked at only if it is needed.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// What must come out: arrays by name, or by block and name, under `other`.
    #[serde(default)]
    pub expected: Expected,
    /// Allowed relative difference.
    pub rtol: f64,
    /// Allowed absolute difference, added to the relative one.
    pub atol: f64,
}

/// What must come out of a case, as far as it is read here.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Expected {
    /// Arrays by name, or by block and name.
    #[serde(default)]
    pub other: Map<String, Value>,
}

/// An array in a golden file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its entries in row-major order.
    pub data: Vec<f64>,
}

/// What came out of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseReport {
    /// Name of the case.
    pub name: String,
    /// What was computed.
    pub objective: String,
    /// Whether it agrees.
    pub verdict: Verdict,
    /// Each compared quantity; empty if nothing could be compared.
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
    /// The case could not be computed, which counts as failed.
    Broken {
        /// Why.
        reason: String,
    },
    /// It is none of the objectives that are known here.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// How far one quantity is from its golden numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Its name, with that of its block.
    pub quantity: String,
    /// Largest absolute difference.
    pub absolute_error_max: f64,
    /// Largest difference relative to the golden number, over golden numbers above the absolute tolerance.
    pub relative_error_max: f64,
    /// Largest difference as a share of what is allowed; the quantity agrees if this is at most 1.
    pub tolerance_used: f64,
}

/// A golden file or a case of it could not be used. That a number differs is no error but a verdict.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file is larger than [`FILE_BYTES_MAX`].
    #[error("the golden file has {bytes} bytes, at most {FILE_BYTES_MAX} are read; split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The file is not JSON, or not in the golden format.
    #[error("could not read the golden file: {0}; it needs `cases`, see the documentation of the format")]
    Format(#[from] serde_json::Error),
    /// An array of a case cannot be used.
    #[error("`{array}` {problem}; correct the golden file")]
    Array {
        /// Name of the array.
        array: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An option of a case is unknown or out of range.
    #[error("option `{option}` is {value}, {allowed}; correct the golden file")]
    Option {
        /// Its name.
        option: String,
        /// Its value.
        value: Value,
        /// What it may be.
        allowed: &'static str,
    },
    /// The arithmetic refused the case.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
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

    /// Computes every case and compares.
    #[must_use]
    pub fn evaluate(&self) -> Vec<CaseReport> {
        self.cases.iter().map(Case::evaluate).collect()
    }
}

impl Case {
    /// Computes the case and compares every number it states.
    #[must_use]
    pub fn evaluate(&self) -> CaseReport {
        let found = match self.objective.replace('-', "_").as_str() {
            "principal_gradient_aggregation" | "principal_gradient" => self.principal_gradient(),
            "fedgh" => self.fedgh(),
            _ => {
                let reason = "it is no strategy with golden cases; `synod losses eval` checks losses".to_owned();
                return self.report(Verdict::Skipped { reason }, Vec::new());
            }
        };
        match found.and_then(|found| self.compare(&found)) {
            Ok(comparisons) => {
                // Written so that a NaN fails.
                let passed = comparisons.iter().all(|comparison| comparison.tolerance_used <= 1.0);
                self.report(if passed { Verdict::Passed } else { Verdict::Failed }, comparisons)
            }
            Err(error) => self.report(Verdict::Broken { reason: error.to_string() }, Vec::new()),
        }
    }

    /// Compares what was found with every array that is expected.
    fn compare(&self, found: &BTreeMap<String, Vec<f64>>) -> Result<Vec<Comparison>, GoldenError> {
        let mut comparisons = Vec::new();
        for (name, value) in &self.expected.other {
            let nested = value.as_object().filter(|entries| !entries.contains_key("data"));
            let arrays: Vec<(String, &Value)> = match nested {
                Some(entries) => entries.iter().map(|(inner, value)| (format!("{name}.{inner}"), value)).collect(),
                None => vec![(name.clone(), value)],
            };
            for (quantity, value) in arrays {
                let problem = |problem| GoldenError::Array { array: quantity.clone(), problem };
                let found =
                    found.get(&quantity).ok_or_else(|| problem("is expected but nothing that is computed here"))?;
                let expected: Array = serde_json::from_value(value.clone())?;
                if expected.data.len() != found.len() {
                    return Err(problem("is expected with another number of entries than come out"));
                }
                comparisons.push(self.comparison(quantity, found, &expected.data));
            }
        }
        if comparisons.is_empty() {
            return Err(GoldenError::Array {
                array: "expected.other".to_owned(),
                problem: "states nothing to compare",
            });
        }
        Ok(comparisons)
    }

    fn comparison(&self, quantity: String, found: &[f64], expected: &[f64]) -> Comparison {
        let (mut absolute, mut relative, mut used) = (0.0, 0.0, 0.0);
        // Unlike f64::max this keeps NaN, once seen.
        let worst = |so_far: f64, next: f64| if next > so_far || next.is_nan() { next } else { so_far };
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            absolute = worst(absolute, difference);
            if expected.abs() > self.atol {
                relative = worst(relative, difference / expected.abs());
            }
            // 0 / 0 where no difference is allowed and there is none.
            let allowed = self.atol + self.rtol * expected.abs();
            used = worst(used, if difference == 0.0 { 0.0 } else { difference / allowed });
        }
        Comparison { quantity, absolute_error_max: absolute, relative_error_max: relative, tolerance_used: used }
    }

    fn report(&self, verdict: Verdict, comparisons: Vec<Comparison>) -> CaseReport {
        CaseReport { name: self.name.clone(), objective: self.objective.clone(), verdict, comparisons }
    }
}
