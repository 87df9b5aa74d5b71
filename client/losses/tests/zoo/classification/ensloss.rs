//! EnsLoss: the derivatives it draws.

use burn::tensor::{Device, Int, Tensor};
use synod_losses::classification::ensloss::{Config, derivatives, ensloss};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, leaf, noise, numbers};

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex().autodiff())
}

fn vector(values: &[f64]) -> Tensor<1> {
    leaf(values, [values.len()])
}

#[test]
fn derivatives_by_hand() {
    // Margins 0.5, -1, 3, -1: the two equal ones keep their order, and the one above 1 is divided.
    let (scores, classes) = (vector(&[0.5, 1.0, -3.0, -1.0]), labels(&[1, 0, 0, 1]));
    let drawn = derivatives(&scores, &classes, &vector(&[-2.0, 5.0, -0.5, -1.0]), &Config::default()).unwrap();
    let expected = [-(-1f64).exp(), -1.0, -(-2f64).exp() / 3.0, -(-0.5f64).exp()];
    assert_close("g", &drawn, &expected.map(|g| g - 1e-6), 1e-12);
}

#[test]
fn laws_of_the_derivatives() {
    for (seed, lambda) in [(1, -1.0), (2, -0.8), (3, 0.0), (4, 0.5), (5, 1.0)] {
        let config = Config::default().with_lambda(lambda).with_cap(0.7);
        let (scores, normals) = (noise(17, seed), noise(17, seed + 50));
        let classes: Vec<i64> = (0..17).map(|row| i64::from(row % 3 == 0)).collect();
        let g = derivatives(&vector(&scores), &labels(&classes), &vector(&normals), &config).unwrap();
        assert!(g.iter().all(|g| (-0.7 - 1e-6..0.0).contains(g)), "{g:?}");
        let mut by_margin: Vec<(f64, f64)> =
            scores.iter().zip(&classes).map(|(score, label)| (2 * label - 1) as f64 * score).zip(g.clone()).collect();
        by_margin.sort_by(|left, right| left.0.total_cmp(&right.0));
        assert!(by_margin.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{by_margin:?}");

        let negated: Vec<f64> = scores.iter().map(|score| -score).collect();
        let flipped: Vec<i64> = classes.iter().map(|label| 1 - label).collect();
        let mirrored = derivatives(&vector(&negated), &labels(&flipped), &vector(&normals), &config).unwrap();
        assert_eq!(mirrored, g);
        let permuted: Vec<f64> = normals.iter().rev().copied().collect();
        assert_eq!(derivatives(&vector(&scores), &labels(&classes), &vector(&permuted), &config).unwrap(), g);

        let at = vector(&scores);
        let values = ensloss(at.clone(), &labels(&classes), &vector(&normals), &config).unwrap();
        let slopes = numbers(at.grad(&values.sum().backward()).unwrap());
        let expected: Vec<f64> = g.iter().zip(&classes).map(|(g, label)| g * (2 * label - 1) as f64).collect();
        assert_close("gradient", &slopes, &expected, 1e-12);
    }
}

#[test]
fn degenerate_batches_are_values_or_errors() {
    let config = Config::default().with_lambda(-1.0);
    let one = derivatives(&vector(&[1e3]), &labels(&[1]), &vector(&[9.0]), &config).unwrap();
    assert_close("base 0, capped", &one, &[-1e-3 - 1e-6], 1e-12);
    let refuse = |scores: &[f64], classes: &[i64], normals: &[f64]| {
        ensloss(vector(scores), &labels(classes), &vector(normals), &config).unwrap_err()
    };
    assert!(matches!(refuse(&[1.0], &[2], &[0.0]), LossError::Label { label: 2, .. }));
    assert!(matches!(refuse(&[1.0], &[-1], &[0.0]), LossError::Label { label: -1, .. }));
    assert!(matches!(refuse(&[1.0], &[1], &[0.0, 1.0]), LossError::Shape { tensor: "normals", .. }));
    assert!(matches!(refuse(&[1.0, 1.0], &[1], &[0.0, 1.0]), LossError::Shape { tensor: "labels", .. }));
    assert!(matches!(refuse(&[f64::NAN], &[1], &[0.0]), LossError::NotFinite { tensor: "scores", .. }));
    assert!(matches!(refuse(&[1.0], &[1], &[f64::INFINITY]), LossError::NotFinite { tensor: "normals", .. }));
    let empty = vector(&[0.0]).slice(0..0);
    assert!(matches!(ensloss(empty.clone(), &labels(&[0]), &empty, &config), Err(LossError::EmptyBatch { .. })));
    for config in [Config::default().with_lambda(1.1), Config::default().with_cap(0.0)] {
        assert!(config.validate().is_err());
    }
}
