//! Losses that plans train with, against naive loops.

use proptest::prelude::*;
use synod_losses::regression::object_depth::{self, Kind, gradient_variance};
use synod_losses::regression::{columns_per_output, gaussian_nll, huber, objective, per_sample, point};
use synod_losses::{LossConfig, LossError, TaskKind};

use crate::matrices::{Family, Pair, check, check_finite, check_refusals};
use crate::support::{assert_close, numbers, of_task};

const FAMILY: Family = Family { per_sample, objective };

fn variants() -> Vec<LossConfig> {
    let mut variants = of_task(TaskKind::Regression);
    variants.push(LossConfig::Huber(huber::Config::default().with_delta(0.3)));
    for kind in [Kind::L1, Kind::L2, Kind::SmoothL1] {
        variants.push(LossConfig::ObjectDepth(object_depth::Config::default().with_kind(kind)));
    }
    variants.push(LossConfig::ObjectDepth(object_depth::Config::default().with_length(0.9)));
    variants
}

fn naive(loss: &LossConfig, prediction: &[f64], target: &[f64]) -> f64 {
    let outputs = target.len();
    let residual = |output: usize| prediction[output] - target[output];
    if let LossConfig::Apre(config) = loss {
        let value = |output: usize| {
            let variance = prediction[outputs + output].exp().ln_1p() + 1e-5;
            config.alpha * residual(output).powi(2) / variance + config.beta * variance.ln()
        };
        return (0..outputs).map(value).sum();
    }
    let value = |output: usize| match loss {
        LossConfig::Mse(_) => residual(output).powi(2),
        LossConfig::Mae(_) => residual(output).abs(),
        LossConfig::Huber(config) if residual(output).abs() <= config.delta => residual(output).powi(2) / 2.0,
        LossConfig::Huber(config) => config.delta * (residual(output).abs() - config.delta / 2.0),
        LossConfig::ObjectDepth(config) => match config.kind {
            Kind::Dice => (residual(output).abs() / config.length).min(1.0),
            Kind::L1 => residual(output).abs(),
            Kind::L2 => residual(output).powi(2) / 2.0,
            Kind::SmoothL1 if residual(output).abs() <= 1.0 => residual(output).powi(2) / 2.0,
            Kind::SmoothL1 => residual(output).abs() - 0.5,
        },
        LossConfig::GaussianNll(_) => {
            let log_variance = prediction[outputs + output];
            (log_variance + residual(output).powi(2) / log_variance.exp()) / 2.0
        }
        other => panic!("no oracle for {}", other.name()),
    };
    (0..outputs).map(value).sum::<f64>() / outputs as f64
}

/// For `loss`, whose predictions may be wider than the targets.
fn pair(loss: &LossConfig, rows: usize, outputs: usize, numbers: &[f64]) -> Pair {
    let mut numbers = numbers.iter().copied().cycle();
    let targets = numbers.by_ref().take(rows * outputs).collect();
    let outputs = numbers.take(rows * outputs * columns_per_output(loss)).collect();
    Pair { rows, outputs, targets }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_equal_naive_loops(
        rows in 1usize..5, outputs in 1usize..4, values in prop::collection::vec(-2.0..2.0f64, 61),
    ) {
        for loss in variants() {
            check(FAMILY, &pair(&loss, rows, outputs, &values), &loss, &|prediction, target| {
                naive(&loss, prediction, target)
            });
        }
    }
}

#[test]
fn extremes_stay_finite_and_broken_inputs_are_refused() {
    for loss in variants() {
        for numbers in [&[1e6, -1e6, 0.0][..], &[0.0], &[-1e3, 5.0, 5.0, 2e3]] {
            check_finite(FAMILY, &pair(&loss, 2, 2, numbers), &loss);
        }
        check_refusals(FAMILY, &pair(&loss, 2, 2, &[1.0, -1.0, 0.5]), &loss);
    }
}

/// Below the bound of the variance the value stands still, but the gradient still says which way is out.
#[test]
fn a_variance_below_its_bound_can_grow_again() {
    let loss = LossConfig::GaussianNll(gaussian_nll::Config::default().with_log_variance_min(-2.0));
    let pair = Pair { rows: 1, outputs: vec![0.0, -50.0], targets: vec![3.0] };
    let (prediction, target) = pair.tensors(burn::tensor::DType::F64);
    let value = per_sample(prediction.clone(), target, &loss).unwrap();
    let gradient = numbers(prediction.grad(&value.backward()).unwrap());
    let at_bound = 9.0 * 2f64.exp();
    assert_close("value", &numbers(value), &[(at_bound - 2.0) / 2.0], 1e-12);
    assert_close("gradient", &gradient, &[-3.0 * 2f64.exp(), (1.0 - at_bound) / 2.0], 1e-12);
}

#[test]
fn the_point_prediction_is_the_first_block_of_columns() {
    let pair = Pair { rows: 2, outputs: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], targets: vec![0.0; 4] };
    let (prediction, _) = pair.tensors(burn::tensor::DType::F32);
    let loss = LossConfig::from_name("gaussian_nll", serde_json::json!({})).unwrap();
    assert_eq!(numbers(point(prediction.clone(), 2, &loss).unwrap()), [1.0, 2.0, 5.0, 6.0]);
    assert!(matches!(point(prediction.clone(), 3, &loss), Err(LossError::Shape { .. })));
    let plain = LossConfig::from_name("mse", serde_json::json!({})).unwrap();
    assert_eq!(point(prediction, 4, &plain).unwrap().dims(), [2, 4]);
}

#[test]
fn other_losses_are_refused_with_a_list() {
    let (outputs, targets) = pair(&LossConfig::default(), 1, 1, &[0.0]).tensors(burn::tensor::DType::F32);
    let error = objective(outputs, targets, &LossConfig::default()).unwrap_err().to_string();
    assert!(error.contains("does not take predicted and true numbers; choose one that does: mse, mae"), "{error}");
}

/// Where the variance of the Dice gradient crosses that of the squared error, and that longer objects are less noisy.
#[test]
fn the_noise_of_depth_gradients_is_that_of_the_card() {
    let variance = |kind, length: f64, sigma| {
        gradient_variance(sigma, &object_depth::Config::default().with_kind(kind).with_length(length))
    };
    for length in [4.0, 12.0] {
        let crossing = variance(Kind::Dice, length, 1.0 / length);
        assert_close("crossing", &[crossing], &[variance(Kind::L2, length, 1.0 / length)], 1e-9);
    }
    assert_close("dice", &[variance(Kind::Dice, 1.5, 0.8)], &[0.4174], 1e-4);
    assert!(variance(Kind::Dice, 12.0, 1.0) < variance(Kind::Dice, 4.0, 1.0));
    assert_close("absolute", &[variance(Kind::L1, 4.0, 3.0)], &[1.0], 0.0);
    // Far beyond 1 nearly every error is in the linear part, near 0 none is.
    assert_close(
        "limits",
        &[variance(Kind::SmoothL1, 4.0, 1e4), variance(Kind::SmoothL1, 4.0, 1e-3)],
        &[1.0, 1e-6],
        1e-3,
    );
}
