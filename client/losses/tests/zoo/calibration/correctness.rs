//! Correctness-aware calibration and its calibrator.

use burn::tensor::{DType, Device, Int, Tensor};
use synod_losses::calibration::correctness_aware::{Config, correctness_aware};
use synod_losses::calibration::correctness_calibrator::{self, Calibrator, features};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex().autodiff())
}

fn value(logits: Tensor<2>, classes: &[i64], temperature: Tensor<1>, balanced: bool) -> Tensor<1> {
    let config = Config::default().with_balanced(balanced);
    correctness_aware(logits, labels(classes), temperature, &config).expect("the inputs are valid").loss
}

#[test]
fn loss_equals_a_naive_loop_and_gradients_equal_finite_differences() {
    let (logits, temperature, classes) = (noise(15, 1), [0.5, 1.0, 2.0, 3.0, 0.8], [0, 1, 2, 0, 1]);
    for balanced in [true, false] {
        let mut rows = Vec::new();
        for ((row, t), &label) in logits.chunks(3).zip(temperature).zip(&classes) {
            let largest = (0..3).max_by(|&left, &right| row[left].total_cmp(&row[right])).unwrap();
            let sum: f64 = row.iter().map(|logit| ((logit - row[largest]) / t).exp()).sum();
            rows.push((1.0 / sum, f64::from(u8::from(largest as i64 == label))));
        }
        let accuracy = rows.iter().map(|(_, correct)| correct).sum::<f64>() / 5.0;
        assert!(accuracy > 0.0 && accuracy < 1.0);
        let weight = |correct: f64| match (balanced, correct == 1.0) {
            (false, _) => 1.0,
            (true, right) => {
                if right {
                    1.0 - accuracy
                } else {
                    accuracy
                }
            }
        };
        let sum: f64 = rows.iter().map(|(confidence, correct)| weight(*correct) * (confidence - correct).powi(2)).sum();
        let total: f64 = rows.iter().map(|(_, correct)| weight(*correct)).sum();
        let at = || (leaf(&logits, [5, 3]), leaf(&temperature, [5]));
        assert_close("loss", &numbers(value(at().0, &classes, at().1, balanced)), &[sum / total], 1e-10);
        assert_gradient("temperature", &temperature, [5], 1e-6, |t| value(at().0, &classes, t, balanced));
        assert_gradient("logits", &logits, [5, 3], 1e-6, |logits| value(logits, &classes, at().1, balanced));

        let temperature = at().1;
        let loss = value(at().0, &classes, temperature.clone(), balanced);
        for (slope, (_, correct)) in numbers(temperature.grad(&loss.backward()).unwrap()).into_iter().zip(rows) {
            assert!(if correct == 1.0 { slope > 0.0 } else { slope < 0.0 }, "{slope} where correct is {correct}");
        }
    }
}

/// Where cross-entropy would sharpen a narrow miss this loss softens it.
#[test]
fn a_narrow_miss_is_softened() {
    let temperature = leaf(&[1.0], [1]);
    let loss = value(leaf(&[1.0, 1.05, -2.0], [1, 3]), &[0], temperature.clone(), true);
    assert_close("slope", &numbers(temperature.grad(&loss.backward()).unwrap()), &[-0.048], 1e-3);
}

#[test]
fn groups_of_one_kind_count_evenly_and_hot_temperatures_tend_to_uniform() {
    let rows = [3.0, 0.0, 0.0, 2.0];
    let t = || leaf(&[1.0, 2.0], [2]);
    for classes in [[0, 1], [1, 0]] {
        let (balanced, plain) =
            (value(leaf(&rows, [2, 2]), &classes, t(), true), value(leaf(&rows, [2, 2]), &classes, t(), false));
        assert_close("one kind", &numbers(balanced), &numbers(plain), 1e-12);
    }
    let hot = leaf(&[1e9; 3], [3]);
    let loss = value(leaf(&noise(12, 2), [3, 4]), &[0, 0, 3], hot, true);
    assert_close("uniform", &numbers(loss), &[0.5 * (0.25f64.powi(2) + 0.75f64.powi(2))], 1e-6);
}

