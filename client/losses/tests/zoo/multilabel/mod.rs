//! Losses for several labels per sample, against naive loops.

mod comic;
mod similarities;

use proptest::prelude::*;
use synod_losses::multilabel::{bce, objective, per_sample};
use synod_losses::{LossConfig, LossError, TaskKind};

use crate::matrices::{Family, Pair, check, check_finite, check_refusals};
use crate::support::{assert_close, numbers, of_task};

const FAMILY: Family = Family { per_sample, objective };

fn variants(classes: usize) -> Vec<LossConfig> {
    let weights: Vec<f64> = (0..classes).map(|class| 0.5 + class as f64 * 0.75).collect();
    let mut variants = of_task(TaskKind::MultiLabel);
    // Its number of labels to choose is below that of the classes; the tests of similarities have it.
    variants.retain(|loss| loss.name() != "soft_top_k");
    variants.push(LossConfig::BinaryCrossEntropy(bce::Config::default().with_pos_weight(weights)));
    variants
}

fn naive(loss: &LossConfig, logits: &[f64], targets: &[f64]) -> f64 {
    let classes = || logits.iter().zip(targets).enumerate();
    let sum_of_exp = |left_out: f64| -> f64 {
        classes().filter(|(_, (_, target))| **target != left_out).map(|(_, (logit, _))| logit.exp()).sum()
    };
    let present = || classes().filter(|(_, (_, target))| **target == 1.0).map(|(_, (logit, _))| *logit);
    match loss {
        LossConfig::BinaryCrossEntropy(config) => {
            let terms = classes().map(|(class, (logit, target))| {
                let weight = config.pos_weight.as_ref().map_or(1.0, |weights| weights[class]);
                let positive = 1.0 / (1.0 + (-logit).exp());
                -(weight * target * positive.ln() + (1.0 - target) * (1.0 - positive).ln())
            });
            terms.sum::<f64>() / logits.len() as f64
        }
        LossConfig::MultilabelSoftmax(_) => present().map(|logit| sum_of_exp(2.0).ln() - logit).sum(),
        LossConfig::DecoupledSoftmax(_) => {
            let terms = present().map(|logit| (logit.exp() + sum_of_exp(1.0)).ln() - logit);
            terms.sum::<f64>() / present().count().max(1) as f64
        }
        other => panic!("no oracle for {}", other.name()),
    }
}

/// What counts as a constant, or looks at the whole batch, is no function of a row that differences could test.
fn has_oracle(loss: &LossConfig) -> bool {
    !loss.name().starts_with("comic")
}

fn any_pair() -> impl Strategy<Value = Pair> {
    (1usize..5, 1usize..6).prop_flat_map(|(rows, classes)| {
        let outputs = prop::collection::vec(-10.0..10.0f64, rows * classes);
        let targets = prop::collection::vec(prop::bool::ANY, rows * classes);
        (outputs, targets).prop_map(move |(outputs, targets)| {
            let targets = targets.into_iter().map(|target| f64::from(u8::from(target))).collect();
            Pair { rows, outputs, targets }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_gradients_equal_naive_loops(pair in any_pair()) {
        for loss in variants(pair.outputs.len() / pair.rows).into_iter().filter(has_oracle) {
            check(FAMILY, &pair, &loss, &|logits, targets| naive(&loss, logits, targets));
        }
    }
}

#[test]
fn extremes_stay_finite_and_broken_inputs_are_refused() {
    let pair = Pair { rows: 2, outputs: vec![1e3, -1e3, 0.0, -1e3], targets: vec![1.0, 1.0, 0.0, 0.0] };
    for loss in variants(2) {
        check_finite(FAMILY, &pair, &loss);
        check_refusals(FAMILY, &pair, &loss);
    }
}

/// The oracle is smooth at zero, and so must the gradient be: half a step, not none or a whole one.
#[test]
fn undecided_logits_have_the_gradient_of_a_half() {
    let pair = Pair { rows: 1, outputs: vec![0.0, 0.0], targets: vec![1.0, 0.0] };
    for loss in variants(2).into_iter().filter(has_oracle) {
        check(FAMILY, &pair, &loss, &|logits, targets| naive(&loss, logits, targets));
    }
}

#[test]
fn without_recording_the_value_is_the_same() {
    let pair = Pair { rows: 1, outputs: vec![0.5, -1.5], targets: vec![1.0, 0.0] };
    let (outputs, targets) = pair.tensors(burn::tensor::DType::F32);
    for loss in variants(2) {
        let recorded = numbers(objective(outputs.clone(), targets.clone(), &loss).unwrap());
        let plain = numbers(objective(outputs.clone().inner(), targets.clone().inner(), &loss).unwrap());
        assert_close(loss.name(), &plain, &recorded, 0.0);
    }
}

#[test]
fn weights_must_match_the_classes_and_other_losses_are_refused_with_a_list() {
    let (outputs, targets) =
        Pair { rows: 1, outputs: vec![0.0; 3], targets: vec![0.0; 3] }.tensors(burn::tensor::DType::F32);
    let weighted = LossConfig::BinaryCrossEntropy(bce::Config::default().with_pos_weight([1.0]));
    let error = objective(outputs.clone(), targets.clone(), &weighted).unwrap_err();
    assert!(matches!(error, LossError::PerClass { given: 1, classes: 3, .. }), "{error}");
    let error = objective(outputs, targets, &LossConfig::default()).unwrap_err().to_string();
    let start =
        "loss `cross_entropy` does not take logits and a 0 or 1 for each class; choose one that does: binary_cross";
    assert!(error.starts_with(start), "{error}");
}
