//! Laws of the losses for incomplete and long-tailed labels, and their memory.

use burn::tensor::Tensor;
use synod_losses::multilabel::comic::{Prior, attention, balancer, class_weights, corrector, modifier};
use synod_losses::multilabel::per_sample;
use synod_losses::{Facts, LossConfig, LossError, Memory, Targets};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const TARGETS: [f64; 12] = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0];
const SHAPE: [usize; 2] = [3, 4];

fn logits(seed: u64) -> Vec<f64> {
    noise(12, seed)
}

fn counts() -> Tensor<1> {
    leaf(&[40.0, 5.0, 12.0, 1.0], [4])
}

fn prior() -> Prior {
    let cooccurrence = noise(16, 3).iter().map(|value| value.abs()).collect::<Vec<_>>();
    Prior { class_counts: Some(counts()), cooccurrence: Some(leaf(&cooccurrence, [4, 4])) }
}

#[test]
fn weights_grow_as_counts_fall_and_begin_at_one() {
    let weights = numbers(class_weights(counts(), 1.0 / 3.0));
    assert_close("largest", &weights[..1], &[1.0], 1e-12);
    assert!(weights[0] < weights[2] && weights[2] < weights[1] && weights[1] < weights[3], "{weights:?}");
    assert_close("power 0", &numbers(class_weights(counts(), 0.0)), &[1.0; 4], 1e-12);
}

#[test]
fn attention_adds_up_to_one_for_samples_with_labels() {
    let matrix = prior().cooccurrence.unwrap();
    let rows = numbers(attention(matrix, leaf(&TARGETS, SHAPE)));
    let sums: Vec<f64> = rows.chunks(4).map(|row| row.iter().sum()).collect();
    assert_close("sums", &sums, &[1.0, 0.0, 1.0], 1e-12);
    let nothing = numbers(attention(leaf(&[0.0; 16], [4, 4]), leaf(&TARGETS, SHAPE)));
    assert_eq!(nothing, [0.0; 12]);
}

/// Without anything that focuses, the loss is the sum over classes of a cross-entropy whose absent part is weighted by
/// the probability, which counts as a constant.
#[test]
fn plain_modifier_is_weighted_cross_entropy() {
    let config = modifier::Config::default().with_gamma_neg(0.0).with_clip(0.0).with_weight_power(0.0);
    let at = leaf(&logits(1), SHAPE);
    let values = modifier::modifier(at.clone(), leaf(&TARGETS, SHAPE), &Prior::default(), &config).unwrap();
    let gradient = numbers(at.grad(&values.clone().sum().backward()).unwrap());
    let probability = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    let rows: Vec<(f64, f64)> = logits(1)
        .iter()
        .zip(TARGETS)
        .map(|(&logit, target)| {
            let s = probability(logit);
            if target == 1.0 { (-s.ln(), s - 1.0) } else { (-s * (1.0 - s).ln(), s * s) }
        })
        .collect();
    let expected: Vec<f64> = rows.chunks(4).map(|row| row.iter().map(|(value, _)| value).sum()).collect();
    assert_close("values", &numbers(values), &expected, 1e-10);
    assert_close("gradient", &gradient, &rows.iter().map(|(_, slope)| *slope).collect::<Vec<_>>(), 1e-10);
}

/// With no focus at all every part is differentiated.
#[test]
fn gradients_equal_differences_where_nothing_is_constant() {
    let config = modifier::Config::default().with_weight_power(0.0);
    // A weight of 1 is added to `gamma_neg`; labels that are all present have only `gamma_pos = 0` above them.
    assert_gradient("modifier", &logits(5), SHAPE, 1e-7, |at| {
        modifier::modifier(at, leaf(&[1.0; 12], SHAPE), &prior(), &config).unwrap().sum()
    });
    let config = balancer::Config::default();
    assert_gradient("balanced branch", &logits(6), SHAPE, 1e-7, |at| {
        let branches =
            balancer::Branches { head: leaf(&logits(7), SHAPE), tail: leaf(&logits(8), SHAPE), balanced: at };
        balancer::balancer(branches, &leaf(&[1.0; 12], SHAPE), &prior(), &config).unwrap().loss
    });
}

#[test]
fn an_absent_label_below_the_clip_costs_and_pushes_nothing() {
    let at = leaf(&[-4.0, -900.0], [1, 2]);
    let config = modifier::Config::default();
    let values = modifier::modifier(at.clone(), leaf(&[0.0; 2], [1, 2]), &Prior::default(), &config).unwrap();
    assert_eq!(numbers(values.clone()), [0.0]);
    assert_eq!(numbers(at.grad(&values.backward()).unwrap()), [0.0; 2]);
}

