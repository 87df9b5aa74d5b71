//! Extreme numbers, degenerate batches, and what is refused.

use burn::tensor::{DType, Device, Int, Tensor};
use synod_losses::classification::{cross_entropy, focal, per_sample, softmax_objective};
use synod_losses::regulariser::margin_control::{self, margin_control};
use synod_losses::{LossConfig, LossError, TaskKind, check};

use crate::support::{Batch, evaluate, for_every_objective, numbers, of_task};

fn fused() -> [LossConfig; 2] {
    [LossConfig::CrossEntropy(Default::default()), LossConfig::Focal(Default::default())]
}

fn assert_finite(label: &str, batch: &Batch) {
    for_every_objective(batch.classes, |objective_label, objective| {
        let outcome = evaluate(batch, DType::F32, objective);
        let finite = outcome.value.is_finite() && outcome.gradient.iter().all(|slope| slope.is_finite());
        assert!(finite, "{label}, {objective_label}: {outcome:?}");
    });
}

#[test]
fn logits_of_a_thousand_stay_finite() {
    let logits = vec![1e3, -1e3, 0.0, -1e3, 1e3, 1e3, 1e3, 1e3, 1e3, -1e3, -1e3, -1e3];
    for labels in [vec![0, 1, 2, 0], vec![1, 0, 0, 2], vec![2, 2, 1, 1]] {
        assert_finite("extreme logits", &Batch { logits: logits.clone(), labels, classes: 3 });
    }
}

