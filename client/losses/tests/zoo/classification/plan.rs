//! Losses that a plan may name, against naive loops and by the laws of their formulas.

use burn::tensor::{DType, Int, Tensor};
use proptest::prelude::*;
use serde_json::json;
use synod_losses::classification::{per_sample, softmax_objective, z_loss};
use synod_losses::{LossConfig, LossError, TaskKind};

use crate::support::{Batch, assert_close, batch, evaluate, leaf, numbers, of_task};

/// The losses that came after cross-entropy and focal, with defaults and with options that change the arithmetic.
fn variants() -> Vec<LossConfig> {
    let known = ["cross_entropy", "focal"];
    let mut variants = of_task(TaskKind::Classification);
    variants.retain(|loss| !known.contains(&loss.name()));
    for (name, options) in [
        ("comp_sum", json!({ "tau": 0.0 })),
        ("comp_sum", json!({ "tau": 1.7 })),
        ("comp_sum", json!({ "tau": 1.0000001 })),
        ("comp_sum", json!({ "tau": 2.0 })),
        ("z_loss", json!({ "a": 4.0, "b": 1.5 })),
        ("ldr_kl", json!({ "lambda": 0.3, "margin": 2.0, "normalise": "none" })),
        ("ldr_kl", json!({ "lambda": 3.0, "normalise": "l1_mean" })),
        ("aldr_kl", json!({ "lambda0": 2.0, "alpha": 1.5, "normalise": "none" })),
        ("aldr_kl", json!({ "normalise": "softplus_mean" })),
    ] {
        variants.push(configured(name, options));
    }
    variants
}

fn configured(name: &str, options: serde_json::Value) -> LossConfig {
    LossConfig::from_name(name, options).expect("the inputs are valid")
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + values.iter().map(|value| (value - max).exp()).sum::<f64>().ln()
}

fn normalised(row: &[f64], normalise: &str) -> Vec<f64> {
    let count = row.len() as f64;
    match normalise {
        "softplus_mean" => {
            let values: Vec<f64> = row.iter().map(|logit| logit.exp().ln_1p()).collect();
            let mean = values.iter().sum::<f64>() / count;
            values.iter().map(|value| value / mean).collect()
        }
        "l1_mean" => {
            let mean = row.iter().map(|logit| logit.abs()).sum::<f64>() / count;
            row.iter().map(|logit| logit / mean).collect()
        }
        _ => row.to_vec(),
    }
}

fn robust(f: &[f64], label: usize, lambda: f64, margin: f64) -> f64 {
    let g = |class: usize| f[class] - f[label] + if class == label { 0.0 } else { margin };
    let scaled: Vec<f64> = (0..f.len()).map(|class| g(class) / lambda).collect();
    lambda * (log_sum_exp(&scaled) - (f.len() as f64).ln())
}

/// The temperature after a visit, straight from the paper's formula.
pub(super) fn adapted(f: &[f64], lambda_prev: f64, lambda0: f64, alpha: f64) -> f64 {
    let classes = f.len() as f64;
    let scaled: Vec<f64> = f.iter().map(|value| value / lambda_prev).collect();
    let total = log_sum_exp(&scaled);
    let q: Vec<f64> = scaled.iter().map(|value| (value - total).exp() + 1e-5).collect();
    let sum: f64 = q.iter().sum();
    let kl: f64 = q.iter().map(|q| q / sum * (classes * q / sum).ln()).sum();
    lambda0 * (1.0 - kl / (alpha * classes.ln()))
}

/// The formulas of the docs, one sample at a time.
fn naive(loss: &LossConfig, row: &[f64], label: usize) -> f64 {
    let s = log_sum_exp(row) - row[label];
    match loss {
        LossConfig::CompSum(config) if (config.tau - 1.0).abs() < 1e-6 => s,
        LossConfig::CompSum(config) => (((1.0 - config.tau) * s).exp() - 1.0) / (1.0 - config.tau),
        LossConfig::ZLoss(config) => {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let sigma = (row.iter().map(|logit| (logit - mean).powi(2)).sum::<f64>() / count).sqrt();
            let z = if sigma < 1e-6 { 0.0 } else { (row[label] - mean) / sigma };
            (config.a * (config.b - z)).exp().ln_1p() / config.a
        }
        LossConfig::LdrKl(config) => {
            let name = serde_json::to_value(config.normalise).expect("the inputs are valid");
            robust(&normalised(row, name.as_str().expect("the inputs are valid")), label, config.lambda, config.margin)
        }
        LossConfig::AldrKl(config) => {
            let name = serde_json::to_value(config.normalise).expect("the inputs are valid");
            let f = normalised(row, name.as_str().expect("the inputs are valid"));
            let lambda = adapted(&f, config.lambda0, config.lambda0, config.alpha);
            let penalty = config.alpha * (f.len() as f64).ln() / (2.0 * config.lambda0);
            robust(&f, label, lambda, config.margin) - penalty * (lambda - config.lambda0).powi(2)
        }
        other => panic!("no oracle for {}", other.name()),
    }
}