#[test]
fn the_corrector_only_adds_labels_and_counts_them() {
    let at: Vec<f64> = logits(2).iter().map(|value| value * 3.0).collect();
    let corrected = corrector::corrector(leaf(&at, SHAPE), leaf(&TARGETS, SHAPE), Some(counts()), &Default::default());
    let corrected = corrected.unwrap();
    let targets = numbers(corrected.targets);
    assert!(targets.iter().zip(TARGETS).all(|(after, before)| *after == before || (*after == 1.0 && before == 0.0)));
    let added = targets.iter().sum::<f64>() - TARGETS.iter().sum::<f64>();
    assert!(added > 0.0, "the batch is chosen so that something is recalled");
    let counted = numbers(corrected.class_counts.unwrap()).iter().sum::<f64>() - 58.0;
    assert_close("counts", &[counted], &[added], 1e-12);

    let none = corrector::corrector(leaf(&[-3.0; 12], SHAPE), leaf(&[0.0; 12], SHAPE), None, &Default::default());
    assert_eq!(numbers(none.unwrap().values), [0.0; 3]);
}

#[test]
fn the_branches_weigh_one_together_also_without_any_loss() {
    for (level, seed) in [(1.0, 1), (40.0, 4), (1e3, 9)] {
        let scaled = |seed: u64| leaf(&logits(seed).iter().map(|value| value * level).collect::<Vec<_>>(), SHAPE);
        let branches = balancer::Branches { head: scaled(seed), tail: scaled(seed + 1), balanced: scaled(seed + 2) };
        let balanced =
            balancer::balancer(branches.clone(), &leaf(&TARGETS, SHAPE), &prior(), &Default::default()).unwrap();
        let sum = numbers(balanced.head_weight)[0] + numbers(balanced.tail_weight)[0];
        assert_close("sum", &[sum], &[1.0], 1e-12);
        let gradients = balanced.loss.backward();
        for branch in [branches.head, branches.tail, branches.balanced] {
            assert!(numbers(branch.grad(&gradients).unwrap()).iter().all(|slope| slope.is_finite()));
        }
    }
    let zero = || leaf(&[-50.0; 12], SHAPE);
    let branches = balancer::Branches { head: zero(), tail: zero(), balanced: zero() };
    let idle = balancer::balancer(branches, &leaf(&[0.0; 12], SHAPE), &Prior::default(), &Default::default()).unwrap();
    assert_eq!(numbers(idle.head_weight), [0.5]);
}

/// The counts of a site reach the loss in training, and begin anew in each pass.
#[test]
fn a_site_remembers_its_counts() {
    let (samples, class_counts) = (20, [20, 3, 0, 1]);
    let facts = Facts::new(samples, &class_counts);
    let (at, targets) = (leaf(&logits(2), SHAPE) * 3.0, leaf(&TARGETS, SHAPE));
    for loss in [LossConfig::ComicModifier(Default::default()), LossConfig::ComicCorrector(Default::default())] {
        let remembering = loss.remembering().unwrap();
        let mut state = remembering.initial(&facts);
        let before = state.clone();
        let batch = [0, 1, 2];
        let value = remembering
            .objective(at.clone(), Targets::Matrix(targets.clone()), &mut Memory::new(&mut state, &batch))
            .unwrap();
        let plain = per_sample(at.clone(), targets.clone(), &loss).unwrap().mean();
        assert!((numbers(value)[0] - numbers(plain)[0]).abs() > 1e-3, "{}: the counts make a difference", loss.name());
        assert_eq!(state != before, loss.name() == "comic_corrector");
        remembering.begin_pass(&mut state);
        assert_eq!(state, before);

        let labels = Targets::Labels(Tensor::from_data([0, 1, 2], &at.device()));
        let refused = remembering.objective(at.clone(), labels, &mut Memory::new(&mut state, &batch));
        assert!(matches!(refused, Err(LossError::Shape { .. })));
        let mut other = Default::default();
        let refused =
            remembering.objective(at.clone(), Targets::Matrix(targets.clone()), &mut Memory::new(&mut other, &batch));
        assert!(matches!(refused, Err(LossError::Memory { .. })));
    }
}

#[test]
fn other_shapes_are_refused() {
    let at = || leaf(&logits(0), SHAPE);
    let short = Prior { class_counts: Some(leaf(&[1.0], [1])), cooccurrence: None };
    let narrow = Prior { class_counts: None, cooccurrence: Some(leaf(&[1.0; 4], [2, 2])) };
    for prior in [short, narrow] {
        let refused = modifier::modifier(at(), at(), &prior, &Default::default());
        assert!(matches!(refused, Err(LossError::Shape { .. })), "{refused:?}");
    }
    let refused = corrector::corrector(at(), at(), Some(leaf(&[1.0], [1])), &Default::default());
    assert!(matches!(refused, Err(LossError::Shape { .. })));
}