#[test]
fn a_certain_wrong_prediction_costs_the_distance_of_the_logits() {
    let batch = Batch { logits: vec![1e3, -1e3], labels: vec![1], classes: 2 };
<<<<<<< HEAD
    for loss in fused() {
=======
    for loss in of_task(TaskKind::Classification) {
>>>>>>> t
        let outcome = evaluate(&batch, DType::F32, &|logits, labels| softmax_objective(logits, labels, &loss, None));
        assert_eq!(outcome.value, 2000.0, "{loss:?}");
        assert_eq!(outcome.gradient, [1.0, -1.0], "{loss:?}");
    }
}

#[test]
fn one_sample_and_one_class_are_finite() {
    assert_finite("one sample", &Batch { logits: vec![0.3, -0.2, 4.0], labels: vec![1], classes: 3 });
    let one_class = Batch { logits: vec![3.0, -1e3], labels: vec![0, 0], classes: 1 };
    assert_finite("one class", &one_class);
<<<<<<< HEAD
    for loss in fused() {
=======
    for loss in of_task(TaskKind::Classification) {
>>>>>>> t
        let outcome =
            evaluate(&one_class, DType::F32, &|logits, labels| softmax_objective(logits, labels, &loss, None));
        assert_eq!((outcome.value, outcome.gradient), (0.0, vec![0.0, 0.0]), "{loss:?}");
    }
}

#[test]
fn a_batch_of_classes_without_weight_is_zero_and_not_nan() {
    let config = cross_entropy::Config::default().with_class_weights([0.0, 1.0]);
    let loss = LossConfig::CrossEntropy(config);
    let batch = Batch { logits: vec![1.0, 2.0], labels: vec![0], classes: 2 };
    let outcome = evaluate(&batch, DType::F32, &|logits, labels| softmax_objective(logits, labels, &loss, None));
    assert_eq!((outcome.value, outcome.gradient), (0.0, vec![0.0, 0.0]));
}

#[test]
fn without_recording_the_value_is_the_same() {
    let batch = Batch { logits: vec![1.0, 2.0, -1.0, 0.5], labels: vec![0, 1], classes: 2 };
    let (logits, labels) = batch.tensors(DType::F32);
    let loss = LossConfig::default();
    let recorded = softmax_objective(logits.clone(), labels.clone(), &loss, None).unwrap();
    let plain = softmax_objective(logits.inner(), labels.inner(), &loss, None).unwrap();
    assert!(!plain.is_autodiff());
    assert_eq!(numbers(recorded), numbers(plain));
}

/// The objective is the end of a network: its gradient must pass through to the weights behind the logits.
#[test]
fn gradients_reach_the_weights_behind_the_logits() {
    let device = Device::flex().autodiff();
    let weights = Tensor::<2>::from_data([[0.2, -0.4], [0.1, 0.3]], &device).require_grad();
    let inputs = Tensor::<2>::from_data([[1.0, 2.0], [-1.0, 0.5]], &device);
    let labels = Tensor::<1, Int>::from_data([0, 1], &device);
    let loss = LossConfig::default();
    let gradient = |objective: &dyn Fn(Tensor<2>) -> Tensor<1>| {
        let value = objective(inputs.clone().matmul(weights.clone()));
        numbers(weights.grad(&value.backward()).unwrap())
    };
    let fused = gradient(&|logits| softmax_objective(logits, labels.clone(), &loss, None).unwrap());
    let composed = gradient(&|logits| per_sample(logits, labels.clone(), &loss).unwrap().mean());
    crate::support::assert_close("weights", &fused, &composed, 1e-6);
}

#[test]
fn wrong_shapes_and_empty_batches_are_refused() {
    let device = Device::flex();
    let logits = Tensor::<2>::zeros([3, 2], &device);
    let labels = Tensor::<1, Int>::zeros([2], &device);
    let margin = margin_control::Config::default();
<<<<<<< HEAD
    for loss in fused() {
=======
    for loss in of_task(TaskKind::Classification) {
>>>>>>> t
        let error = per_sample(logits.clone(), labels.clone(), &loss).unwrap_err();
        assert!(matches!(&error, LossError::Shape { tensor: "targets", .. }), "{error}");
        assert!(error.to_string().contains("targets of shape [3], one label per row of logits, got [2]"), "{error}");
        assert!(softmax_objective(logits.clone(), labels.clone(), &loss, Some(&margin)).is_err());

        let (empty, none) = (Tensor::<2>::zeros([0, 2], &device), Tensor::<1, Int>::zeros([0], &device));
        let error = softmax_objective(empty.clone(), none, &loss, None).unwrap_err();
        assert!(matches!(error, LossError::EmptyBatch { .. }));
        let no_classes = Tensor::<2>::zeros([2, 0], &device);
        assert!(matches!(per_sample(no_classes, labels.clone(), &loss), Err(LossError::Shape { .. })));
        assert!(matches!(margin_control(empty, &margin), Err(LossError::EmptyBatch { .. })));
    }
}

#[test]
fn options_per_class_must_match_the_classes() {
    let (logits, labels) = Batch { logits: vec![0.0; 6], labels: vec![0, 1], classes: 3 }.tensors(DType::F32);
    let entropy = cross_entropy::Config::default().with_class_weights([1.0, 2.0]);
    let focal = focal::Config::default().with_alpha([1.0, 2.0, 3.0, 4.0]);
    for loss in [LossConfig::CrossEntropy(entropy), LossConfig::Focal(focal)] {
        let error = softmax_objective(logits.clone(), labels.clone(), &loss, None).unwrap_err();
        assert!(matches!(error, LossError::PerClass { classes: 3, .. }), "{error}");
    }
}

#[test]
fn values_are_checked_where_asked_for() {
    let device = Device::flex();
    let labels = Tensor::<1, Int>::from_data([0, 2, -1], &device);
    let error = check::validate_labels(&labels, 3).unwrap_err();
    assert!(matches!(error, LossError::Label { position: 2, label: -1, classes: 3 }));
    assert!(check::validate_labels(&labels.slice(0..2), 3).is_ok());
    let logits = Tensor::<2>::from_data([[0.0, 1.0], [f32::NAN, f32::INFINITY]], &device);
    let error = check::validate_finite("logits", &logits).unwrap_err();
    assert!(error.to_string().starts_with("logits is NaN at flat position 2"), "{error}");
    assert!(check::validate_finite("logits", &logits.slice(0..1)).is_ok());
}

/// A diverged model must show as NaN in the loss, never as a plausible number.
#[test]
fn a_non_finite_logit_is_not_hidden() {
    let batch = Batch { logits: vec![f64::NAN, 1.0, 0.0, 1.0], labels: vec![0, 1], classes: 2 };
    for_every_objective(2, |label, objective| {
        let (logits, labels) = batch.tensors(DType::F32);
        let value = numbers(objective(logits, labels).unwrap())[0];
        assert!(!value.is_finite(), "{label}: {value}");
    });
}
