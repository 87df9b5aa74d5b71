//! The family's objectives in golden files, and the depth loss that comes with one of them.

use burn::tensor::Tensor;

use super::betti::{betti_matching, betti_matching_error, dice_betti_matching, loss::BarCounts};
use super::bev_dice;
use super::mip::{Projections, mip};
use super::raters::pulaski::{Latents, pulaski};
use super::raters::{energy_distance, frechet, hard_ged, sinkhorn, soft_ged};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::reduce::{Reduction, reduce};
use crate::regression::object_depth::{gradient_variance, object_depth};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("seabird", "bev_dice", |inputs| {
        let overlap = inputs.at(bev_dice(inputs.tensor("logits")?, inputs.constant("target")?, &inputs.config()?))?;
        Outcome::loss(overlap.loss).with(inputs, "dice_per_class", overlap.per_class)
    }),
    Evaluator::new("seabird", "depth_loss", |inputs| {
        let (prediction, target) = (inputs.tensor::<1>("pred")?, inputs.constant::<1>("target")?);
        let (prediction, target) = (prediction.unsqueeze_dim(1), target.unsqueeze_dim(1));
        mean(inputs, inputs.at(object_depth(prediction, target, &inputs.config()?))?)
    }),
    Evaluator::new("seabird", "grad_variance", |inputs| {
        let config = inputs.config()?;
        let sigma = &inputs.host("sigma")?.data;
        let variances = sigma.iter().map(|&sigma| gradient_variance(sigma, &config)).collect();
        Ok(Outcome::without_loss().with_values("variance", variances))
    }),
    Evaluator::new("spockmip", "spockmip", projected),
    Evaluator::new("pulaski", "energy_mmd", |inputs| {
        let (logits, raters) = sets(inputs)?;
        mean(inputs, inputs.at(energy_distance(logits, &raters, &inputs.config()?))?)
    }),
    Evaluator::new("pulaski", "sinkhorn", |inputs| {
        let (logits, raters) = sets(inputs)?;
        mean(inputs, inputs.at(sinkhorn(logits, &raters, &inputs.config()?))?)
    }),
    Evaluator::new("pulaski", "frechet", |inputs| {
        let (features, raters) = (inputs.tensor("pred_features")?, inputs.constant("rater_features")?);
        Ok(Outcome::loss(inputs.at(frechet(features, &raters, &inputs.config()?))?))
    }),
    Evaluator::new("pulaski", "soft_ged", |inputs| {
        let (logits, raters) = sets(inputs)?;
        let hard = inputs.at(hard_ged(logits.clone(), &raters))?;
        mean(inputs, inputs.at(soft_ged(logits, &raters, &inputs.config()?))?)?.with(inputs, "hard_ged", hard.mean())
    }),
    Evaluator::new("pulaski", "pulaski", |inputs| {
        let (logits, raters) = sets(inputs)?;
        let latents = Latents {
            q_mean: inputs.tensor("q_mean")?,
            q_logvar: inputs.tensor("q_logvar")?,
            p_mean: inputs.tensor("p_mean")?,
            p_logvar: inputs.tensor("p_logvar")?,
        };
        let parts = inputs.at(pulaski(logits, &raters, latents, &inputs.config()?))?;
        Outcome::loss(parts.loss).with(inputs, "distance", parts.distance)?.with(inputs, "latent_kl", parts.latent_kl)
    }),
    Evaluator::new("betti-matching", "betti_matching", |inputs| {
        let (logits, targets) = (inputs.tensor("logits")?, inputs.constant("target")?);
        let matched = inputs.at(betti_matching(logits, &targets, &inputs.config()?))?;
        Ok(counted(mean(inputs, matched.values)?, &matched.counts))
    }),
    Evaluator::new("betti-matching", "dice_betti_matching", |inputs| {
        let (logits, targets) = (inputs.tensor("logits")?, inputs.constant("target")?);
        let together = inputs.at(dice_betti_matching(logits, &targets, &inputs.config()?))?;
        let outcome =
            Outcome::loss(together.loss).with(inputs, "dice", together.dice)?.with(inputs, "betti", together.betti)?;
        Ok(counted(outcome, &together.counts))
    }),
    Evaluator::new("betti-matching", "betti_matching_error", |inputs| {
        let (probs, targets) = (inputs.tensor("pred")?, inputs.constant("target")?);
        let config = inputs.config_without(&["dimensions"])?;
        let errors = inputs.at(betti_matching_error(&probs, &targets, &config))?;
        Ok(counted(Outcome::value(errors.error), &errors.counts))
    }),
];

fn mean(inputs: &Inputs<'_>, values: Tensor<1>) -> Result<Outcome, GoldenError> {
    Ok(Outcome::loss(inputs.at(reduce(values, None, Reduction::Mean))?))
}

fn counted(outcome: Outcome, counts: &BarCounts) -> Outcome {
    let named = |outcome: Outcome, name: &str, numbers: [usize; 2]| {
        let named = numbers.into_iter().enumerate();
        named.fold(outcome, |outcome, (dimension, count)| {
            outcome.with_value(&format!("{name}_{dimension}"), count as f64)
        })
    };
    let outcome = named(outcome, "matched", counts.matched);
    let outcome = named(outcome, "unmatched_pred", counts.unmatched_pred);
    named(outcome, "unmatched_target", counts.unmatched_target)
}

fn projected(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let logits = match inputs.host("logits")?.shape.len() {
        4 => inputs.tensor::<4>("logits")?.unsqueeze_dim(0),
        _ => inputs.tensor::<5>("logits")?,
    };
    let given = |name: &str| if inputs.has(name) { inputs.constant(name).map(Some) } else { Ok(None) };
    let projections = Projections { z: given("target_mip_z")?, y: given("target_mip_y")?, x: given("target_mip_x")? };
    let compared = inputs.at(mip(&logits, inputs.constant("target")?, &projections, &inputs.config()?))?;
    Outcome::loss(compared.loss).with(inputs, "segmentation", compared.segmentation)?.with(inputs, "mip", compared.mip)
}

/// Sampled logits and drawn masks of any spatial shape, as `[batch, masks, pixels]`.
fn sets(inputs: &Inputs<'_>) -> Result<(Tensor<3>, Tensor<3>), GoldenError> {
    let logits = match inputs.host("logits")?.shape.len() {
        2 => inputs.tensor::<2>("logits")?.unsqueeze_dim(2),
        3 => inputs.tensor::<3>("logits")?,
        4 => inputs.tensor::<4>("logits")?.flatten(2, 3),
        _ => inputs.tensor::<5>("logits")?.flatten(2, 4),
    };
    let raters = match inputs.host("raters")?.shape.len() {
        2 => inputs.constant::<2>("raters")?.unsqueeze_dim(2),
        3 => inputs.constant::<3>("raters")?,
        4 => inputs.constant::<4>("raters")?.flatten(2, 3),
        _ => inputs.constant::<5>("raters")?.flatten(2, 4),
    };
    Ok((logits, raters))
}
