//! Perturbed regression and rules for actions.

use burn::tensor::Tensor;
use proptest::prelude::*;
use synod_losses::LossError;
use synod_losses::regression::bandit::inverse_gap::{self, Rule};
use synod_losses::regression::bandit::perturbed_regression::{self, Inputs, Kind};
use synod_losses::regression::bandit::projected_step;

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const TARGETS: [f64; 3] = [0.25, 0.75, 1.0];

fn inputs(outputs: Tensor<1>, delta: Tensor<1>, signs: &[f64]) -> Inputs {
    let parameters = delta.dims()[0];
    Inputs { outputs, targets: leaf(&TARGETS, [3]), delta, signs: leaf(signs, [signs.len() / parameters, parameters]) }
}

/// All rows of four signs.
fn all_signs() -> Vec<f64> {
    (0..16).flat_map(|row| (0..4).map(move |bit| if row >> bit & 1 == 0 { 1.0 } else { -1.0 })).collect()
}

#[test]
fn values_equal_naive_loops_and_gradients_finite_differences() {
    let (outputs, delta, signs) = (noise(3, 1), noise(4, 2), &all_signs()[8..20]);
    for (kind, c) in [(Kind::Square, 0.7), (Kind::Kl, 1.3), (Kind::Kl, 0.0)] {
        let config = perturbed_regression::Config::default().with_kind(kind).with_c(c).with_width(16);
        let of = |outputs, delta| {
            perturbed_regression::perturbed_regression(inputs(outputs, delta, signs), &config).unwrap()
        };
        let expected: Vec<f64> = (0..3)
            .map(|i| {
                let cost = |row: &[f64]| {
                    let z = outputs[i] + c * row.iter().zip(&delta).map(|(e, d)| e * d).sum::<f64>() / 2.0;
                    match kind {
                        Kind::Square => 0.5 * (z - TARGETS[i]).powi(2),
                        Kind::Kl => z.exp().ln_1p() - TARGETS[i] * z,
                    }
                };
                signs.chunks(4).map(cost).sum::<f64>() / 3.0
            })
            .collect();
        assert_close("value", &numbers(of(leaf(&outputs, [3]), leaf(&delta, [4])).loss), &expected, 1e-9);
        assert_gradient("outputs", &outputs, [3], 1e-7, |outputs| of(outputs, leaf(&delta, [4])).loss.mean());
        if c > 0.0 {
            assert_gradient("delta", &delta, [4], 1e-7, |delta| of(leaf(&outputs, [3]), delta).loss.mean());
        }
    }
}

/// Over all signs the perturbation is exactly a pull towards the start.
#[test]
fn all_signs_together_are_a_proximal_term() {
    let (outputs, delta) = (noise(3, 3), noise(4, 4));
    let config = perturbed_regression::Config::default().with_kind(Kind::Square).with_c(0.8).with_width(9);
    let given = inputs(leaf(&outputs, [3]), leaf(&delta, [4]), &all_signs());
    let values = perturbed_regression::perturbed_regression(given, &config).unwrap();
    let squares: f64 = outputs.iter().zip(TARGETS).map(|(f, y)| 0.5 * (f - y).powi(2)).sum::<f64>() / 3.0;
    let pull = 0.64 * delta.iter().map(|d| d * d).sum::<f64>() / (2.0 * 3.0);
    assert_close("loss", &numbers(values.loss.mean()), &[squares + pull], 1e-9);
    assert_close("prediction", &numbers(values.prediction), &outputs, 1e-9);
    let uneven = Inputs { targets: leaf(&[0.0], [1]), ..inputs(leaf(&outputs, [3]), leaf(&delta, [4]), &all_signs()) };
    let error = perturbed_regression::perturbed_regression(uneven, &config).unwrap_err();
    assert!(matches!(error, LossError::Shape { tensor: "targets", .. }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn probabilities_fall_with_the_predicted_loss(
        losses in prop::collection::vec(0.0..1.0f64, 2..6), uniform in 0.0..1.0f64, gamma in 0.1..200.0f64,
    ) {
        for rule in [Rule::Square, Rule::Fast] {
            let config = inverse_gap::Config::default().with_rule(rule).with_gamma(gamma);
            let choice = inverse_gap::inverse_gap(&losses, uniform, &config).unwrap();
            let p = &choice.probabilities;
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (a, b) in (0..p.len()).flat_map(|a| (0..p.len()).map(move |b| (a, b))) {
                prop_assert!(losses[a] > losses[b] || p[a] >= p[b] - 1e-12);
            }
            prop_assert!(p.iter().all(|&p| p >= 0.0) && p[choice.action] > 0.0);
            let before: f64 = p[..choice.action].iter().sum();
            prop_assert!(before <= uniform && uniform < before + p[choice.action] + 1e-12);
        }
    }

    #[test]
    fn a_step_stays_within_the_ball(delta in prop::collection::vec(-2.0..2.0f64, 4), radius in 0.1..4.0f64) {
        let config = projected_step::Config::default().with_step(0.5).with_radius(radius);
        let gradient = noise(4, 5);
        let free: Vec<f64> = delta.iter().zip(&gradient).map(|(d, g)| d - 0.5 * g).collect();
        let length = free.iter().map(|d| d * d).sum::<f64>().sqrt();
        let expected: Vec<f64> = free.iter().map(|d| if length > radius { d * radius / length } else { *d }).collect();
        let moved = projected_step::projected_step(leaf(&delta, [4]), leaf(&gradient, [4]), &config).unwrap();
        assert_close("moved", &numbers(moved), &expected, 1e-12);
    }
}

#[test]
fn rules_have_the_printed_probabilities_and_refuse_what_they_cannot_use() {
    let choose = |losses: &[f64], uniform, rule| {
        inverse_gap::inverse_gap(losses, uniform, &inverse_gap::Config::default().with_rule(rule).with_gamma(10.0))
    };
    let even = choose(&[0.4, 0.4, 0.4, 0.4], 0.6, Rule::Square).unwrap();
    assert_close("even", &even.probabilities, &[0.25; 4], 1e-12);
    assert_eq!(even.action, 2);
    let fast = choose(&[0.5, 0.1, 0.2], 0.0, Rule::Fast).unwrap();
    assert_close("fast", &fast.probabilities, &[0.1 / 4.3, 1.0 - 0.1 / 4.3 - 0.1 / 1.3, 0.1 / 1.3], 1e-12);
    // A draw of 0 must not choose an action that has no probability.
    let certain = choose(&[0.5, 0.0, 0.0], 0.0, Rule::Fast).unwrap();
    assert_eq!((certain.probabilities, certain.action), (vec![0.0, 1.0, 0.0], 1));
    for (losses, uniform, rule) in [
        (&[0.1][..], 0.0, Rule::Square),
        (&[0.1, f64::NAN], 0.0, Rule::Square),
        (&[0.1, 1.5], 0.0, Rule::Fast),
        (&[0.1, 0.5], 1.0, Rule::Fast),
    ] {
        assert!(matches!(choose(losses, uniform, rule), Err(LossError::Value { .. })), "{losses:?}");
    }
    assert!(choose(&[0.1, 1.5], 0.0, Rule::Square).is_ok());
    let still = projected_step::projected_step(leaf(&[0.0; 2], [2]), leaf(&[0.0; 2], [2]), &Default::default());
    assert_eq!(numbers(still.unwrap()), [0.0; 2]);
}