fn values(batch: &Batch, loss: &LossConfig) -> Vec<f64> {
    let (logits, labels) = batch.tensors(DType::F64);
    numbers(per_sample(logits, labels, loss).expect("the inputs are valid"))
}

fn gradient(batch: &Batch, loss: &LossConfig) -> Vec<f64> {
    evaluate(batch, DType::F64, &|logits, labels| softmax_objective(logits, labels, loss, None)).gradient
}

fn one_row(logits: &[f64], label: i64) -> Batch {
    Batch { logits: logits.to_vec(), labels: vec![label], classes: logits.len() }
}

fn any_batch() -> impl Strategy<Value = Batch> {
    (1usize..5, 2usize..6).prop_flat_map(|(samples, classes)| {
        let logits = prop::collection::vec(-6.0..6.0f64, samples * classes);
        let labels = prop::collection::vec(0..classes as i64, samples);
        (logits, labels).prop_map(move |(logits, labels)| Batch { logits, labels, classes })
    })
}

#[test]
fn values_and_gradients_equal_naive_loops() {
    for (samples, classes) in [(1, 2), (6, 5), (3, 3)] {
        let batch = batch(samples, classes);
        for loss in variants() {
            let expected: Vec<f64> = batch.rows().map(|(row, label)| naive(&loss, row, label)).collect();
            assert_close(&format!("{loss:?}"), &values(&batch, &loss), &expected, 1e-9);
            if matches!(loss, LossConfig::AldrKl(_)) {
                // Its temperature is a constant to the gradient; see the tests of its memory.
                continue;
            }
            let mean = |batch: &Batch| {
                let values = batch.rows().map(|(row, label)| naive(&loss, row, label));
                values.sum::<f64>() / samples as f64
            };
            let differences: Vec<f64> = (0..batch.logits.len())
                .map(|position| {
                    let at = |step: f64| {
                        let mut moved = batch.clone();
                        moved.logits[position] += step;
                        mean(&moved)
                    };
                    (at(1e-5) - at(-1e-5)) / 2e-5
                })
                .collect();
            assert_close(&format!("{loss:?}"), &gradient(&batch, &loss), &differences, 1e-6);
        }
    }
}

#[test]
fn extremes_stay_finite_in_single_precision() {
    let batches = [
        Batch { logits: vec![1e3, -1e3, 0.0, -1e3, 1e3, 1e3], labels: vec![1, 0], classes: 3 },
        Batch { logits: vec![0.0; 4], labels: vec![1, 0], classes: 2 },
        Batch { logits: vec![-1e3; 6], labels: vec![1, 2], classes: 3 },
        one_row(&[1e-20, -1e-20, 0.0], 1),
    ];
    let mut losses = variants();
    losses.push(configured("aldr_kl", json!({ "alpha": 1.0, "normalise": "none" })));
    losses.push(configured("ldr_kl", json!({ "lambda": 1e-3, "normalise": "none" })));
    for (batch, loss) in batches.iter().flat_map(|batch| losses.iter().map(move |loss| (batch, loss))) {
        let out = evaluate(batch, DType::F32, &|logits, labels| softmax_objective(logits, labels, loss, None));
        assert!(out.value.is_finite() && out.gradient.iter().all(|slope| slope.is_finite()), "{loss:?}: {out:?}");
    }
}

