//! Laws of the losses on similarities of queries and labels.

use burn::tensor::Tensor;
use synod_losses::multilabel::soft_top_k::{Config, soft_top_k};
use synod_losses::multilabel::{decoupled_softmax, per_sample, similarities};
use synod_losses::{LossConfig, LossError};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const SHAPE: [usize; 2] = [3, 6];
const TARGETS: [f64; 18] = [
    1.0, 0.0, 1.0, 0.0, 0.0, 1.0, //
    0.0, 0.0, 0.0, 1.0, 0.0, 0.0, //
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
];

/// Halving 32 times leaves the threshold's last digits open, which differences would see.
fn options(name: &str) -> serde_json::Value {
    if name == "soft_top_k" { serde_json::json!({ "iters": 60 }) } else { serde_json::json!({}) }
}

fn losses() -> Vec<LossConfig> {
    ["decoupled_softmax", "multilabel_softmax", "soft_top_k"]
        .into_iter()
        .map(|name| LossConfig::from_name(name, options(name)).expect("the options are valid"))
        .collect()
}

#[test]
fn gradients_equal_differences_and_a_constant_changes_nothing() {
    let at = noise(18, 2);
    for loss in losses() {
        let mean = |at: Tensor<2>| per_sample(at, leaf(&TARGETS, SHAPE), &loss).unwrap().mean();
        assert_gradient(loss.name(), &at, SHAPE, 1e-6, mean);
        let shifted: Vec<f64> = at.iter().map(|value| value + 7.5).collect();
        let values = |at: &[f64]| numbers(per_sample(leaf(at, SHAPE), leaf(&TARGETS, SHAPE), &loss).unwrap());
        assert_close(loss.name(), &values(&shifted), &values(&at), 1e-7);
        assert_eq!(values(&at)[2], 0.0, "{}: a row without present labels", loss.name());
    }
}

#[test]
fn present_labels_are_pulled_and_absent_ones_pushed_whatever_the_other_present_ones_do() {
    let at = leaf(&noise(18, 4), SHAPE);
    let config = decoupled_softmax::Config::default();
    let values =
        |at: Tensor<2>| decoupled_softmax::decoupled_softmax(at, leaf(&TARGETS, SHAPE), None, &config).unwrap();
    let gradient = numbers(at.grad(&values(at.clone()).sum().backward()).unwrap());
    for (slope, target) in gradient[..12].iter().zip(TARGETS) {
        assert!(if target == 1.0 { *slope < 0.0 } else { *slope > 0.0 }, "{gradient:?}");
    }
    for row in gradient.chunks(6) {
        assert_close("row", &[row.iter().sum()], &[0.0], 1e-12);
    }
    // One label present per row: cross-entropy, both ways.
    let single: Vec<f64> = (0..18).map(|index| f64::from(u8::from(index % 7 == 0))).collect();
    let values: Vec<Vec<f64>> = losses()[..2]
        .iter()
        .map(|loss| numbers(per_sample(leaf(&noise(18, 4), SHAPE), leaf(&single, SHAPE), loss).unwrap()))
        .collect();
    assert_close("one present", &values[0], &values[1], 1e-10);
}

#[test]
fn without_rivals_nothing_is_lost_and_what_is_not_sampled_has_no_say() {
    let at = leaf(&noise(18, 4), SHAPE);
    let config = decoupled_softmax::Config::default();
    let all = decoupled_softmax::decoupled_softmax(at.clone(), leaf(&[1.0; 18], SHAPE), None, &config).unwrap();
    assert_eq!(numbers(all), [0.0; 3]);
    let sampled: Vec<f64> = (0..18).map(|index| f64::from(u8::from(index == 0 || index == 9))).collect();
    for top in [false, true] {
        let (targets, sampled) = (leaf(&TARGETS, SHAPE), Some(leaf(&sampled, SHAPE)));
        let values = if top {
            soft_top_k(at.clone(), targets, sampled, &Config::default().with_k(2)).unwrap().values
        } else {
            decoupled_softmax::decoupled_softmax(at.clone(), targets, sampled, &config).unwrap()
        };
        let gradient = numbers(at.grad(&values.sum().backward()).unwrap());
        assert_eq!((gradient[2], gradient[5]), (0.0, 0.0));
        assert!(gradient[0] < 0.0 && gradient[1] > 0.0);
    }
}

#[test]
fn soft_top_k_chooses_k_labels() {
    for (alpha, k) in [(0.5, 1), (2.0, 3), (40.0, 5)] {
        let at = noise(18, 6);
        let config = Config::default().with_alpha(alpha).with_k(k).with_iters(60);
        let chosen = soft_top_k(leaf(&at, SHAPE), leaf(&TARGETS, SHAPE), None, &config).unwrap();
        for (row, threshold) in at.chunks(6).zip(numbers(chosen.thresholds)) {
            let shares: Vec<f64> = row.iter().map(|s| 1.0 / (1.0 + (-alpha * (s + threshold)).exp())).collect();
            assert_close("sum", &[shares.iter().sum()], &[k as f64], 1e-7);
            if alpha == 40.0 {
                assert_eq!(shares.iter().filter(|share| **share > 0.5).count(), k);
            }
        }
    }
    let refused = soft_top_k(leaf(&[0.0; 5], [1, 5]), leaf(&[0.0; 5], [1, 5]), None, &Config::default());
    assert!(matches!(refused, Err(LossError::Shape { .. })));
}

#[test]
fn extremes_stay_finite() {
    for loss in losses() {
        let at = leaf(&[1e3, -1e3, 0.0, 1e3, -1e3, 1e3], [1, 6]).cast(burn::tensor::DType::F32).detach().require_grad();
        let value =
            per_sample(at.clone(), leaf(&[0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [1, 6]).cast(at.dtype()), &loss).unwrap();
        let gradient = numbers(at.grad(&value.backward()).unwrap());
        assert!(numbers(value)[0].is_finite() && gradient.iter().all(|slope| slope.is_finite()), "{}", loss.name());
    }
}

#[test]
fn similarities_are_cosines_over_the_temperature() {
    let found = similarities(leaf(&[3.0, 4.0], [1, 2]), leaf(&[1.0, 0.0, -8.0, 6.0], [2, 2]), 0.5).unwrap();
    assert_close("cosines", &numbers(found), &[1.2, 0.0], 1e-12);
    let refused = similarities(leaf(&[3.0, 4.0], [1, 2]), leaf(&[1.0; 3], [1, 3]), 0.5);
    assert!(matches!(refused, Err(LossError::Shape { .. })));
}
