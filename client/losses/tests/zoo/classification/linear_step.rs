//! Steps of a linear classifier: by hand, against the gradient, and split over sites.

use burn::tensor::{Device, Int, Tensor};
use synod_losses::classification::linear_step::{Config, Method, beta, logistic_loss, optimise, sums, validate_signs};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const METHODS: [Method; 4] =
    [Method::LrGd, Method::NormalizedLrGd, Method::BatchPerceptron, Method::NormalizedBatchPerceptron];

type Rows = (Tensor<2>, Tensor<1, Int>);

fn rows(values: &[f64], width: usize, labels: &[i64]) -> Rows {
    let device = Device::flex().autodiff();
    (leaf(values, [labels.len(), width]).detach(), Tensor::from_data(labels, &device))
}

fn with(method: Method, gamma: f64) -> Config {
    Config::default().with_method(method).with_gamma(gamma)
}

/// The example of the card, whose perceptrons are not finished after one step.
#[test]
fn perceptrons_by_hand() {
    let data = [rows(&[1.0, 0.0, 3.0, 1.0], 2, &[1, -1])];
    let batch = [[-0.5, -0.25], [0.0, -0.25], [0.5, -0.25], [-1.0, -0.75]];
    let normalized = [[-1.0, -0.5], [0.0, -0.5], [1.0, -0.5], [-2.0, -1.5]];
    for (method, expected) in [(Method::BatchPerceptron, batch), (Method::NormalizedBatchPerceptron, normalized)] {
        for (steps, theta) in expected.iter().enumerate() {
            let trace = optimise(&data, &[0.0, 0.0], steps + 1, &with(method, 1.0)).unwrap();
            assert_close("theta", &trace.theta, theta, 1e-12);
            assert_eq!(trace.misclassified_before_step, &[2, 1, 1, 1][..=steps]);
        }
    }
}

#[test]
fn logistic_rules_follow_the_gradient() {
    let values = noise(21, 4);
    let (features, labels) = rows(&values, 3, &[1, -1, 1, 1, -1, 1, -1]);
    let theta0 = [0.3, -0.2, 0.5];
    let theta = leaf(&theta0, [3]);
    let loss = logistic_loss(&features, &labels, theta.clone()).unwrap().mean();
    let gradient = numbers(theta.grad(&loss.backward()).unwrap());
    assert_gradient("theta", &theta0, [3], 1e-7, |theta| logistic_loss(&features, &labels, theta).unwrap().mean());
    let beta = beta(&features, &labels, &theta0).unwrap();
    for (method, factor) in [(Method::LrGd, 1.0), (Method::NormalizedLrGd, beta)] {
        let trace = optimise(&[(features.clone(), labels.clone())], &theta0, 1, &with(method, 4.0)).unwrap();
        let expected: Vec<f64> =
            theta0.iter().zip(&gradient).map(|(theta, slope)| theta - 4.0 * factor * slope).collect();
        assert_close("theta", &trace.theta, &expected, 1e-10);
        let moved: f64 = trace.theta.iter().zip(theta0).map(|(to, from)| (to - from).powi(2)).sum();
        let longest = values.chunks(3).map(|row| row.iter().map(|a| a * a).sum::<f64>()).fold(0.0, f64::max);
        assert!(method == Method::LrGd || moved.sqrt() <= 4.0 * longest.sqrt() + 1e-9);
    }
}

#[test]
fn splitting_the_rows_over_sites_changes_nothing() {
    let values = noise(36, 9);
    let labels: Vec<i64> = (0..12).map(|row| if row % 5 < 2 { 1 } else { -1 }).collect();
    for method in METHODS {
        // Large steps make weights underflow that a single precision would lose.
        let config = with(method, 300.0);
        let pooled = optimise(&[rows(&values, 3, &labels)], &[0.1, 0.0, -0.1], 6, &config).unwrap();
        let sites = [
            rows(&values[..3], 3, &labels[..1]),
            rows(&values[3..24], 3, &labels[1..8]),
            rows(&values[24..], 3, &labels[8..]),
        ];
        let split = optimise(&sites, &[0.1, 0.0, -0.1], 6, &config).unwrap();
        assert_close(&format!("{method:?}"), &split.theta, &pooled.theta, 1e-9);
        assert_eq!(split.misclassified_before_step, pooled.misclassified_before_step);
    }
}

/// One sample against many copies of another, the worst case of the paper: steps until all are right.
#[test]
fn worst_case_takes_as_many_steps_as_in_the_paper() {
    let copies = 999;
    let values: Vec<f64> = [0.5, -1.0].into_iter().chain([-0.5, -1.0].repeat(copies)).collect();
    let labels: Vec<i64> = std::iter::once(1).chain(std::iter::repeat_n(-1, copies)).collect();
    let data = [rows(&values, 2, &labels)];
    for (method, gamma, steps) in [
        (Method::LrGd, 100.0, 308),
        (Method::NormalizedLrGd, 0.1, 157),
        (Method::NormalizedLrGd, 1.0, 16),
        (Method::NormalizedLrGd, 10.0, 2),
        (Method::NormalizedLrGd, 100.0, 2),
        (Method::BatchPerceptron, 1.0, 301),
        (Method::NormalizedBatchPerceptron, 1.0, 2),
    ] {
        let trace = optimise(&data, &[0.0, 0.0], steps + 1, &with(method, gamma)).unwrap();
        let first_right = trace.misclassified_before_step.iter().position(|&count| count == 0);
        assert_eq!(first_right, Some(steps), "{method:?} with gamma {gamma}");
    }
}

#[test]
fn weights_that_underflow_together_still_have_a_direction() {
    let (features, labels) = rows(&[900.0, 0.0, 901.0, 1.0], 2, &[1, 1]);
    let config = with(Method::NormalizedLrGd, 1.0);
    let trace = optimise(&[(features, labels)], &[5.0, 0.0], 1, &config).unwrap();
    let w = (-5f64).exp();
    let expected = [5.0 + (900.0 + w * 901.0) / (1.0 + w), w / (1.0 + w)];
    assert_close("theta", &trace.theta, &expected, 1e-9);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (features, labels) = rows(&[1.0, 2.0, 3.0, 4.0], 2, &[1, -1]);
    let config = Config::default();
    let error = optimise(&[(features.clone(), labels.clone())], &[0.0], 1, &config).unwrap_err();
    assert!(matches!(error, LossError::Shape { tensor: "theta", .. }), "{error}");
    let short = labels.clone().slice(0..1);
    assert!(matches!(sums(&features, &short, &[0.0; 2], 0, &config), Err(LossError::Shape { tensor: "labels", .. })));
    assert!(matches!(optimise(&[], &[0.0], 1, &config), Err(LossError::EmptyBatch { .. })));
    let wide = sums(&features, &labels, &[0.0; 2], 0, &config).unwrap();
    let narrow = sums(&features.clone().slice([0..2, 0..1]), &labels, &[0.0], 0, &config).unwrap();
    assert!(wide.clone().merge(&narrow).is_err() && wide.apply(&mut [0.0], &config).is_err());
    assert!(matches!(validate_signs(&[1, -1, 0]), Err(LossError::Sign { position: 2, label: 0 })));
    assert!(validate_signs(&[1, -1]).is_ok());
    assert!(Config::default().with_gamma(0.0).validate().is_err());
}
