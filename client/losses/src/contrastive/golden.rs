//! The family's objectives in golden files.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::*;
use crate::error::LossError;
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::reduce::{Reduction, reduce};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("contrastive-behaviour", "contrastive", |inputs| {
        let (anchors, keys) = pair(inputs, "anchors", "keys")?;
        let config = inputs.config::<info_nce::Config>()?;
        let outcome = mean(inputs, "per_anchor", info_nce(anchors.clone(), keys.clone(), &config))?;
        if anchors.dims()[0] < 2 {
            return Ok(outcome.with_values("relative_penalty", Vec::new()));
        }
        let penalty = inputs.at(info_nce::relative_penalty(anchors, keys, &config))?;
        outcome.with(inputs, "relative_penalty", penalty)
    }),
    Evaluator::new("contrastive-behaviour", "hard_contrastive", |inputs| {
        let (anchors, keys) = pair(inputs, "anchors", "keys")?;
        mean(inputs, "per_anchor", info_nce(anchors, keys, &inputs.config::<info_nce::Config>()?))
    }),
    Evaluator::new("contrastive-behaviour", "simple", simple),
    Evaluator::new("contrastive-behaviour", "hard_simple", simple),
    Evaluator::new("contrastive-behaviour", "uniformity", |inputs| {
        let config = inputs.config::<uniformity::Config>()?;
        Ok(Outcome::loss(inputs.at(uniformity(inputs.tensor("features")?, &config))?))
    }),
    Evaluator::new("contrastive-behaviour", "tolerance", |inputs| {
        let numbers = inputs.at(tolerance(inputs.tensor("features")?, inputs.ints("labels")?))?;
        Outcome::loss(numbers.value).with(inputs, "within_class_mean", numbers.within_class_mean)?.with(
            inputs,
            "same_pairs",
            numbers.same_pairs,
        )
    }),
    Evaluator::new("", "nt_xent", |inputs| {
        let (z1, z2) = pair(inputs, "z1", "z2")?;
        mean(inputs, "per_anchor", nt_xent(z1, z2, &inputs.config::<nt_xent::Config>()?))
    }),
    Evaluator::new("", "barlow_twins", |inputs| {
        let (z1, z2) = pair(inputs, "z1", "z2")?;
        let config = inputs.config::<barlow_twins::Config>()?;
        let correlation = inputs.at(barlow_twins::cross_correlation(z1.clone(), z2.clone(), &config))?;
        let (on_diagonal, off_diagonal) = barlow_twins::redundancy(correlation.clone());
        Outcome::loss(inputs.at(barlow_twins(z1, z2, &config))?)
            .with(inputs, "on_diag", on_diagonal)?
            .with(inputs, "off_diag", off_diagonal)?
            .with(inputs, "cross_correlation", correlation)
    }),
    Evaluator::new("", "mixed_barlow_twins", |inputs| {
        let (z1, z2) = pair(inputs, "z1", "z2")?;
        let permutation: Result<Vec<usize>, _> = inputs.whole("perm")?.into_iter().map(usize::try_from).collect();
        let permutation = permutation.map_err(|_| inputs.error("perm", "has a negative entry"))?;
        let config = inputs.config_without::<mixed_barlow_twins::Config>(&["mix_coef"])?;
        let (mixed, mix_coef) = (inputs.tensor("zm")?, inputs.param("mix_coef")?);
        let mix = mixed_barlow_twins::Inputs { z1, z2, mixed, permutation: &permutation, mix_coef };
        let parts = inputs.at(mixed_barlow_twins(mix, &config))?;
        Outcome::loss(parts.clone().loss()).with(inputs, "loss_bt", parts.barlow_twins)?.with(
            inputs,
            "loss_mix",
            parts.mixing,
        )
    }),
    Evaluator::new("", "amcl_simclr", |inputs| {
        let network = TemperatureNetwork {
            w1: inputs.tensor("w1")?,
            b1: inputs.tensor("b1")?,
            w2: inputs.tensor("w2")?,
            b2: inputs.tensor("b2")?,
        };
        let config = inputs.config::<amcl_simclr::Config>()?;
        let outcome = inputs.at(amcl_simclr(inputs.tensor("z1")?, inputs.tensor("z2")?, &network, &config))?;
        Outcome::loss(outcome.values.mean())
            .with_ints(inputs, "hardest", outcome.hardest)?
            .with(inputs, "tau_pos", outcome.tau_positive)?
            .with(inputs, "tau_neg", outcome.tau_negative)
    }),
    Evaluator::new("", "amcl_simsiam", |inputs| {
        let tensors = amcl_simsiam::Inputs {
            p1: inputs.tensor("p1")?,
            p2: inputs.tensor("p2")?,
            h1: inputs.tensor("h1")?,
            h2: inputs.tensor("h2")?,
            t1: inputs.tensor("t1")?,
            t2: inputs.tensor("t2")?,
        };
        mean(inputs, "per_sample", amcl_simsiam(tensors, &inputs.config::<amcl_simsiam::Config>()?))
    }),
    Evaluator::new("", "amcl_barlow", |inputs| {
        let config = inputs.config::<amcl_barlow::Config>()?;
        let (z1, z2, t) = (inputs.tensor("z1")?, inputs.tensor("z2")?, inputs.tensor("t")?);
        let parts = inputs.at(amcl_barlow(z1, z2, t, &config))?;
        Outcome::loss(parts.clone().loss(&config))
            .with(inputs, "on_diag", parts.on_diagonal)?
            .with(inputs, "off_diag", parts.off_diagonal)?
            .with(inputs, "regulariser", parts.regulariser)
    }),
    Evaluator::new("spn4cir", "in_batch", |inputs| {
        let (reference, text) = pair(inputs, "reference", "text")?;
        let config = inputs.config::<scaled_negatives::Config>()?;
        mean(inputs, "per_query", scaled_negatives::in_batch(reference, text, inputs.tensor("target")?, &config))
    }),
    Evaluator::new("spn4cir", "bank", |inputs| {
        let (reference, text) = pair(inputs, "reference", "text")?;
        let bank = inputs.tensor::<2>("bank")?;
        let target = inputs.labels("target_index", bank.dims()[0])?;
        let config = inputs.config::<scaled_negatives::Config>()?;
        mean(inputs, "per_query", scaled_negatives::bank(reference, text, bank, target, &config))
    }),
    Evaluator::new("spn4cir", "bank_sampled", |inputs| {
        let (reference, text) = pair(inputs, "reference", "text")?;
        let bank = inputs.tensor::<2>("bank")?;
        let (targets, negatives) = (inputs.whole("target_index")?, inputs.whole("negative_index")?);
        inputs.at(scaled_negatives::check_negatives(&targets, &negatives, bank.dims()[0]))?;
        let (target, negative) = (inputs.ints("target_index")?, inputs.ints("negative_index")?);
        let config = inputs.config::<scaled_negatives::Config>()?;
        let values = scaled_negatives::bank_sampled(reference, text, bank, target, negative, &config);
        mean(inputs, "per_query", values)
    }),
    Evaluator::new("isogclr", "unimodal_step", |inputs| {
        let (z1, z2) = pair(inputs, "z1", "z2")?;
        let log_s = inputs.tensor::<1>("s")?.log().clamp_min(similarity::EXCLUDED);
        let state = isogclr::State { log_s, tau: inputs.tensor("tau")?, u: inputs.tensor("u")? };
        let step = inputs.at(isogclr::step(z1, z2, state, &inputs.config::<isogclr::Config>()?))?;
        Outcome::loss(step.values.mean())
            .with(inputs, "s_new", step.state.log_s.exp())?
            .with(inputs, "tau_new", step.state.tau)?
            .with(inputs, "u_new", step.state.u)?
            .with(inputs, "grad_tau", step.tau_gradient)
    }),
    Evaluator::new("isogclr", "bimodal_step", |inputs| {
        let (image, text) = pair(inputs, "image", "text")?;
        let side = |name: &str| -> Result<isogclr_bimodal::Side, GoldenError> {
            let column = |symbol: &str| inputs.tensor::<1>(&format!("{symbol}_{name}"));
            Ok(isogclr_bimodal::Side { s: column("s")?, b: column("b")?, u: column("u")?, tau: column("tau")? })
        };
        let (of_image, of_text) = (side("image")?, side("text")?);
        let config = inputs.config::<isogclr_bimodal::Config>()?;
        let step = inputs.at(isogclr_bimodal::step(image, text, of_image, of_text, &config))?;
        let mut outcome = Outcome::loss(step.values.mean());
        for (name, side) in [("image", step.image), ("text", step.text)] {
            for (symbol, column) in [("s", side.s), ("b", side.b), ("u", side.u), ("tau", side.tau)] {
                outcome = outcome.with(inputs, &format!("{symbol}_{name}_new"), column)?;
            }
        }
        Ok(outcome)
    }),
    Evaluator::new("isogclr", "robust_objective", |inputs| {
        let (z1, z2) = pair(inputs, "z1", "z2")?;
        let config = inputs.config::<robust_contrastive::Config>()?;
        mean(inputs, "per_anchor", robust_contrastive(z1, z2, inputs.tensor("tau")?, &config))
    }),
    Evaluator::new("groco", "groco", |inputs| {
        let views = inputs.tensor::<3>("views")?;
        let [count, batch, _] = views.dims();
        let values = inputs.at(groco(views, &inputs.config::<groco::Config>()?))?;
        Outcome::loss(values.clone().mean()).with(inputs, "per_view_loss", values.reshape([count, batch]).mean_dim(1))
    }),
    Evaluator::new("groco", "soft_sort", |inputs| {
        let sorted = inputs.at(soft_sort(inputs.tensor("scores")?, inputs.param("steepness")?))?;
        let permutation = sorted.permutation();
        Outcome::loss((permutation.clone() * inputs.tensor::<3>("upstream")?).sum())
            .with(inputs, "permutation", permutation)?
            .with(inputs, "sorted", sorted.values)
    }),
    Evaluator::new("rtd", "target_anchored", |inputs| {
        let (target, composed) = pair(inputs, "target", "composed")?;
        mean(inputs, "per_row", target_anchored(target, composed, &inputs.config::<target_anchored::Config>()?))
    }),
    Evaluator::new("rtd", "refined_batch", |inputs| {
        let (target, composed) = pair(inputs, "target", "composed")?;
        let (reference, prompt) = pair(inputs, "reference", "prompt")?;
        let batch = target_anchored::Refined { target, composed, reference, prompt };
        let values = target_anchored::refined_batch(batch, &inputs.config::<target_anchored::Config>()?);
        mean(inputs, "per_row", values)
    }),
    Evaluator::new("rtd", "inject_noise", |inputs| {
        let (embedding, gauss) = pair(inputs, "embedding", "gauss")?;
        let config = inputs.config::<noise_injection::Config>()?;
        let noisy = inputs.at(inject_noise(embedding, inputs.tensor("uniform")?, gauss, &config))?;
        Outcome::loss((noisy.clone() * inputs.tensor::<2>("upstream")?).sum()).with(inputs, "noisy", noisy)
    }),
    Evaluator::new("g-simclr", "batch_order", |inputs| {
        let clusters: Result<Vec<u64>, _> = inputs.whole("cluster")?.into_iter().map(u64::try_from).collect();
        let clusters = clusters.map_err(|_| inputs.error("cluster", "has a negative entry"))?;
        let config = inputs.config::<pseudo_label_batches::Config>()?;
        let batches = inputs.at(pseudo_label_batches(&clusters, &config))?;
        Ok(Outcome::without_loss()
            .with_values("order", batches.order.iter().map(|&index| index as f64).collect())
            .with_value("full_batches", batches.full_batches as f64)
            .with_value("repeats_inside_full_batches", batches.repeats as f64))
    }),
    Evaluator::new("hydra", "hydra_contrast", |inputs| {
        let (z1, z2) = pair(inputs, "z1", "z2")?;
        let (y1, y2) = (inputs.ints("y1")?, inputs.ints("y2")?);
        let tensors = hydra::Inputs { z1, z2, gate_logits: inputs.tensor("gate_logits")?, y1, y2 };
        let numbers = inputs.at(hydra::diagnostics(&tensors))?;
        Outcome::loss(inputs.at(hydra(tensors, &inputs.config::<hydra::Config>()?))?)
            .with(inputs, "positives", numbers.positives)?
            .with(inputs, "negatives", numbers.negatives)?
            .with(inputs, "gate_activation", numbers.gate_activation)?
            .with(inputs, "gate_entropy", numbers.gate_entropy)
    }),
    Evaluator::new("hydra", "hydra_gate", |inputs| {
        let network = GateNetwork {
            label_embedding: inputs.tensor("label_embedding")?,
            bn1_w: inputs.tensor("bn1_w")?,
            bn1_b: inputs.tensor("bn1_b")?,
            w1: inputs.tensor("w1")?,
            b1: inputs.tensor("b1")?,
            bn2_w: inputs.tensor("bn2_w")?,
            bn2_b: inputs.tensor("bn2_b")?,
            w2: inputs.tensor("w2")?,
            b2: inputs.tensor("b2")?,
        };
        let classes = network.label_embedding.dims()[0];
        let (y1, y2) = (inputs.labels("y1", classes)?, inputs.labels("y2", classes)?);
        let gate = sigmoid(inputs.at(hydra_gate(&network, y1, y2))?);
        Outcome::loss((gate.clone() * inputs.tensor::<2>("upstream")?).sum()).with(inputs, "gate", gate)
    }),
    Evaluator::new("hard-patches-mining", "reconstruction", |inputs| {
        let values = reconstruction(inputs)?;
        Outcome::loss(values.clone().mean()).with(inputs, "per_patch", values)
    }),
    Evaluator::new("hard-patches-mining", "predictor_relative", |inputs| {
        predictor(inputs, hard_patches::Form::Relative)
    }),
    Evaluator::new("hard-patches-mining", "predictor_absolute", |inputs| {
        predictor(inputs, hard_patches::Form::Absolute)
    }),
    Evaluator::new("hard-patches-mining", "total", |inputs| {
        let values = reconstruction(inputs)?;
        let relative = hard_patches::Config::default();
        let predictor = inputs.at(hard_patches(inputs.tensor("predicted")?, values.clone(), &relative))?;
        let reconstruction = values.mean();
        Outcome::loss(reconstruction.clone() + predictor.clone()).with(inputs, "reconstruction", reconstruction)?.with(
            inputs,
            "predictor",
            predictor,
        )
    }),
    Evaluator::new("hard-patches-mining", "easy_to_hard_mask", |inputs| {
        let (predicted, noise) = (inputs.host("predicted")?, inputs.host("noise")?);
        let &[_, patches] = predicted.shape.as_slice() else {
            return Err(inputs.error("predicted", "is not a matrix"));
        };
        let (epoch, config) = (inputs.param("epoch")?, inputs.config_without(&["epoch"])?);
        let chosen = inputs.at(easy_to_hard_mask(&predicted.data, &noise.data, patches, epoch, &config))?;
        Ok(Outcome::value(0.0)
            .with_values("mask", chosen.mask.to_mask().into_iter().map(f64::from).collect())
            .with_value("visible", chosen.visible as f64)
            .with_value("hard", chosen.hard as f64)
            .with_value("ema_decay", easy_to_hard_mask::ema_decay(epoch)))
    }),
];

