//! The family's objectives in golden files.

use burn::tensor::Tensor;

use super::aggregate::{self, Bags, aggregate_responses, private_responses};
use super::bandit::{inverse_gap, perturbed_regression, projected_step};
use super::cauchy_schwarz::{cs_conditional, cs_divergence, cs_ib, cs_qmi, cs_qmi_normalised};
use super::maps::{map_generator, map_gradient};
use super::quality::{Levels, binary_rank, fidelity, quality_score, soft_level_kl, soft_levels};
use super::{cauchy_schwarz, maps, per_sample, quality};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::registry::LossConfig;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("", "mse", |inputs| plan_loss(inputs, &LossConfig::Mse(inputs.config()?))),
    Evaluator::new("", "mae", |inputs| plan_loss(inputs, &LossConfig::Mae(inputs.config()?))),
    Evaluator::new("", "huber", |inputs| plan_loss(inputs, &LossConfig::Huber(inputs.config()?))),
    Evaluator::new("", "gaussian_nll", |inputs| plan_loss(inputs, &LossConfig::GaussianNll(inputs.config()?))),
    Evaluator::new("cs-ib", "cs_conditional", |inputs| {
        let (y_hat, y, x) = (inputs.tensor("y_hat")?, inputs.tensor("y")?, inputs.tensor("x")?);
        Ok(Outcome::loss(inputs.at(cs_conditional(y_hat, y, x, &inputs.config()?))?))
    }),
    Evaluator::new("cs-ib", "cs_qmi", |inputs| {
        Ok(Outcome::loss(inputs.at(cs_qmi(inputs.tensor("x")?, inputs.tensor("z")?, &inputs.config()?))?))
    }),
    Evaluator::new("cs-ib", "cs_qmi_normalised", |inputs| {
        Ok(Outcome::loss(inputs.at(cs_qmi_normalised(inputs.tensor("x")?, inputs.tensor("z")?, &inputs.config()?))?))
    }),
    Evaluator::new("cs-ib", "cs_ib", |inputs| {
        let given = cauchy_schwarz::cs_ib::Inputs {
            prediction: inputs.tensor("y_hat")?,
            target: inputs.tensor("y")?,
            x: inputs.tensor("x")?,
            z: inputs.tensor("z")?,
        };
        let values = inputs.at(cs_ib(given, &inputs.config()?))?;
        Outcome::loss(values.total).with(inputs, "prediction", values.prediction)?.with(
            inputs,
            "compression",
            values.compression,
        )
    }),
    Evaluator::new("cs-ib", "cs_divergence", |inputs| {
        Ok(Outcome::loss(inputs.at(cs_divergence(inputs.tensor("p")?, inputs.tensor("q")?, &inputs.config()?))?))
    }),
    Evaluator::new("aggregate-responses", "interpolated", |inputs| {
        let (predictions, responses) = (inputs.tensor("predictions")?, inputs.tensor::<1>("bag_responses")?);
        let bags = inputs.at(Bags::new(inputs.whole("bags")?, responses.dims()[0]))?;
        let values = inputs.at(aggregate_responses(predictions, responses, &bags, &inputs.config()?))?;
        Outcome::loss(values.total.mean())
            .with(inputs, "bag_loss", values.bag.mean())?
            .with(inputs, "instance_loss", values.instance.mean())?
            .with(inputs, "bag_predictions", values.predictions)
    }),
    Evaluator::new("aggregate-responses", "private_responses", |inputs| {
        let config: aggregate::private_responses::Config = inputs.config_without(&["bags"])?;
        let bags = inputs.at(Bags::new(inputs.whole("bags")?, inputs.param("bags")?))?;
        let (responses, draws) = (inputs.finite("responses")?, inputs.finite("unit_laplace")?);
        let released = inputs.at(private_responses(&responses, &bags, &draws, &config))?;
        Ok(Outcome::without_loss()
            .with_values("bag_responses", released.responses)
            .with_values("noise_scale", released.noise_scale))
    }),
    Evaluator::new("neural-bandit", "perturbed_regression", |inputs| {
        let given = super::bandit::perturbed_regression::Inputs {
            outputs: inputs.tensor("outputs")?,
            targets: inputs.tensor("targets")?,
            delta: inputs.tensor("delta")?,
            signs: inputs.constant("signs")?,
        };
        let values = inputs.at(perturbed_regression(given, &inputs.config()?))?;
        Outcome::loss(values.loss.mean()).with(inputs, "prediction", values.prediction)
    }),
    Evaluator::new("neural-bandit", "policy", |inputs| {
        let &[uniform] = inputs.finite("uniform")?.as_slice() else {
            return Err(inputs.error("uniform", "is not a single number"));
        };
        let choice = inputs.at(inverse_gap(&inputs.finite("predicted_losses")?, uniform, &inputs.config()?))?;
        Ok(Outcome::without_loss()
            .with_values("probabilities", choice.probabilities)
            .with_value("action", choice.action as f64))
    }),
    Evaluator::new("neural-bandit", "ogd_step", |inputs| {
        let delta = projected_step(inputs.tensor("delta")?, inputs.tensor("gradient")?, &inputs.config()?);
        Outcome::without_loss().with(inputs, "delta", inputs.at(delta)?)
    }),
    Evaluator::new("deqa-score", "soft_label", |inputs| {
        let labels = soft_levels(&inputs.finite("mos")?, &inputs.finite("std")?, &inputs.config()?);
        let labels = inputs.at(labels)?;
        let all = |of: fn(&quality::soft_levels::SoftLevels) -> f64| labels.iter().map(of).collect();
        Ok(Outcome::without_loss()
            .with_values("level_probs", labels.iter().flat_map(|label| label.probs).collect())
            .with_values("mos_norm", all(|label| label.mos))
            .with_values("std_norm", all(|label| label.std))
            .with_values("two_level", all(|label| f64::from(label.two_level))))
    }),
    Evaluator::new("deqa-score", "soft_label_kl", |inputs| {
        let (logits, levels) = (inputs.tensor::<2>("logits")?, levels(inputs)?);
        let values = inputs.at(soft_level_kl(logits.clone(), inputs.tensor("level_probs")?, &levels))?;
        let score = inputs.at(levels.score(logits, inputs.param_or("closed", true)?))?;
        Outcome::loss(values.mean()).with(inputs, "score", score.mean)?.with(inputs, "std", score.variance.sqrt())
    }),
    Evaluator::new("deqa-score", "fidelity", |inputs| {
        let (a, b) = (side(inputs, "a")?, side(inputs, "b")?);
        let values = inputs.at(fidelity(a, b, &levels(inputs)?, &inputs.config()?))?;
        Outcome::loss(values.loss.mean()).with(inputs, "pred", values.prediction)?.with(inputs, "target", values.target)
    }),
    Evaluator::new("deqa-score", "binary_rank", |inputs| {
        let pairs = quality::binary_rank::Pairs {
            logits_a: inputs.tensor("logits_a")?,
            logits_b: inputs.tensor("logits_b")?,
            score_a: inputs.tensor("score_a")?,
            score_b: inputs.tensor("score_b")?,
        };
        Ok(Outcome::loss(inputs.at(binary_rank(pairs, &levels(inputs)?, &inputs.config()?))?.mean()))
    }),
    Evaluator::new("deqa-score", "combined", |inputs| {
        let a = (side(inputs, "a")?, inputs.tensor("probs_a")?);
        let b = (side(inputs, "b")?, inputs.tensor("probs_b")?);
        let values = inputs.at(quality_score(a, b, &levels(inputs)?, &inputs.config()?))?;
        Outcome::loss(values.total.mean()).with(inputs, "rank", values.rank.mean())?.with(
            inputs,
            "label",
            values.label.mean(),
        )
    }),
    Evaluator::new("radiance-gradient", "gradient_loss", |inputs| {
        let (pred, target) = (inputs.tensor("pred")?, inputs.tensor("target")?);
        with_terms(inputs, inputs.at(map_gradient(pred, target, mask(inputs)?, &inputs.config()?))?)
    }),
    Evaluator::new("radiance-gradient", "generator", |inputs| {
        let (pred, target, logits) = (inputs.tensor("pred")?, inputs.tensor("target")?, inputs.flat("d_fake_logits")?);
        let values = inputs.at(map_generator(pred, target, mask(inputs)?, logits, &inputs.config()?))?;
        with_terms(inputs, maps::map_gradient::Values { total: values.total, ..values.gradient })?
            .with(inputs, "adv", values.adversarial)?
            .with(inputs, "l1", values.absolute)
    }),
];