#[test]
fn ties_take_the_first_class() {
    // Rows that are longer than a vector register, so that a parallel maximum would show.
    let config = correctness_calibrator::Config::default().with_k(3);
    for width in [5, 33, 100] {
        let mut row = vec![0.0; width];
        row[width - 2] = 1.0;
        let parts =
            correctness_aware(leaf(&vec![0.5; width], [1, width]), labels(&[0]), leaf(&[1.0], [1]), &Config::default());
        assert_eq!(numbers(parts.unwrap().correct), [1.0], "{width}");
        let view: Vec<f64> = (0..width).map(|class| class as f64 / width as f64).collect();
        let sum: f64 = view.iter().map(|logit| logit.exp()).sum();
        let found = features(&leaf(&row, [1, width]), leaf(&view, [1, 1, width]), &config).unwrap();
        let expected = [view[width - 2].exp() / sum, view[0].exp() / sum, view[1].exp() / sum];
        assert_close("top", &numbers(found), &expected, 1e-12);
    }
}

#[test]
fn the_calibrator_is_differentiated_inside_its_range_only() {
    let config = correctness_calibrator::Config::default().with_k(2).with_t_min(0.5).with_t_max(1.5);
    let x = || features(&leaf(&noise(12, 3), [4, 3]), leaf(&noise(24, 4), [2, 4, 3]), &config).unwrap();
    assert_eq!(x().dims(), [4, 4]);
    let (w1, b1, w2) = (noise(8, 5), noise(2, 6), [0.4, -0.3]);
    let network = |w1: Tensor<2>, b1, w2, b2: f64| {
        Calibrator { w1, b1, w2, b2: leaf(&[b2], [1]) }.temperature(x(), &config).unwrap()
    };
    let (w1_at, b1_at, w2_at) = (|| leaf(&w1, [2, 4]), || leaf(&b1, [2]), || leaf(&w2, [2]));
    assert_gradient("w1", &w1, [2, 4], 1e-6, |w1| network(w1, b1_at(), w2_at(), 1.0).square().sum());
    assert_gradient("b1", &b1, [2], 1e-6, |b1| network(w1_at(), b1, w2_at(), 1.0).square().sum());
    assert_gradient("w2", &w2, [2], 1e-6, |w2| network(w1_at(), b1_at(), w2, 1.0).square().sum());
    for (b2, expected) in [(50.0, 1.5), (-50.0, 0.5)] {
        let w2 = w2_at();
        let clamped = network(w1_at(), b1_at(), w2.clone(), b2);
        assert_eq!(numbers(clamped.clone()), [expected; 4]);
        assert_eq!(numbers(w2.grad(&clamped.sum().backward()).unwrap()), [0.0; 2]);
    }
    // Exactly at a bound the gradient passes.
    let b2 = leaf(&[1.5], [1]);
    let still = Calibrator { w1: w1_at(), b1: b1_at(), w2: leaf(&[0.0; 2], [2]), b2: b2.clone() };
    let slope = b2.grad(&still.temperature(x(), &config).unwrap().sum().backward()).unwrap();
    assert_eq!(numbers(slope), [4.0]);
}

#[test]
fn extremes_stay_finite_in_single_precision_and_misfits_are_refused() {
    let single = |values: &[f64]| leaf(values, [2, 3]).cast(DType::F32).detach().require_grad();
    let logits = single(&[1e3, -1e3, 0.0, 0.0, 0.0, 0.0]);
    let t = leaf(&[0.1, 10.0], [2]).cast(DType::F32);
    let loss = value(logits.clone(), &[1, 0], t, true);
    assert!(numbers(logits.grad(&loss.backward()).unwrap()).iter().all(|slope| slope.is_finite()));

    let shape = |error: LossError, tensor: &str| {
        assert!(matches!(&error, LossError::Shape { tensor: found, .. } if *found == tensor), "{error}");
    };
    let config = correctness_calibrator::Config::default();
    shape(features(&leaf(&[0.0; 3], [1, 3]), leaf(&[0.0; 3], [1, 1, 3]), &config).unwrap_err(), "logits");
    let narrow = config.clone().with_k(2);
    shape(features(&leaf(&[0.0; 3], [1, 3]), leaf(&[0.0; 6], [1, 2, 3]), &narrow).unwrap_err(), "views");
    let short = leaf(&[1.0], [1]);
    shape(correctness_aware(logits.clone(), labels(&[0, 1]), short, &Config::default()).unwrap_err(), "temperature");
    let empty =
        correctness_aware(logits.slice([0..0, 0..3]), labels(&[0]).slice(0..0), leaf(&[1.0], [1]), &Config::default());
    assert!(matches!(empty, Err(LossError::EmptyBatch { .. })));
    for wrong in [config.clone().with_k(0), config.clone().with_t_min(0.0), config.with_t_max(0.05)] {
        assert!(wrong.validate().is_err());
    }
}
