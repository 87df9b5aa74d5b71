//! The family's objectives in golden files.

use super::{aldr_kl, comp_sum, cross_entropy, focal, ldr_kl, smooth_adv_comp_sum, z_loss};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome, classification_loss};
use crate::registry::LossConfig;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("", "cross_entropy", |inputs| {
        classification_loss(inputs, &LossConfig::CrossEntropy(inputs.config::<cross_entropy::Config>()?), false)
    })
    .path("composed"),
    Evaluator::new("", "cross_entropy", |inputs| {
        classification_loss(inputs, &LossConfig::CrossEntropy(inputs.config::<cross_entropy::Config>()?), true)
    })
    .path("fused"),
    Evaluator::new("", "focal", |inputs| {
        classification_loss(inputs, &LossConfig::Focal(inputs.config::<focal::Config>()?), false)
    })
    .path("composed"),
    Evaluator::new("", "focal", |inputs| {
        classification_loss(inputs, &LossConfig::Focal(inputs.config::<focal::Config>()?), true)
    })
    .path("fused"),
    Evaluator::new("comp_sum", "comp_sum", |inputs| {
        classification_loss(inputs, &LossConfig::CompSum(inputs.config::<comp_sum::Config>()?), false)
    }),
    Evaluator::new("comp_sum", "smooth_adv_comp_sum", smooth_adversarial),
    Evaluator::new("z_loss", "z_loss", standardised),
    Evaluator::new("ldr", "ldr_kl", |inputs| {
        classification_loss(inputs, &LossConfig::LdrKl(inputs.config::<ldr_kl::Config>()?), false)
    }),
    Evaluator::new("ldr", "aldr_kl", adaptive),
];

fn smooth_adversarial(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<smooth_adv_comp_sum::Config>()?;
    let (logits, logits_adv) = (inputs.tensor::<2>("logits")?, inputs.tensor::<2>("logits_adv")?);
    let labels = inputs.labels("labels", logits.dims()[1])?;
    let parts = inputs.at(smooth_adv_comp_sum::smooth_adv_comp_sum(logits, labels, logits_adv, &config))?;
    let outcome = Outcome::loss(parts.clone().total(&config).mean());
    outcome.with(inputs, "natural", parts.natural)?.with(inputs, "shift", parts.shift)
}

fn standardised(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<z_loss::Config>()?;
    let logits = inputs.tensor::<2>("logits")?;
    let labels = inputs.labels("labels", logits.dims()[1])?;
    let loss = inputs.at(z_loss::z_loss(logits.clone(), labels.clone(), &config))?;
    let z = inputs.at(z_loss::z_target(logits, labels))?;
    Outcome::loss(loss.mean()).with(inputs, "z_target", z)
}

fn adaptive(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<aldr_kl::Config>()?;
    let logits = inputs.tensor::<2>("logits")?;
    let labels = inputs.labels("labels", logits.dims()[1])?;
    let visit = inputs.at(aldr_kl::aldr_kl(logits, labels, inputs.tensor("lambda_prev")?, &config))?;
    let outcome = Outcome::loss(visit.values.clone().mean());
    outcome.with(inputs, "per_sample", visit.values)?.with(inputs, "lambda_new", visit.lambda_new)
}