fn reconstruction(inputs: &Inputs<'_>) -> Result<Tensor<2>, GoldenError> {
    let (pred, target) = (inputs.tensor::<3>("pred")?, inputs.tensor("target")?);
    let mask = inputs.whole("mask")?;
    if mask.iter().any(|&masked| masked != 0 && masked != 1) {
        return Err(inputs.error("mask", "has an entry that is neither 0 nor 1"));
    }
    let mask: Vec<bool> = mask.into_iter().map(|masked| masked == 1).collect();
    let mask = inputs.at(PatchMask::new(&mask, pred.dims()[1]))?;
    inputs.at(masked_reconstruction(pred, target, &mask, &inputs.config::<masked_reconstruction::Config>()?))
}

fn predictor(inputs: &Inputs<'_>, form: hard_patches::Form) -> Result<Outcome, GoldenError> {
    let config = inputs.config::<hard_patches::Config>()?.with_form(form);
    let (predicted, patch_loss) = pair(inputs, "predicted", "patch_loss")?;
    Ok(Outcome::loss(inputs.at(hard_patches(predicted, patch_loss, &config))?))
}

fn simple(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let (anchors, keys) = pair(inputs, "anchors", "keys")?;
    let config = inputs.config::<simple_contrastive::Config>()?;
    mean(inputs, "per_anchor", simple_contrastive(anchors, keys, &config))
}

fn pair(inputs: &Inputs<'_>, first: &str, second: &str) -> Result<(Tensor<2>, Tensor<2>), GoldenError> {
    Ok((inputs.tensor(first)?, inputs.tensor(second)?))
}

/// The mean of values as the loss, the values as another quantity called `name`.
fn mean(inputs: &Inputs<'_>, name: &str, values: Result<Tensor<1>, LossError>) -> Result<Outcome, GoldenError> {
    let values = inputs.at(values)?;
    Outcome::loss(inputs.at(reduce(values.clone(), None, Reduction::Mean))?).with(inputs, name, values)
}
