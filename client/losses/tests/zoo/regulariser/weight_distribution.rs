//! The weight distribution term.

use burn::tensor::{DType, Tensor};
use synod_losses::regulariser::weight_distribution::{Config, weight_distribution};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn term(layers: &[Tensor<1>], config: &Config) -> Tensor<1> {
    weight_distribution(layers, config).expect("the inputs are valid").total(config)
}

/// Skewness and kurtosis of the card.
fn moments(w: &[f64]) -> (f64, f64) {
    let n = w.len() as f64;
    let mean = w.iter().sum::<f64>() / n;
    let sd = (w.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let moment = |power: i32| w.iter().map(|w| ((w - mean) / sd).powi(power)).sum::<f64>() / n;
    (moment(3), moment(4))
}

#[test]
fn the_term_equals_a_naive_loop_and_its_gradient_finite_differences() {
    let layers = [noise(5, 1), noise(9, 2), noise(2, 3)];
    for skip_first in [true, false] {
        let config = Config::default().with_skip_first(skip_first).with_kurt_rate(0.3).with_skew_target(0.2);
        let counted = &layers[usize::from(skip_first)..];
        let mean = |distance: &dyn Fn((f64, f64)) -> f64| {
            counted.iter().map(|layer| distance(moments(layer)).powi(2)).sum::<f64>() / counted.len() as f64
        };
        let expected = 0.3 * mean(&|(_, kurt)| kurt - 1.8) + mean(&|(skew, _)| skew - 0.2);
        let tensors: Vec<Tensor<1>> = layers.iter().map(|layer| leaf(layer, [layer.len()])).collect();
        assert_close("term", &numbers(term(&tensors, &config)), &[expected], 1e-10);
        assert_gradient("layer", &layers[1], [9], 1e-5, |layer| {
            term(&[leaf(&layers[0], [5]), layer, leaf(&layers[2], [2])], &config)
        });
    }
}

#[test]
fn shift_and_scale_change_nothing_and_a_uniform_layer_is_on_target() {
    let config = Config::default().with_skip_first(false);
    let (w, moved): (Vec<f64>, Vec<f64>) = noise(12, 4).into_iter().map(|w| (w, 3.0 * w - 7.0)).unzip();
    let both = [w, moved].map(|w| numbers(term(&[leaf(&w, [12])], &config))[0]);
    assert_close("moved", &both[..1], &both[1..], 1e-10);
    let even: Vec<f64> = (0..20_000).map(f64::from).collect();
    let parts = weight_distribution(&[leaf(&even, [20_000])], &config).unwrap();
    assert!(numbers(parts.kurt_term)[0] < 1e-6 && numbers(parts.skew_term)[0] < 1e-12);
}

/// The mean of equal numbers is not exact in single precision; the layer must count as flat all the same.
#[test]
fn layers_of_equal_weights_are_left_out() {
    let config = Config::default().with_skip_first(false);
    let flat = leaf(&[0.1; 7], [7]).cast(DType::F32).detach().require_grad();
    let other = || leaf(&noise(6, 5), [6]).cast(DType::F32);
    let with = term(&[flat.clone(), other()], &config);
    assert_close("left out", &numbers(with.clone()), &numbers(term(&[other()], &config)), 1e-6);
    assert_eq!(numbers(flat.grad(&with.backward()).unwrap()), [0.0; 7]);
    assert_eq!(numbers(term(&[leaf(&[2.0; 3], [3])], &config)), [0.0]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = Config::default();
    let one = leaf(&[1.0, 2.0], [2]);
    assert!(matches!(weight_distribution(std::slice::from_ref(&one), &config), Err(LossError::EmptyBatch { .. })));
    assert!(matches!(weight_distribution(&[], &config), Err(LossError::EmptyBatch { .. })));
    let single = weight_distribution(&[one, leaf(&[1.0], [1])], &config);
    assert!(matches!(single, Err(LossError::Shape { .. })));
    assert!(config.clone().with_kurt_rate(-1.0).validate().is_err());
    assert!(config.with_kurt_target(f64::NAN).validate().is_err());
}
