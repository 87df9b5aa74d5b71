//! The family's objectives in golden files.

use burn::tensor::Tensor;

use super::margin_control::{self, margin_control};
use super::signed_measure::{self, signed_measure};
use super::weight_distribution::{self, weight_distribution};
use super::wgsef::{self, Groups};
use crate::classification::{cross_entropy, softmax_objective};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::host::read;
use crate::reduce::{Reduction, reduce};
use crate::registry::LossConfig;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("fedld", "margin_control", |inputs| margin(inputs, false)).path("composed"),
    Evaluator::new("fedld", "margin_control", |inputs| margin(inputs, true)).path("fused"),
    Evaluator::new("wgsef", "value", sparse_value),
    Evaluator::new("wgsef", "prox", sparse_prox),
    Evaluator::new("wgsef", "prox_step", sparse_step),
    Evaluator::new("eq_net", "wdr", shape_of_weights),
    Evaluator::new("signed_measure", "signed_measure_loss", measure),
];

/// Cross-entropy with margin control.
fn margin(inputs: &Inputs<'_>, fused: bool) -> Result<Outcome, GoldenError> {
    let margin = inputs.config::<margin_control::Config>()?;
    let logits = inputs.tensor::<2>("logits")?;
    let labels = inputs.labels("labels", logits.dims()[1])?;
    let loss = if fused {
        softmax_objective(logits, labels, &LossConfig::default(), Some(&margin))
    } else {
        let values = cross_entropy::cross_entropy(logits.clone(), labels, &cross_entropy::Config::default());
        let mean = values.and_then(|values| reduce(values, None, Reduction::Mean));
        mean.and_then(|mean| Ok(mean + margin_control(logits, &margin)?))
    };
    Ok(Outcome::loss(inputs.at(loss)?))
}

fn groups(inputs: &Inputs<'_>) -> Result<Groups, GoldenError> {
    let groups = inputs.whole("group_id")?.into_iter().map(|group| usize::try_from(group).unwrap_or(usize::MAX));
    inputs.at(Groups::new(groups.collect(), inputs.finite("group_weight")?))
}

fn sparse_value(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let (config, groups) = (inputs.config::<wgsef::Config>()?, groups(inputs)?);
    let w = inputs.tensor::<1>("w")?;
    let value = inputs.at(wgsef::wgsef(w.clone(), &groups, &config))?;
    let outcome = Outcome::loss(value).with_values("u", inputs.at(wgsef::shares(&w, &groups, &config))?);
    Ok(outcome.with_value("conjugate_at_w", inputs.at(wgsef::conjugate(&w, &groups, &config))?))
}

fn sparse_prox(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let (config, groups) = (inputs.config::<wgsef::Config>()?, groups(inputs)?);
    let t = inputs.double::<1>("t")?;
    let kept = inputs.at(wgsef::prox(t.clone(), &groups, &config))?;
    let value = inputs.at(wgsef::wgsef(kept.weights.clone(), &groups, &config))?;
    let loss = value * config.lambda + (kept.weights.clone() - t).square().sum() * 0.5;
    Outcome::loss(loss).with_values("u", kept.shares).with(inputs, "prox", kept.weights)
}

fn sparse_step(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let (config, groups) = (inputs.config_without::<wgsef::Config>(&["lr"])?, groups(inputs)?);
    let (w, grad) = (inputs.double::<1>("w")?, inputs.double::<1>("grad")?);
    let kept = inputs.at(wgsef::prox_step(w, grad, inputs.param("lr")?, &groups, &config))?;
    let value = inputs.at(wgsef::wgsef(kept.weights.clone(), &groups, &config))?;
    let zero = inputs.at(groups.zero_groups(&kept.weights))?;
    let outcome = Outcome::loss(value).with_values("u", kept.shares).with(inputs, "new_w", kept.weights)?;
    Ok(outcome.with_value("zero_groups", zero as f64))
}

fn shape_of_weights(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<weight_distribution::Config>()?;
    let names = (0..).map(|layer| format!("w{layer}")).take_while(|name| inputs.has(name));
    let layers = names.map(|name| inputs.flat(&name)).collect::<Result<Vec<Tensor<1>>, _>>()?;
    let parts = inputs.at(weight_distribution(&layers, &config))?;
    let outcome = Outcome::loss(parts.clone().total(&config)).with(inputs, "skew_term", parts.skew_term)?;
    outcome.with(inputs, "kurt_term", parts.kurt_term)
}

fn measure(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<signed_measure::Config>()?;
    let values = inputs.tensor::<2>("values")?;
    let ends = inputs.whole("edges")?;
    let edges = ends.chunks(2).map(|edge| match *edge {
        [from, to] => Ok([from, to].map(|vertex| usize::try_from(vertex).unwrap_or(usize::MAX))),
        _ => Err(inputs.error("edges", "has an odd number of ends")),
    });
    let edges = edges.collect::<Result<Vec<[usize; 2]>, _>>()?;
    let (centres, target) = (inputs.tensor::<2>("centres")?.detach(), inputs.tensor::<1>("target")?.detach());
    let points = inputs.at(signed_measure(&values, &edges, &config))?;
    let numbers = inputs.at(read("values", &values))?;
    let rows =
        points.iter().flat_map(|point| [numbers[2 * point.x], numbers[2 * point.y + 1], point.multiplicity as f64]);
    let rows: Vec<f64> = rows.collect();
    let parts = inputs.at(signed_measure::signed_measure_loss(&values, &edges, &centres, target, &config))?;
    Outcome::loss(parts.loss).with_values("points", rows).with(inputs, "feature", parts.feature)
}