/// The mean of a loss that plans train with.
fn plan_loss(inputs: &Inputs<'_>, loss: &LossConfig) -> Result<Outcome, GoldenError> {
    let values = inputs.at(per_sample(inputs.tensor("prediction")?, inputs.tensor("target")?, loss))?;
    Outcome::loss(values.clone().mean()).with(inputs, "per_sample", values)
}

fn levels(inputs: &Inputs<'_>) -> Result<Levels, GoldenError> {
    let columns = <[i64; 5]>::try_from(inputs.whole("level_ids")?);
    inputs.at(Levels::new(columns.map_err(|_| inputs.error("level_ids", "does not have five entries"))?))
}

/// One side of the pairs of a case.
fn side(inputs: &Inputs<'_>, which: &str) -> Result<quality::fidelity::Side, GoldenError> {
    Ok(quality::fidelity::Side {
        logits: inputs.tensor(&format!("logits_{which}"))?,
        score: inputs.tensor(&format!("score_{which}"))?,
        std: inputs.tensor(&format!("std_{which}"))?,
    })
}

/// A mask that keeps at least one cell, if the case has one.
fn mask(inputs: &Inputs<'_>) -> Result<Option<Tensor<3>>, GoldenError> {
    if !inputs.has("mask") {
        return Ok(None);
    }
    let cells = inputs.finite("mask")?;
    if cells.iter().any(|&cell| cell != 0.0 && cell != 1.0) || cells.iter().all(|&cell| cell == 0.0) {
        return Err(inputs.error("mask", "is not made of zeros and at least one 1"));
    }
    Ok(Some(inputs.constant("mask")?))
}

fn with_terms(inputs: &Inputs<'_>, values: maps::map_gradient::Values) -> Result<Outcome, GoldenError> {
    Outcome::loss(values.total).with(inputs, "magnitude", values.magnitude)?.with(inputs, "direction", values.direction)
}
