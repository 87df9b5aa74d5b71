//! ALDR-KL and the temperatures it remembers.

use burn::tensor::{DType, Int, Tensor};
use synod_losses::classification::aldr_kl::{Config, aldr_kl};
use synod_losses::classification::ldr_kl::Normalise;
use synod_losses::{Facts, LossConfig, LossError, Memory, Remembering, Targets};

use super::plan::adapted;
use crate::support::{assert_close, assert_gradient, batch, leaf, noise, numbers};

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &burn::tensor::Device::flex().autodiff())
}

fn temperatures(values: &[f64]) -> Tensor<1> {
    leaf(values, [values.len()]).detach()
}

#[test]
fn sharper_predictions_give_smaller_temperatures() {
    let rows: Vec<f64> = [0.0, 1.0, 2.0, 4.0, 8.0].iter().flat_map(|&t| [t, 0.0, 0.0, 0.0]).collect();
    let config = Config::default().with_normalise(Normalise::None);
    let visit = aldr_kl(leaf(&rows, [5, 4]), labels(&[0; 5]), temperatures(&[1.0; 5]), &config).unwrap();
    assert_close("lambda", &numbers(visit.lambda_new), &[1.000, 0.957, 0.831, 0.594, 0.503], 5e-4);
}

/// With `alpha = 1` almost nothing is left of the temperature, and single precision must still hold its digits.
#[test]
fn small_temperatures_keep_their_digits_in_single_precision() {
    let row = [12.0, 0.0, -3.0];
    let config = Config::default().with_alpha(1.0).with_normalise(Normalise::None);
    let logits = leaf(&row, [1, 3]).cast(DType::F32);
    let visit = aldr_kl(logits, labels(&[0]), temperatures(&[1.0]).cast(DType::F32), &config).unwrap();
    let expected = adapted(&row, 1.0, 1.0, 1.0);
    let found = numbers(visit.lambda_new)[0];
    assert!(expected < 5e-4 && (found / expected - 1.0).abs() < 1e-5, "{found} instead of {expected}");
}

/// The gradient treats the temperature as a constant. What burn gives must be that of the same formula with the
/// temperature held, which LDR-KL is.
#[test]
fn no_gradient_goes_through_the_temperature() {
    use synod_losses::classification::ldr_kl;
    let (values, prev) = (noise(12, 3), [0.6, 0.8, 1.0]);
    for normalise in [Normalise::None, Normalise::L1Mean, Normalise::SoftplusMean] {
        let config = Config::default().with_normalise(normalise);
        let at = leaf(&values, [3, 4]);
        let visit = aldr_kl(at.clone(), labels(&[0, 1, 2]), temperatures(&prev), &config).unwrap();
        let lambda = numbers(visit.lambda_new);
        let found = numbers(at.grad(&visit.values.sum().backward()).unwrap());
        for row in 0..3 {
            let held = ldr_kl::Config::default().with_normalise(normalise).with_lambda(lambda[row]);
            let at = leaf(&values[row * 4..row * 4 + 4], [1, 4]);
            let value = ldr_kl::ldr_kl(at.clone(), labels(&[row as i64]), &held).unwrap();
            let expected = numbers(at.grad(&value.backward()).unwrap());
            assert_close("gradient", &found[row * 4..row * 4 + 4], &expected, 1e-10);
        }
    }
    assert_gradient("held", &values, [3, 4], 1e-7, |logits| {
        let config = ldr_kl::Config::default().with_normalise(Normalise::L1Mean).with_lambda(0.7);
        ldr_kl::ldr_kl(logits, labels(&[0, 1, 2]), &config).unwrap().sum()
    });
}

/// Each sample's temperature is read and written at its own place, and the next visit starts from it.
#[test]
fn temperatures_are_remembered_by_sample() {
    let config = Config::default();
    let loss = LossConfig::AldrKl(config.clone());
    let remembering = loss.remembering().unwrap();
    let mut state = remembering.initial(&Facts::new(5, &[2, 3]));
    let (logits, targets) = batch(2, 3).tensors(DType::F32);
    let step = |state: &mut synod_losses::LossState| {
        let mut memory = Memory::new(state, &[3, 1]);
        let value = remembering.objective(logits.clone(), Targets::Labels(targets.clone()), &mut memory).unwrap();
        let first = memory.read("lambda", &logits).unwrap();
        (numbers(value)[0], first)
    };
    let (value, lambda) = step(&mut state);
    let ones = Tensor::<1>::ones([2], (&logits.device(), DType::F32));
    let visit = aldr_kl(logits.clone(), targets.clone(), ones, &config).unwrap();
    assert_close("value", &[value], &numbers(visit.values.mean()), 1e-6);
    assert_close("lambda", &numbers(lambda.clone()), &numbers(visit.lambda_new), 1e-6);
    let untouched: Vec<f32> = state.columns().flat_map(|(_, values)| [values[0], values[2], values[4]]).collect();
    assert_eq!(untouched, [1.0; 3]);

    let (value, _) = step(&mut state);
    let visit = aldr_kl(logits.clone(), targets.clone(), lambda, &config).unwrap();
    assert_close("second visit", &[value], &numbers(visit.values.mean()), 1e-6);
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = Config::default();
    let mut state = config.initial(&Facts::new(2, &[]));
    let (logits, targets) = batch(2, 3).tensors(DType::F32);
    let matrix = Targets::Matrix(logits.clone());
    let error = config.objective(logits.clone(), matrix, &mut Memory::new(&mut state, &[0, 1])).unwrap_err();
    assert!(matches!(error, LossError::Shape { tensor: "targets", .. }), "{error}");
    let error = config.objective(logits, Targets::Labels(targets), &mut Memory::new(&mut state, &[0])).unwrap_err();
    assert!(matches!(error, LossError::Shape { tensor: "lambda_prev", .. }), "{error}");
    assert!(LossConfig::default().remembering().is_none());
}
