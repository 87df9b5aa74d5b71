//! The family's objectives in golden files.

use burn::tensor::Tensor;

use super::comic::balancer::{Branches, balancer};
use super::comic::{Prior, attention, class_weights, corrector, modifier};
use super::{bce, decoupled_softmax, per_sample, similarities, soft_top_k, softmax};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::reduce::{Reduction, reduce};
use crate::registry::LossConfig;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("", "binary_cross_entropy", |inputs| {
        let logits = inputs.tensor::<2>("logits")?;
        let loss = LossConfig::BinaryCrossEntropy(inputs.config()?);
        mean(inputs, inputs.at(per_sample(logits, inputs.constant("targets")?, &loss))?)
    }),
    Evaluator::new("comic", "mfm", comic_modifier),
    Evaluator::new("comic", "corrector", comic_corrector),
    Evaluator::new("comic", "balancer", comic_balancer),
    Evaluator::new("dexml", "decoupled_softmax", |inputs| {
        let config = inputs.config_without(&["tau"])?;
        let (scores, targets, sampled) = retrieval(inputs)?;
        mean(inputs, inputs.at(decoupled_softmax::decoupled_softmax(scores, targets, sampled, &config))?)
    }),
    Evaluator::new("dexml", "softmax", |inputs| {
        let config = inputs.config_without(&["tau"])?;
        let (scores, targets, sampled) = retrieval(inputs)?;
        mean(inputs, inputs.at(softmax::softmax(scores, sampled.unwrap_or(targets), &config))?)
    }),
    Evaluator::new("dexml", "bce", |inputs| {
        let config = inputs.config_without(&["tau"])?;
        let (scores, targets, _) = retrieval(inputs)?;
        mean(inputs, inputs.at(bce::binary_cross_entropy(scores, targets, &config))?)
    }),
    Evaluator::new("dexml", "soft_topk", |inputs| {
        let config = inputs.config_without(&["tau"])?;
        let (scores, targets, sampled) = retrieval(inputs)?;
        let chosen = inputs.at(soft_top_k::soft_top_k(scores, targets, sampled, &config))?;
        mean(inputs, chosen.values)?.with(inputs, "thresholds", chosen.thresholds)
    }),
];

fn mean(inputs: &Inputs<'_>, values: Tensor<1>) -> Result<Outcome, GoldenError> {
    Ok(Outcome::loss(inputs.at(reduce(values, None, Reduction::Mean))?))
}

/// Similarities, given or of two encoders, targets, and the present labels that are used.
fn retrieval(inputs: &Inputs<'_>) -> Result<(Tensor<2>, Tensor<2>, Option<Tensor<2>>), GoldenError> {
    let scores = if inputs.has("query") {
        let (query, labels) = (inputs.tensor("query")?, inputs.tensor("label_embeddings")?);
        inputs.at(similarities(query, labels, inputs.param_or("tau", 0.05)?))?
    } else {
        inputs.tensor("similarities")?
    };
    Ok((scores, inputs.constant("targets")?, optional(inputs, "sampled")?))
}

fn optional<const D: usize>(inputs: &Inputs<'_>, name: &str) -> Result<Option<Tensor<D>>, GoldenError> {
    if inputs.has(name) { inputs.constant(name).map(Some) } else { Ok(None) }
}

fn prior(inputs: &Inputs<'_>) -> Result<Prior, GoldenError> {
    Ok(Prior { class_counts: optional(inputs, "class_counts")?, cooccurrence: optional(inputs, "cooccurrence")? })
}

fn comic_modifier(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<modifier::Config>()?;
    let (logits, targets) = (inputs.tensor("logits")?, inputs.constant::<2>("targets")?);
    let prior = prior(inputs)?;
    let values = inputs.at(modifier::modifier(logits, targets.clone(), &prior, &config))?;
    let mut outcome = Outcome::loss(values.sum());
    if let Some(counts) = prior.class_counts {
        outcome = outcome.with(inputs, "class_weights", class_weights(counts, config.weight_power))?;
    }
    match prior.cooccurrence {
        Some(matrix) => outcome.with(inputs, "attention", attention(matrix, targets)),
        None => Ok(outcome),
    }
}

fn comic_corrector(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<corrector::Config>()?;
    let (logits, targets) = (inputs.tensor("logits")?, inputs.constant("targets")?);
    let corrected = inputs.at(corrector::corrector(logits, targets, optional(inputs, "class_counts")?, &config))?;
    let outcome = Outcome::loss(corrected.values.sum()).with(inputs, "corrected_targets", corrected.targets)?.with(
        inputs,
        "class_weights",
        corrected.weights,
    )?;
    match corrected.class_counts {
        Some(counts) => outcome.with(inputs, "new_counts", counts),
        None => Ok(outcome),
    }
}

fn comic_balancer(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config()?;
    let branches =
        Branches { head: inputs.tensor("head")?, tail: inputs.tensor("tail")?, balanced: inputs.tensor("balanced")? };
    let balanced = inputs.at(balancer(branches, &inputs.constant("targets")?, &prior(inputs)?, &config))?;
    Outcome::loss(balanced.loss).with(inputs, "head_weight", balanced.head_weight)?.with(
        inputs,
        "tail_weight",
        balanced.tail_weight,
    )
}
