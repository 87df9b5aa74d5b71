//! The smooth adversarial comp-sum loss.

use burn::tensor::{DType, Int, Tensor};
use synod_losses::LossError;
use synod_losses::classification::smooth_adv_comp_sum::{Config, smooth_adv_comp_sum};

use crate::support::{assert_close, assert_gradient, batch, leaf, noise, numbers};

const CLASSES: usize = 4;

fn labels(samples: usize) -> Tensor<1, Int> {
    batch(samples, CLASSES).tensors(DType::F64).1
}

#[test]
fn parts_equal_naive_loops_and_gradients_equal_finite_differences() {
    let (clean, attacked, config) = (noise(12, 1), noise(12, 2), Config::default().with_tau(0.5).with_rho(2.0));
    let parts = smooth_adv_comp_sum(leaf(&clean, [3, CLASSES]), labels(3), leaf(&attacked, [3, CLASSES]), &config);
    let parts = parts.unwrap();
    let (mut natural, mut shift) = (Vec::new(), Vec::new());
    for (row, label) in numbers(labels(3).float()).into_iter().enumerate() {
        let at = |values: &[f64], class: usize| values[row * CLASSES + class];
        let margin = |values: &[f64], class: usize| at(values, label as usize) - at(values, class);
        let others: Vec<usize> = (0..CLASSES).filter(|class| *class != label as usize).collect();
        let u: f64 = others.iter().map(|&class| (-margin(&clean, class) / 2.0).exp()).sum();
        natural.push(((1.0 + u).sqrt() - 1.0) / 0.5);
        let moved = others.iter().map(|&class| (margin(&attacked, class) - margin(&clean, class)).powi(2));
        shift.push(moved.sum::<f64>().sqrt());
    }
    assert_close("natural", &numbers(parts.natural), &natural, 1e-10);
    assert_close("shift", &numbers(parts.shift), &shift, 1e-10);

    let total = |clean: Tensor<2>, attacked: Tensor<2>| {
        smooth_adv_comp_sum(clean, labels(3), attacked, &config).unwrap().total(&config).mean()
    };
    assert_gradient("logits", &clean, [3, CLASSES], 1e-6, |clean| total(clean, leaf(&attacked, [3, CLASSES])));
    assert_gradient("logits_adv", &attacked, [3, CLASSES], 1e-6, |moved| total(leaf(&clean, [3, CLASSES]), moved));
}

/// With a large enough `nu` the loss bounds the loss at the perturbed sample, with margins cut to `[0, rho]`.
#[test]
fn a_large_nu_bounds_the_loss_under_attack() {
    for seed in 0..40u32 {
        for tau in [0.0, 0.5, 1.0, 1.5, 2.0] {
            let rho = 0.5 + f64::from(seed) / 20.0;
            let config = Config::default().with_tau(tau).with_rho(rho).with_nu(3f64.sqrt() / rho);
            let (clean, attacked) = (noise(20, seed.into()), noise(20, u64::from(seed) + 91));
            let inputs = (leaf(&clean, [5, CLASSES]), leaf(&attacked, [5, CLASSES]));
            let smooth = smooth_adv_comp_sum(inputs.0, labels(5), inputs.1, &config).unwrap().total(&config);
            let labels = numbers(labels(5).float());
            for ((row, label), value) in attacked.chunks(CLASSES).zip(labels).zip(numbers(smooth)) {
                let label = label as usize;
                let others = (0..CLASSES).filter(|class| *class != label);
                let cut = others.map(|class| (1.0 - (row[label] - row[class]) / rho).clamp(0.0, 1.0));
                let s = cut.sum::<f64>().ln_1p();
                let phi = if tau == 1.0 { s } else { ((1.0 - tau) * s).exp_m1() / (1.0 - tau) };
                assert!(value >= phi, "tau {tau}, rho {rho}: {value} below {phi}");
            }
        }
    }
}

#[test]
fn an_unmoved_sample_has_no_shift_and_no_gradient_of_it() {
    let values = noise(8, 5);
    let (clean, attacked) = (leaf(&values, [2, CLASSES]), leaf(&values, [2, CLASSES]));
    let parts = smooth_adv_comp_sum(clean, labels(2), attacked.clone(), &Config::default()).unwrap();
    assert_eq!(numbers(parts.shift.clone()), [0.0, 0.0]);
    assert_eq!(numbers(attacked.grad(&parts.shift.sum().backward()).unwrap()), [0.0; 8]);
}

#[test]
fn extremes_stay_finite_and_other_shapes_are_refused() {
    let large = || leaf(&[1e3, -1e3, 0.0, 1e3], [1, CLASSES]).cast(DType::F32);
    let clean = leaf(&[-1e3, 1e3, 0.0, 0.0], [1, CLASSES]).cast(DType::F32);
    let config = Config::default().with_tau(0.0);
    let total = smooth_adv_comp_sum(clean.clone(), labels(1), large(), &config).unwrap().total(&config);
    assert!(numbers(total)[0].is_finite());
    let narrow = large().slice([0..1, 0..3]);
    let error = smooth_adv_comp_sum(clean, labels(1), narrow, &config).unwrap_err();
    assert!(matches!(error, LossError::Shape { tensor: "logits_adv", .. }), "{error}");
    let single = || leaf(&[1.0], [1, 1]);
    assert!(smooth_adv_comp_sum(single(), labels(1), single(), &config).is_err());
}
