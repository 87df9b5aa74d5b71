//! The folder's objectives in golden files.

use super::hyp_ce::{self, Hyperplanes};
use super::{hyp_pc, pseudo_negative, to_poincare, total};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("hyp_oc", "to_poincare", map),
    Evaluator::new("hyp_oc", "hyp_pc", |inputs| {
        let values = hyp_pc::hyp_pc(inputs.tensor("points")?, &inputs.config::<hyp_pc::Config>()?);
        Ok(Outcome::loss(inputs.at(values)?.mean()))
    }),
    Evaluator::new("hyp_oc", "hyp_ce", head),
    Evaluator::new("hyp_oc", "hyp_oc", total),
    Evaluator::new("hyp_oc", "pseudo_negative", draw),
];

fn planes(inputs: &Inputs<'_>) -> Result<Hyperplanes, GoldenError> {
    Ok(Hyperplanes { a_vals: inputs.tensor("a_vals")?, p_vals: inputs.tensor("p_vals")? })
}

fn map(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<to_poincare::Config>()?;
    let points = inputs.at(to_poincare::to_poincare(inputs.tensor("features")?, inputs.tensor("base")?, &config))?;
    let loss = (points.clone() * inputs.tensor::<2>("upstream")?.detach()).sum();
    Outcome::loss(loss).with(inputs, "points", points)
}

fn head(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<hyp_ce::Config>()?;
    let (points, planes) = (inputs.tensor::<2>("points")?, planes(inputs)?);
    let labels = inputs.labels("labels", planes.a_vals.dims()[0])?;
    let values = inputs.at(hyp_ce::hyp_ce(points.clone(), labels, planes.clone(), &config))?;
    let logits = inputs.at(hyp_ce::logits(points, planes, config.curvature))?;
    Outcome::loss(values.mean()).with(inputs, "logits", logits)
}

fn total(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<total::Config>()?;
    let features = inputs.tensor("features")?;
    let parts = inputs.at(total::hyp_oc(features, inputs.tensor("base")?, planes(inputs)?, &config))?;
    let outcome = Outcome::loss(parts.clone().total()).with(inputs, "hyp_ce", parts.hyp_ce)?;
    outcome.with(inputs, "hyp_pc", parts.hyp_pc)?.with(inputs, "logits", parts.logits)
}

fn draw(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<pseudo_negative::Config>()?;
    let (batch, mean, gauss) = (inputs.tensor("batch")?, inputs.tensor("previous_mean")?, inputs.tensor("gauss")?);
    let draw = inputs.at(pseudo_negative::pseudo_negative(batch, mean, gauss, &config))?;
    let outcome = Outcome::without_loss().with(inputs, "samples", draw.samples)?;
    let outcome = outcome.with(inputs, "sampling_mean", draw.sampling_mean)?;
    outcome.with(inputs, "next_previous_mean", draw.next_previous_mean)
}
