//! The family's objectives in golden files.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};

use super::{
    aldr_kl, comp_sum, cross_entropy, ensloss, focal, ldr_kl, linear_step, naive_bayes, smooth_adv_comp_sum, z_loss,
};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome, classification_loss};
use crate::option::constants;
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
    Evaluator::new("ensloss", "ensloss", drawn),
    Evaluator::new("normalized_lr_gd", "optimise", optimised),
    Evaluator::new("normalized_lr_gd", "logistic_loss", logistic),
    Evaluator::new("gaussian_naive_bayes", "gnb_fit_score", fitted),
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

fn drawn(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<ensloss::Config>()?;
    let (scores, normals, labels) = (inputs.tensor("scores")?, inputs.tensor("normals")?, inputs.labels("labels", 2)?);
    let derivatives = inputs.at(ensloss::derivatives(&scores, &labels, &normals, &config))?;
    let values = inputs.at(ensloss::ensloss(scores, &labels, &normals, &config))?;
    Ok(Outcome::loss(values.mean()).with_values("derivatives", derivatives))
}

/// `features` and `labels` of each number in `site`; all of them where there is no `site`.
fn rows(inputs: &Inputs<'_>) -> Result<Vec<(Tensor<2>, Tensor<1, Int>)>, GoldenError> {
    let (features, labels) = (inputs.double::<2>("features")?, inputs.ints::<1>("labels")?);
    let site = if inputs.has("site") { inputs.whole("site")? } else { vec![0; labels.dims()[0]] };
    if [site.len(), labels.dims()[0]] != [features.dims()[0]; 2] {
        return Err(inputs.error("site", "has not one entry per row of features and labels"));
    }
    let split = split(&site).into_iter().map(|rows| {
        let rows = Tensor::from_data(rows.as_slice(), inputs.device());
        (features.clone().select(0, rows.clone()), labels.clone().select(0, rows))
    });
    Ok(split.collect())
}

/// Positions of each site's rows.
fn split(site: &[i64]) -> Vec<Vec<i64>> {
    let mut rows = BTreeMap::<i64, Vec<i64>>::new();
    for (row, &site) in site.iter().enumerate() {
        rows.entry(site).or_default().push(row as i64);
    }
    rows.into_values().collect()
}

fn optimised(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config_without::<linear_step::Config>(&["steps"])?;
    inputs.at(linear_step::validate_signs(&inputs.whole("labels")?))?;
    let features = inputs.double::<2>("features")?;
    let theta0 = if inputs.has("theta0") { inputs.host("theta0")?.data.clone() } else { vec![0.0; features.dims()[1]] };
    let trace = inputs.at(linear_step::optimise(&rows(inputs)?, &theta0, inputs.param("steps")?, &config))?;
    let theta = constants(&features, &trace.theta);
    let loss = inputs.at(linear_step::logistic_loss(&features, &inputs.ints("labels")?, theta))?;
    let misclassified = trace.misclassified_before_step.into_iter().map(|count| count as f64).collect();
    let outcome = Outcome::without_loss().with(inputs, "logistic_loss", loss.mean())?;
    Ok(outcome.with_values("theta", trace.theta).with_values("misclassified_before_step", misclassified))
}

fn logistic(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    inputs.at(linear_step::validate_signs(&inputs.whole("labels")?))?;
    let (features, labels) = (inputs.tensor::<2>("features")?, inputs.ints::<1>("labels")?);
    let loss = inputs.at(linear_step::logistic_loss(&features, &labels, inputs.tensor("theta0")?))?;
    let beta = inputs.at(linear_step::beta(&inputs.double("features")?, &labels, &inputs.host("theta0")?.data))?;
    Ok(Outcome::loss(loss.mean()).with_value("beta", beta))
}

/// Each site's sums, their total, and the scores of a query.
fn fitted(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config_without::<naive_bayes::Config>(&["classes"])?;
    let classes = inputs.param("classes")?;
    inputs.labels("labels", classes)?;
    let mut total: Option<naive_bayes::Statistics> = None;
    for (features, labels) in rows(inputs)? {
        let site = inputs.at(naive_bayes::Statistics::new(&features, &labels, classes))?;
        total = Some(match total {
            Some(total) => inputs.at(total.merge(&site))?,
            None => site,
        });
    }
    let total = total.ok_or_else(|| inputs.error("features", "has no rows"))?;
    let head = inputs.at(total.head(&config))?;
    let scores = inputs.at(head.scores(inputs.double("query")?))?;
    let logits = inputs.at(head.logits(inputs.tensor("query")?))?;
    let labels = inputs.labels("query_labels", classes)?;
    let values = inputs.at(cross_entropy::cross_entropy(logits, labels, &cross_entropy::Config::default()))?;
    let counts = head.counts.iter().map(|&count| count as f64).collect();
    let outcome = Outcome::loss(values.mean()).with_values("counts", counts).with_values("mean", head.mean);
    let outcome = outcome.with_values("var", head.var).with_values("prior", head.prior);
    let outcome = outcome.with_values("weight", head.weight).with_values("bias", head.bias);
    outcome.with_ints(inputs, "predicted", scores.clone().argmax(1))?.with(inputs, "scores", scores)
}
