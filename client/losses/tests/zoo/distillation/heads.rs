//! Distillation with labels, of several heads and of several versions.

use burn::tensor::{Device, Int, Tensor};
use synod_losses::classification::cross_entropy;
use synod_losses::distillation::{align_gradients, dual_head, group_guidance, knowledge_distillation};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex().autodiff())
}

fn entropy(logits: &[f64], shape: [usize; 2], targets: &[i64]) -> Vec<f64> {
    let config = cross_entropy::Config::default();
    numbers(cross_entropy::cross_entropy(leaf(logits, shape), labels(targets), &config).expect("the batch is valid"))
}

fn softened(student: &[f64], teacher: &[f64], t: f64) -> f64 {
    let log_softmax = |row: &[f64]| {
        let sum: f64 = row.iter().map(|logit| (logit / t).exp()).sum();
        row.iter().map(|logit| logit / t - sum.ln()).collect::<Vec<_>>()
    };
    let pairs = log_softmax(teacher).into_iter().zip(log_softmax(student));
    t * t * pairs.map(|(p, q)| p.exp() * (p - q)).sum::<f64>()
}

#[test]
fn knowledge_distillation_mixes_labels_and_teacher() {
    let (student, teacher, targets) = (noise(6, 1), noise(6, 2), [2, 0]);
    let config = knowledge_distillation::Config::default().with_temperature(3.0).with_alpha(0.7);
    let loss = |student| knowledge_distillation(student, leaf(&teacher, [2, 3]), labels(&targets), &config).unwrap();
    let expected: Vec<f64> = entropy(&student, [2, 3], &targets)
        .into_iter()
        .zip(student.chunks(3).zip(teacher.chunks(3)))
        .map(|(of_labels, (s, t))| 0.3 * of_labels + 0.7 * softened(s, t, 3.0))
        .collect();
    assert_close("value", &numbers(loss(leaf(&student, [2, 3]))), &expected, 1e-9);
    assert_gradient("gradient", &student, [2, 3], 1e-7, |student| loss(student).sum());
    let broken = knowledge_distillation(leaf(&student, [2, 3]), leaf(&teacher, [3, 2]), labels(&targets), &config);
    assert!(matches!(broken, Err(LossError::Shape { .. })));
    assert!(config.with_alpha(1.1).validate().is_err());
}

#[test]
fn each_head_learns_its_own_term() {
    let inputs = |main: &[f64], aux: &[f64]| dual_head::Inputs {
        main_logits: leaf(main, [2, 3]),
        aux_logits: leaf(aux, [2, 3]),
        teacher_logits: leaf(&noise(6, 5), [2, 3]),
        targets: labels(&[0, 2]),
    };
    let config = dual_head::Config::default().with_gamma(0.5).with_alpha(0.1);
    let (main, aux) = (noise(6, 3), noise(6, 4));
    let values = dual_head(inputs(&main, &aux), &config).unwrap();
    let total: Vec<f64> = numbers(values.cross_entropy.clone())
        .into_iter()
        .zip(numbers(values.distillation))
        .map(|(of_labels, of_teacher)| 0.5 * of_labels + 0.1 * of_teacher)
        .collect();
    assert_close("total", &numbers(values.total), &total, 1e-12);
    assert_close("labels", &numbers(values.cross_entropy), &entropy(&main, [2, 3], &[0, 2]), 1e-12);
    assert_gradient("main", &main, [2, 3], 1e-7, |main_logits| {
        dual_head(dual_head::Inputs { main_logits, ..inputs(&main, &aux) }, &config).unwrap().total.sum()
    });
    assert_gradient("aux", &aux, [2, 3], 1e-7, |aux_logits| {
        dual_head(dual_head::Inputs { aux_logits, ..inputs(&main, &aux) }, &config).unwrap().total.sum()
    });
    let wide = dual_head::Inputs { aux_logits: leaf(&noise(8, 1), [2, 4]), ..inputs(&main, &aux) };
    assert!(matches!(dual_head(wide, &config), Err(LossError::Shape { .. })));
}

#[test]
fn aligned_gradients_never_work_against_the_first() {
    for seed in 0..20 {
        let (first, second) = (noise(5, seed), noise(5, seed * 3 + 1));
        let aligned = align_gradients(leaf(&first, [5]), leaf(&second, [5])).unwrap();
        let along: f64 = numbers(aligned.gradient.clone()).iter().zip(&first).map(|(a, b)| a * b).sum();
        assert!(along >= -1e-12, "{along}");
        let product: f64 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
        assert_close("product", &numbers(aligned.inner_product), &[product], 1e-12);
        if product >= 0.0 {
            let sum: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
            assert_close("sum", &numbers(aligned.gradient), &sum, 1e-12);
        }
    }
    let nothing = align_gradients(leaf(&[0.0, 0.0], [2]), leaf(&[1.0, -2.0], [2])).unwrap();
    assert_eq!(numbers(nothing.gradient), [1.0, -2.0]);
    let short = align_gradients(leaf(&[0.0, 0.0], [2]), leaf(&[1.0], [1]));
    assert!(matches!(short, Err(LossError::Shape { .. })));
}

#[test]
fn versions_learn_from_the_next_larger_one() {
    let (logits, targets) = (noise(3 * 2 * 4, 6), [1, 3]);
    let config = group_guidance::Config::default().with_alpha(0.25).with_temperature(2.0);
    let of = |logits: &[f64]| numbers(group_guidance(leaf(logits, [3, 2, 4]), labels(&targets), &config).unwrap());
    let row = |version: usize, sample: usize| &logits[(version * 2 + sample) * 4..][..4];
    let mut expected = Vec::new();
    for version in 0..3 {
        for sample in 0..2 {
            let of_labels = entropy(row(version, sample), [1, 4], &targets[sample..=sample])[0];
            expected.push(match version {
                0 => of_labels,
                _ => 0.75 * of_labels + 0.25 * softened(row(version, sample), row(version - 1, sample), 2.0),
            });
        }
    }
    assert_close("parts", &of(&logits), &expected, 1e-9);
    // Identical versions: only the labels count.
    let same = logits[..8].repeat(3);
    let plain: f64 = entropy(&logits[..8], [2, 4], &targets).iter().sum();
    assert_close("same", &[of(&same).iter().sum()], &[plain * (1.0 + 2.0 * 0.75)], 1e-9);
    // As a teacher a version is a constant: the last version's part does not move the first.
    let live = leaf(&logits, [3, 2, 4]);
    let last = group_guidance(live.clone(), labels(&targets), &config).unwrap().narrow(0, 2, 1).sum();
    let gradient = numbers(live.grad(&last.backward()).unwrap());
    assert!(gradient[..16].iter().all(|&slope| slope == 0.0) && gradient[16..].iter().any(|&slope| slope != 0.0));
    let none = group_guidance(Tensor::zeros([0, 2, 4], &Device::flex()), labels(&targets), &config);
    assert!(matches!(none, Err(LossError::Shape { .. })));
    let single = group_guidance(leaf(&logits[..8], [1, 2, 4]), labels(&targets), &config).unwrap();
    assert_eq!(single.dims(), [1, 2]);
}
