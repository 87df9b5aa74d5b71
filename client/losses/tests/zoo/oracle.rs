//! Naive loops over f64 numbers, finite differences, and burn's own cross-entropy.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::DType;
use synod_losses::LossConfig;
use synod_losses::classification::{cross_entropy, per_sample, softmax_objective};
use synod_losses::regulariser::margin_control::{Config, Scope, margin_control};

use crate::support::{Batch, assert_close, batch, composed, evaluate, for_every_objective, numbers, variants};

fn probabilities(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|logit| (logit - max).exp()).sum();
    row.iter().map(|logit| (logit - max).exp() / sum).collect()
}

/// The formulas of the docs, one sample at a time, and the number by which a mean divides for that sample.
fn naive(loss: &LossConfig, row: &[f64], label: usize) -> (f64, f64) {
    let probs = probabilities(row);
    match loss {
        LossConfig::CrossEntropy(config) => {
            let weight = |class: usize| config.class_weights.as_ref().map_or(1.0, |weights| weights[class]);
            let eps = config.label_smoothing;
            let mut value = -(1.0 - eps) * weight(label) * probs[label].ln();
            for (class, p) in probs.iter().enumerate() {
                value -= eps / probs.len() as f64 * weight(class) * p.ln();
            }
            (value, weight(label))
        }
        LossConfig::Focal(config) => {
            let alpha = config.alpha.as_ref().map_or(1.0, |alpha| alpha[label]);
            (-alpha * (1.0 - probs[label]).powf(config.gamma) * probs[label].ln(), 1.0)
        }
        other => panic!("no oracle for {}", other.name()),
    }
}

fn naive_margin(batch: &Batch, config: &Config) -> f64 {
    let squares: Vec<f64> =
        batch.rows().map(|(row, _)| probabilities(row).iter().map(|p| p * p).sum::<f64>()).collect();
    config.lambda
        * match config.reduction {
            Scope::Batch => squares.iter().sum::<f64>().ln_1p(),
            Scope::Mean => squares.iter().map(|q| q.ln_1p()).sum::<f64>() / squares.len() as f64,
        }
}

#[test]
fn values_per_sample_and_means_equal_naive_loops() {
    for (samples, classes) in [(1, 2), (7, 5), (4, 1)] {
        let batch = batch(samples, classes);
        for loss in variants(classes) {
            let expected: Vec<(f64, f64)> = batch.rows().map(|(row, label)| naive(&loss, row, label)).collect();
            let values: Vec<f64> = expected.iter().map(|(value, _)| *value).collect();
            let (logits, labels) = batch.tensors(DType::F64);
            assert_close(&format!("{loss:?}"), &numbers(per_sample(logits, labels, &loss).unwrap()), &values, 1e-9);

            let mean = values.iter().sum::<f64>() / expected.iter().map(|(_, weight)| weight).sum::<f64>();
            let by_parts = evaluate(&batch, DType::F64, &|logits, labels| composed(logits, labels, &loss, None));
            let fused = evaluate(&batch, DType::F64, &|logits, labels| softmax_objective(logits, labels, &loss, None));
            assert_close(&format!("{loss:?} mean"), &[by_parts.value, fused.value], &[mean, mean], 1e-9);
        }
    }
}

#[test]
fn margin_control_equals_a_naive_loop() {
    for (samples, classes) in [(1, 2), (7, 5), (4, 1)] {
        let batch = batch(samples, classes);
        for reduction in [Scope::Batch, Scope::Mean] {
            let config = Config::default().with_lambda(0.7).with_reduction(reduction);
            let (logits, _) = batch.tensors(DType::F64);
            let found = numbers(margin_control(logits, &config).unwrap());
            assert_close("margin control", &found, &[naive_margin(&batch, &config)], 1e-12);
        }
    }
}

/// Central differences of the value must give the gradient, for every variant and both ways of computing it.
#[test]
fn gradients_equal_finite_differences() {
    const STEP: f64 = 1e-5;
    let batch = batch(3, 4);
    for_every_objective(batch.classes, |label, objective| {
        let outcome = evaluate(&batch, DType::F64, objective);
        let value_at = |position: usize, step: f64| {
            let mut moved = batch.clone();
            moved.logits[position] += step;
            let (logits, labels) = moved.tensors(DType::F64);
            numbers(objective(logits, labels).unwrap())[0]
        };
        let differences: Vec<f64> = (0..batch.logits.len())
            .map(|position| (value_at(position, STEP) - value_at(position, -STEP)) / (2.0 * STEP))
            .collect();
        assert_close(label, &outcome.gradient, &differences, 1e-7);
    });
}

/// burn's implementation is independent of ours: same value and gradient, with and without class weights.
#[test]
fn cross_entropy_equals_that_of_burn() {
    let batch = batch(6, 5);
    let weights = vec![0.5f32, 1.0, 2.0, 0.25, 3.0];
    for weights in [None, Some(weights)] {
        let theirs = evaluate(&batch, DType::F32, &|logits, labels| {
            let loss = CrossEntropyLossConfig::new().with_weights(weights.clone()).init(&logits.device());
            Ok(loss.forward(logits, labels))
        });
        let mut config = cross_entropy::Config::default();
        config.class_weights = weights.map(|weights| weights.iter().map(|&weight| f64::from(weight)).collect());
        let loss = LossConfig::CrossEntropy(config);
        let ours = evaluate(&batch, DType::F32, &|logits, labels| softmax_objective(logits, labels, &loss, None));
        assert_close("value", &[ours.value], &[theirs.value], 1e-6);
        assert_close("gradient", &ours.gradient, &theirs.gradient, 1e-6);
    }
}
