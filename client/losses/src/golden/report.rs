//! Comparison and verdict.

use burn::tensor::Device;
use serde::Serialize;

use super::evaluator::{self, Evaluator};
use super::format::{Case, File, GoldenError};
use super::inputs::{Inputs, numbers};

/// Objectives that combine updates instead of training a model; they are no losses and have their own tests.
const STRATEGIES: &[&str] = &["principal_gradient_aggregation", "fedgh"];

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
    /// Which way of computing it, where there are several: `composed` from the loss functions, or `fused`, the path of
    /// training.
    pub path: &'static str,
    /// `loss`, the name of the input whose gradient it is, or of another quantity.
    pub quantity: String,
    /// Largest absolute difference.
    pub absolute_error_max: f64,
    /// Largest difference relative to the golden number, over golden numbers above the absolute tolerance.
    pub relative_error_max: f64,
    /// Largest difference as a share of what is allowed; the quantity agrees if this is at most 1. Infinite if the
    /// zoo gave another number of entries, or none.
    pub tolerance_used: f64,
}

impl File {
    /// Evaluates every case on `device` in single precision; gradients are recorded whether or not the device says so.
    ///
    /// # Errors
    /// See [`File::evaluate_case`].
    pub fn evaluate(&self, device: &Device) -> Result<Vec<CaseReport>, GoldenError> {
        self.cases.iter().map(|case| self.evaluate_case(case, device)).collect()
    }

    /// Evaluates one case on `device` in single precision and compares all that it states.
    ///
    /// # Errors
    /// [`GoldenError::Array`] if a tensor or an option is missing or malformed, [`GoldenError::Loss`] if options or
    /// inputs are refused.
    pub fn evaluate_case(&self, case: &Case, device: &Device) -> Result<CaseReport, GoldenError> {
        let objective = case.objective.replace('-', "_");
        if STRATEGIES.contains(&objective.as_str()) {
            return Ok(case.skipped("it combines updates, which the coordinator's strategies do"));
        }
        let evaluators = evaluator::find(self.subject(), &objective);
        if evaluators.is_empty() {
            return Ok(case.skipped("the zoo has no such loss"));
        }
        let mut comparisons = Vec::new();
        for evaluator in evaluators {
            case.compare(evaluator, device, &mut comparisons)?;
        }
        if comparisons.is_empty() {
            return Ok(case.skipped("it states nothing that can be compared"));
        }
        // Written so that a NaN fails.
        let passed = comparisons.iter().all(|comparison| comparison.tolerance_used <= 1.0);
        let verdict = if passed { Verdict::Passed } else { Verdict::Failed };
        Ok(CaseReport { name: case.name.clone(), objective: case.objective.clone(), verdict, comparisons })
    }
}

impl Case {
    fn compare(
        &self,
        evaluator: &Evaluator,
        device: &Device,
        comparisons: &mut Vec<Comparison>,
    ) -> Result<(), GoldenError> {
        let inputs = Inputs::new(self, device);
        let outcome = (evaluator.run)(&inputs)?;
        let mut compare = |quantity: &str, found: &[f64], expected: &[f64]| {
            comparisons.push(self.comparison(evaluator.path, quantity, found, expected));
        };
        if let Some(expected) = self.expected.loss {
            let found = match (&outcome.loss, outcome.value) {
                (Some(loss), _) => self.at(numbers("the loss", loss.clone()))?,
                (None, value) => value.into_iter().collect(),
            };
            compare("loss", &found, &[expected]);
        }
        let missing: Vec<f64> = Vec::new();
        for (name, expected) in &self.expected.other {
            // Another path of the same objective may be the one that computes it.
            let found = outcome.others.iter().find(|(other, _)| other == name).map(|(_, values)| values);
            if found.is_some() || evaluator.path != "fused" {
                compare(name, found.unwrap_or(&missing), &self.expected_numbers(name, expected)?);
            }
        }
        if self.expected.grads.is_empty() {
            return Ok(());
        }
        let gradients = outcome.loss.filter(burn::tensor::Tensor::is_tracked).map(|loss| loss.backward());
        for (input, expected) in &self.expected.grads {
            if !inputs.took(input) {
                return Err(self.error(input, "has no gradient in this objective"));
            }
            // An input that the objective does not depend on has no gradient, which is a gradient of zeros.
            let found = gradients.as_ref().and_then(|gradients| inputs.gradient(input, gradients));
            let found = self.at(found.unwrap_or_else(|| Ok(vec![0.0; expected.data.len()])))?;
            compare(input, &found, &expected.data);
        }
        Ok(())
    }

    fn comparison(&self, path: &'static str, quantity: &str, found: &[f64], expected: &[f64]) -> Comparison {
        let (mut absolute, mut relative, mut used) = (0.0, 0.0, 0.0);
        if found.len() != expected.len() {
            (absolute, relative, used) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        }
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

    fn skipped(&self, reason: &str) -> CaseReport {
        let verdict = Verdict::Skipped { reason: reason.to_owned() };
        CaseReport { name: self.name.clone(), objective: self.objective.clone(), verdict, comparisons: Vec::new() }
    }
}
