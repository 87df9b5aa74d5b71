//! Laws that hold for any batch, and those that the card of margin control claims.

use burn::tensor::DType;
use proptest::prelude::*;
use synod_losses::LossConfig;
use synod_losses::classification::{per_sample, softmax_objective};
use synod_losses::regulariser::margin_control::{Config, Scope, margin_control};

use crate::support::{Batch, assert_close, composed, evaluate, for_every_objective, numbers, variants};

fn any_batch() -> impl Strategy<Value = Batch> {
    (1usize..6, 1usize..7).prop_flat_map(|(samples, classes)| {
        let logits = prop::collection::vec(-20.0..20.0f64, samples * classes);
        let labels = prop::collection::vec(0..classes as i64, samples);
        (logits, labels).prop_map(move |(logits, labels)| Batch { logits, labels, classes })
    })
}

fn regulariser(batch: &Batch, reduction: Scope) -> f64 {
    let config = Config::default().with_lambda(1.0).with_reduction(reduction);
    numbers(margin_control(batch.tensors(DType::F64).0, &config).expect("the batch is valid"))[0]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn closed_form_equals_composition(batch in any_batch(), lambda in 0.0..2.0f64) {
        for reduction in [Scope::Batch, Scope::Mean] {
            let margin = Config::default().with_lambda(lambda).with_reduction(reduction);
            for loss in variants(batch.classes) {
                let by_parts = evaluate(&batch, DType::F64, &|logits, labels| {
                    composed(logits, labels, &loss, Some(&margin))
                });
                let fused = evaluate(&batch, DType::F64, &|logits, labels| {
                    softmax_objective(logits, labels, &loss, Some(&margin))
                });
                assert_close(&format!("{loss:?} value"), &[fused.value], &[by_parts.value], 1e-10);
                // Not tighter, because focal keeps 1 - p_t above 1e-7, where the two ways differ by less than that.
                assert_close(&format!("{loss:?} gradient"), &fused.gradient, &by_parts.gradient, 1e-6);
            }
        }
    }

    #[test]
    fn reversing_the_samples_reverses_values_and_keeps_the_mean(batch in any_batch()) {
        let reversed = Batch {
            logits: batch.logits.chunks(batch.classes).rev().flatten().copied().collect(),
            labels: batch.labels.iter().rev().copied().collect(),
            classes: batch.classes,
        };
        for loss in variants(batch.classes) {
            let values = |batch: &Batch| {
                let (logits, labels) = batch.tensors(DType::F64);
                numbers(per_sample(logits, labels, &loss).unwrap())
            };
            let back: Vec<f64> = values(&reversed).into_iter().rev().collect();
            assert_close(&format!("{loss:?}"), &back, &values(&batch), 1e-12);
        }
        for_every_objective(batch.classes, |label, objective| {
            let (there, back) = (evaluate(&batch, DType::F64, objective), evaluate(&reversed, DType::F64, objective));
            assert_close(label, &[back.value], &[there.value], 1e-12);
            let rows: Vec<f64> = back.gradient.chunks(batch.classes).rev().flatten().copied().collect();
            assert_close(label, &rows, &there.gradient, 1e-12);
        });
    }

    #[test]
    fn a_constant_added_to_a_row_changes_nothing(batch in any_batch(), shift in -50.0..50.0f64) {
        let mut shifted = batch.clone();
        shifted.logits[..batch.classes].iter_mut().for_each(|logit| *logit += shift);
        for_every_objective(batch.classes, |label, objective| {
            let (plain, shifted) = (evaluate(&batch, DType::F64, objective), evaluate(&shifted, DType::F64, objective));
            assert_close(label, &[shifted.value], &[plain.value], 1e-9);
            assert_close(label, &shifted.gradient, &plain.gradient, 1e-7);
        });
    }

    /// What the last law says of gradients: they are at right angles to a constant row.
    #[test]
    fn gradients_of_a_row_add_up_to_zero(batch in any_batch()) {
        for_every_objective(batch.classes, |label, objective| {
            for row in evaluate(&batch, DType::F64, objective).gradient.chunks(batch.classes) {
                assert_close(label, &[row.iter().sum()], &[0.0], 1e-10);
            }
        });
    }

    #[test]
    fn losses_are_at_least_zero_and_focal_at_most_cross_entropy(batch in any_batch()) {
        let values = |loss: &LossConfig| {
            let (logits, labels) = batch.tensors(DType::F64);
            numbers(per_sample(logits, labels, loss).unwrap())
        };
        for loss in variants(batch.classes) {
            prop_assert!(values(&loss).iter().all(|&value| value >= -1e-12), "{loss:?}");
        }
        let (entropy, focal) = (values(&LossConfig::default()), values(&LossConfig::Focal(Default::default())));
        prop_assert!(focal.iter().zip(&entropy).all(|(focal, entropy)| *focal <= entropy + 1e-12));
    }

    #[test]
    fn lambda_zero_is_the_plain_loss_bit_for_bit(batch in any_batch()) {
        let off = Config::default().with_lambda(0.0);
        for loss in variants(batch.classes) {
            let plain = evaluate(&batch, DType::F32, &|logits, labels| softmax_objective(logits, labels, &loss, None));
            let with = evaluate(&batch, DType::F32, &|logits, labels| {
                softmax_objective(logits, labels, &loss, Some(&off))
            });
            prop_assert_eq!(&with, &plain);
            let by_parts = evaluate(&batch, DType::F64, &|logits, labels| {
                composed(logits, labels, &loss, Some(&off))
            });
            assert_close("value", &[by_parts.value], &[plain.value], 1e-5);
        }
    }

    #[test]
    fn regulariser_lies_in_its_range(batch in any_batch()) {
        let (samples, classes) = (batch.labels.len() as f64, batch.classes as f64);
        let mean = regulariser(&batch, Scope::Mean);
        prop_assert!(mean >= (1.0 / classes).ln_1p() - 1e-12 && mean <= 2f64.ln() + 1e-12, "{mean}");
        let whole = regulariser(&batch, Scope::Batch);
        prop_assert!(whole >= (samples / classes).ln_1p() - 1e-12 && whole <= samples.ln_1p() + 1e-12, "{whole}");
    }

    #[test]
    fn mean_does_not_change_when_every_sample_is_repeated(batch in any_batch(), times in 2usize..4) {
        let repeated =
            Batch { logits: batch.logits.repeat(times), labels: batch.labels.repeat(times), classes: batch.classes };
        let (once, often) = (regulariser(&batch, Scope::Mean), regulariser(&repeated, Scope::Mean));
        assert_close("mean", &[often], &[once], 1e-12);
        prop_assert!(regulariser(&repeated, Scope::Batch) > regulariser(&batch, Scope::Batch));
    }

    /// A step against the gradient of R lowers the largest probability of a row, or leaves it where it was.
    #[test]
    fn regulariser_pushes_towards_uniform(batch in any_batch()) {
        for reduction in [Scope::Batch, Scope::Mean] {
            let config = Config::default().with_lambda(1.0).with_reduction(reduction);
            let outcome = evaluate(&batch, DType::F64, &|logits, _| margin_control(logits, &config));
            for (row, gradient) in batch.logits.chunks(batch.classes).zip(outcome.gradient.chunks(batch.classes)) {
                let largest = (0..row.len()).max_by(|&left, &right| row[left].total_cmp(&row[right])).unwrap();
                prop_assert!(gradient[largest] >= -1e-12);
            }
        }
    }
}
