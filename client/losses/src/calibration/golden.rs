//! The family's objectives in golden files.

use burn::tensor::Tensor;

use super::correctness_aware::{self, correctness_aware};
use super::correctness_calibrator::{self, Calibrator, features};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("correctness_aware", "ca_loss", |inputs| {
        let logits = inputs.tensor("logits")?;
        loss(inputs, logits, inputs.tensor("temperature")?)
    }),
    Evaluator::new("correctness_aware", "ca_calibrator", calibrator),
];

fn loss(inputs: &Inputs<'_>, logits: Tensor<2>, temperature: Tensor<1>) -> Result<Outcome, GoldenError> {
    let balanced = inputs.param_or("balanced", true)?;
    let config = correctness_aware::Config::default().with_balanced(balanced);
    let labels = inputs.labels("labels", logits.dims()[1])?;
    let parts = inputs.at(correctness_aware(logits, labels, temperature, &config))?;
    let outcome = Outcome::loss(parts.loss).with(inputs, "confidence", parts.confidence)?;
    outcome.with(inputs, "correct", parts.correct)
}

fn calibrator(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config_without::<correctness_calibrator::Config>(&["balanced"])?;
    let logits = inputs.tensor::<2>("logits")?;
    let features = inputs.at(features(&logits, inputs.tensor("views")?, &config))?;
    let (w1, b1, w2, b2) = (inputs.tensor("w1")?, inputs.tensor("b1")?, inputs.tensor("w2")?, inputs.tensor("b2")?);
    let temperature = inputs.at(Calibrator { w1, b1, w2, b2 }.temperature(features.clone(), &config))?;
    let outcome = loss(inputs, logits, temperature.clone())?.with(inputs, "features", features)?;
    outcome.with(inputs, "temperature", temperature)
}
