//! Losses for real numbers, in matrices of samples and outputs.

use burn::tensor::Tensor;
use synod_losses::regression::aggregate::{Bags, aggregate_responses, private_responses};
use synod_losses::regression::bandit::{inverse_gap, perturbed_regression, projected_step};
use synod_losses::regression::cauchy_schwarz::{cs_conditional, cs_divergence, cs_ib, cs_qmi};
use synod_losses::regression::maps::{map_generator, map_gradient};
use synod_losses::regression::quality::{Levels, binary_rank, fidelity, quality_score, soft_level_kl, soft_levels};
use synod_losses::regression::{columns_per_output, objective};
use synod_losses::{LossConfig, TaskKind};

use crate::{Case, EMBEDDINGS, LOGITS, constant, normal};

pub(crate) fn cases() -> Vec<Case> {
    let losses = LossConfig::defaults().into_iter().filter(|loss| loss.fits(TaskKind::Regression));
    let plans = losses.flat_map(|loss| LOGITS.map(|size| plan_loss(loss.clone(), size)));
    let others = EMBEDDINGS
        .into_iter()
        .flat_map(|size| cauchy_schwarz(size).into_iter().chain(vectors(size)).chain(quality(size)).chain(maps(size)));
    plans.chain(others).collect()
}

/// A loss as training computes it.
fn plan_loss(loss: LossConfig, [batch, outputs]: [usize; 2]) -> Case {
    let target = constant([batch, outputs]);
    let prediction = normal([batch, outputs * columns_per_output(&loss)]);
    Case::new(loss.name(), [batch, outputs], prediction, move |prediction| objective(prediction, target.clone(), &loss))
}

fn cauchy_schwarz(size: [usize; 2]) -> Vec<Case> {
    let (x, y) = (constant(size), constant(size));
    let given = |loss: fn(Tensor<2>, Tensor<2>, Tensor<2>) -> _| {
        let (x, y) = (x.clone(), y.clone());
        move |leaf| loss(leaf, y.clone(), x.clone())
    };
    vec![
        Case::new("cs_conditional", size, normal(size), given(|h, y, x| cs_conditional(h, y, x, &Default::default()))),
        Case::new("cs_qmi", size, normal(size), given(|z, x, _| cs_qmi(x, z, &Default::default()))),
        Case::new("cs_divergence", size, normal(size), given(|p, q, _| cs_divergence(p, q, &Default::default()))),
        Case::new(
            "cs_ib",
            size,
            normal(size),
            given(|z, target, x| {
                let inputs = cs_ib::Inputs { prediction: z.clone(), target, x, z };
                Ok(cs_ib(inputs, &Default::default())?.total)
            }),
        ),
    ]
}

fn vectors(size: [usize; 2]) -> Vec<Case> {
    let [batch, parameters] = size;
    let bags = Bags::new((0..batch as i64).map(|sample| sample / 4).collect(), batch / 4).expect("no bag is empty");
    let numbers: Vec<f64> = (0..batch).map(|sample| sample as f64 / batch as f64).collect();
    vec![
        Case::new("aggregate_responses", size, normal([batch]), {
            let (bags, responses) = (bags.clone(), constant([batch / 4]));
            move |f| Ok(aggregate_responses(f, responses.clone(), &bags, &Default::default())?.total.mean())
        }),
        Case::new("perturbed_regression", size, normal([batch]), {
            let (targets, delta, signs) = (constant([batch]), constant([parameters]), constant([8, parameters]).sign());
            move |outputs| {
                let (targets, delta, signs) = (targets.clone(), delta.clone(), signs.clone());
                let inputs = perturbed_regression::Inputs { outputs, targets, delta, signs };
                Ok(perturbed_regression(inputs, &Default::default())?.loss.mean())
            }
        }),
        Case::forward("private_responses", size, {
            let numbers = numbers.clone();
            move || drop(private_responses(&numbers, &bags, &numbers[..batch / 4], &Default::default()))
        }),
        Case::forward("inverse_gap", size, {
            let losses = numbers.clone();
            move || drop(inverse_gap(&losses, 0.5, &Default::default()))
        }),
        Case::forward("projected_step", size, {
            let (delta, gradient) = (constant([parameters]).inner(), constant([parameters]).inner());
            move || drop(projected_step(delta.clone(), gradient.clone(), &Default::default()))
        }),
        Case::forward("soft_levels", size, move || {
            let config = soft_levels::Config::default().with_min(0.0);
            drop(soft_levels(&numbers, &numbers, &config));
        }),
    ]
}

fn quality(size: [usize; 2]) -> Vec<Case> {
    let [batch, _] = size;
    let levels = Levels::new([4, 3, 2, 1, 0]).expect("five different columns");
    let probs = Tensor::full([batch, 5], 0.2, &crate::device());
    let side =
        move |logits: Tensor<2>| fidelity::Side { logits, score: constant([batch]), std: constant([batch]).abs() };
    let (a, b) = (side(constant(size)), side(constant(size)));
    vec![
        Case::new("soft_level_kl", size, normal(size), {
            let (levels, probs) = (levels.clone(), probs.clone());
            move |logits| Ok(soft_level_kl(logits, probs.clone(), &levels)?.mean())
        }),
        Case::new("fidelity", size, normal(size), {
            let (levels, a, b) = (levels.clone(), a.clone(), b.clone());
            move |logits| {
                let a = fidelity::Side { logits, ..a.clone() };
                Ok(fidelity::fidelity(a, b.clone(), &levels, &Default::default())?.loss.mean())
            }
        }),
        Case::new("binary_rank", size, normal(size), {
            let (levels, a, b) = (levels.clone(), a.clone(), b.clone());
            move |logits_a| {
                let (score_a, score_b, logits_b) = (a.score.clone(), b.score.clone(), b.logits.clone());
                let pairs = binary_rank::Pairs { logits_a, logits_b, score_a, score_b };
                Ok(binary_rank(pairs, &levels, &Default::default())?.mean())
            }
        }),
        Case::new("quality_score", size, normal(size), move |logits| {
            let a = fidelity::Side { logits, ..a.clone() };
            let (a, b) = ((a, probs.clone()), (b.clone(), probs.clone()));
            Ok(quality_score(a, b, &levels, &Default::default())?.total.mean())
        }),
    ]
}

/// Maps of 8 columns, as many cells each as the width says.
fn maps(size: [usize; 2]) -> Vec<Case> {
    let shape = [size[0], size[1] / 8, 8];
    let (target, logits) = (constant(shape), constant([size[0]]));
    vec![
        Case::new("map_gradient", size, normal(shape), {
            let target = target.clone();
            move |map| Ok(map_gradient(map, target.clone(), None, &Default::default())?.total)
        }),
        Case::new("map_generator", size, normal(shape), move |map| {
            Ok(map_generator(map, target.clone(), None, logits.clone(), &Default::default())?.total)
        }),
    ]
}