#[test]
fn one_class_and_empty_batches_are_refused() {
    for loss in variants() {
        let (logits, labels) = one_row(&[1.0], 0).tensors(DType::F32);
        let error = softmax_objective(logits, labels, &loss, None).unwrap_err();
        assert!(error.to_string().contains("at least 2 classes"), "{error}");
        let (logits, labels) = batch(2, 3).tensors(DType::F32);
        let empty = softmax_objective(logits.slice([0..0, 0..3]), labels.slice(0..0), &loss, None);
        assert!(matches!(empty, Err(LossError::EmptyBatch { .. })), "{loss:?}");
    }
}

#[test]
fn a_diverged_model_shows_as_nan() {
    for loss in variants() {
        let (logits, labels) = one_row(&[f64::NAN, 1.0, 0.0], 1).tensors(DType::F32);
        let value = numbers(softmax_objective(logits, labels, &loss, None).unwrap());
        assert!(value[0].is_nan(), "{loss:?}: {value:?}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    for (name, options, option) in [
        ("comp_sum", json!({ "tau": -0.1 }), "tau"),
        ("z_loss", json!({ "a": 0.0 }), "a"),
        ("ldr_kl", json!({ "lambda": 0.0 }), "lambda"),
        ("ldr_kl", json!({ "margin": -1.0 }), "margin"),
        ("aldr_kl", json!({ "lambda0": -1.0 }), "lambda0"),
        ("aldr_kl", json!({ "alpha": 0.9 }), "alpha"),
        ("smooth_adv_comp_sum", json!({ "rho": 0.0 }), "rho"),
        ("smooth_adv_comp_sum", json!({ "nu": -1.0 }), "nu"),
    ] {
        let error = LossConfig::from_name(name, options).unwrap_err();
        assert!(matches!(&error, LossError::Config { source, .. } if source.option == option), "{error}");
    }
    assert!(z_loss::Config::default().with_b(f64::NAN).a > 0.0);
    assert!(LossConfig::ZLoss(z_loss::Config::default().with_b(f64::NAN)).validate().is_err());
    assert!(matches!(
        LossConfig::from_name("ldr_kl", json!({ "normalise": "max" })),
        Err(LossError::Options { name: "ldr_kl", .. })
    ));
}

/// Beyond the largest exponent the value stands still instead of overflowing.
#[test]
fn sum_of_exponentials_stops_at_its_bound() {
    let loss = configured("comp_sum", json!({ "tau": 0.0 }));
    let beyond = one_row(&[0.0, 500.0], 0);
    assert_close("value", &values(&beyond, &loss), &[80f64.exp() - 1.0], 1e-9);
    assert_eq!(gradient(&beyond, &loss), [0.0, 0.0]);
    let within = one_row(&[0.0, 79.0], 0);
    assert_close("value", &values(&within, &loss), &[79f64.exp()], 1e-9);
}

/// The mean of large equal numbers is not exact in single precision; the row must count as constant all the same.
#[test]
fn z_loss_of_a_constant_row_has_no_gradient() {
    for level in [0.0, 0.1, 1000.1, -7e5] {
        let batch = one_row(&[level; 7], 3);
        let loss = configured("z_loss", json!({ "b": 0.5 }));
        let out = evaluate(&batch, DType::F32, &|logits, labels| softmax_objective(logits, labels, &loss, None));
        assert_close("value", &[out.value], &[0.5f64.exp().ln_1p()], 1e-6);
        assert_eq!(out.gradient, [0.0; 7], "{level}");
    }
}

#[test]
fn z_of_a_one_hot_row_is_the_largest_there_is() {
    let targets = Tensor::<1, Int>::from_data([2], &burn::tensor::Device::flex());
    let z = z_loss::z_target(leaf(&[0.0, 0.0, 3.0, 0.0, 0.0], [1, 5]), targets).unwrap();
    assert_close("z", &numbers(z), &[2.0], 1e-12);
}

#[test]
fn ldr_kl_lies_between_mean_and_maximum() {
    let row = [1.5, -0.5, 0.25, 2.0];
    let with = |lambda: f64| {
        let loss = configured("ldr_kl", json!({ "lambda": lambda, "margin": 0.4, "normalise": "none" }));
        values(&one_row(&row, 0), &loss)[0]
    };
    let g = [0.0, -1.6, -0.85, 0.9];
    assert_close("hinge", &[with(1e-4)], &[0.9], 1e-3);
    assert_close("mean", &[with(1e6)], &[g.iter().sum::<f64>() / 4.0], 1e-5);
    // The card's other form: sum p g - lambda KL(p || uniform) at p = softmax(g / lambda).
    let lambda = 0.7;
    let total = log_sum_exp(&g.map(|g| g / lambda));
    let primal: f64 =
        g.iter().map(|g| ((g / lambda - total).exp(), g)).map(|(p, g)| p * (g - lambda * (4.0 * p).ln())).sum();
    assert_close("primal", &[with(lambda)], &[primal], 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reversing_the_samples_reverses_values_and_gradients(batch in any_batch()) {
        let reversed = Batch {
            logits: batch.logits.chunks(batch.classes).rev().flatten().copied().collect(),
            labels: batch.labels.iter().rev().copied().collect(),
            classes: batch.classes,
        };
        for loss in variants() {
            let back: Vec<f64> = values(&reversed, &loss).into_iter().rev().collect();
            assert_close(&format!("{loss:?}"), &back, &values(&batch, &loss), 1e-12);
            let rows = gradient(&reversed, &loss);
            let rows: Vec<f64> = rows.chunks(batch.classes).rev().flatten().copied().collect();
            assert_close(&format!("{loss:?}"), &rows, &gradient(&batch, &loss), 1e-10);
        }
    }

    #[test]
    fn comp_sum_does_not_rise_with_tau_and_ignores_shifts(batch in any_batch(), shift in -9.0..9.0f64) {
        let taus = [0.0, 0.4, 1.0, 1.3, 2.0, 3.0];
        let by_tau: Vec<Vec<f64>> =
            taus.iter().map(|tau| values(&batch, &configured("comp_sum", json!({ "tau": tau })))).collect();
        for pair in by_tau.windows(2) {
            prop_assert!(pair[0].iter().zip(&pair[1]).all(|(low, high)| *low >= *high - 1e-12));
        }
        let mut shifted = batch.clone();
        shifted.logits[..batch.classes].iter_mut().for_each(|logit| *logit += shift);
        for tau in taus {
            let loss = configured("comp_sum", json!({ "tau": tau }));
            assert_close("shift", &values(&shifted, &loss), &values(&batch, &loss), 1e-9);
        }
        assert_close("cross-entropy", &by_tau[2], &values(&batch, &LossConfig::default()), 1e-12);
    }

    #[test]
    fn z_loss_ignores_shift_and_scale(batch in any_batch(), shift in -9.0..9.0f64, scale in 0.1..9.0f64) {
        let loss = configured("z_loss", json!({ "a": 2.0, "b": 0.7 }));
        let mut moved = batch.clone();
        moved.logits.iter_mut().for_each(|logit| *logit = *logit * scale + shift);
        assert_close("values", &values(&moved, &loss), &values(&batch, &loss), 1e-8);
        for ((row, label), slopes) in batch.rows().zip(gradient(&batch, &loss).chunks(batch.classes)) {
            let along: f64 = row.iter().zip(slopes).map(|(logit, slope)| logit * slope).sum();
            assert_close("sum and product", &[slopes.iter().sum(), along], &[0.0, 0.0], 1e-9);
            prop_assert!(slopes[label] <= 1e-12);
        }
    }

    #[test]
    fn ldr_kl_falls_with_lambda_and_l1_mean_ignores_scale(batch in any_batch(), scale in 0.1..9.0f64) {
        let with = |lambda: f64| configured("ldr_kl", json!({ "lambda": lambda, "normalise": "l1_mean" }));
        let by_lambda: Vec<Vec<f64>> = [0.1, 0.5, 1.0, 5.0].iter().map(|&lambda| values(&batch, &with(lambda))).collect();
        for pair in by_lambda.windows(2) {
            prop_assert!(pair[0].iter().zip(&pair[1]).all(|(low, high)| *low >= *high - 1e-12));
        }
        let mut scaled = batch.clone();
        scaled.logits.iter_mut().for_each(|logit| *logit *= scale);
        assert_close("scale", &values(&scaled, &with(1.0)), &by_lambda[2], 1e-9);
        let plain = configured("ldr_kl", json!({ "margin": 0.0, "normalise": "none" }));
        let entropy: Vec<f64> = values(&batch, &LossConfig::default());
        let shifted: Vec<f64> = values(&batch, &plain).iter().map(|value| value + (batch.classes as f64).ln()).collect();
        assert_close("cross-entropy", &shifted, &entropy, 1e-12);
    }
}
