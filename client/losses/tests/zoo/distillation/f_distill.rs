//! The one-step generator and its discriminator.

use burn::tensor::Tensor;
use synod_losses::distillation::f_divergence::FDiv;
use synod_losses::distillation::{f_distill, f_distill_discriminator};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, leaf, noise, numbers};

const TIMES: [f64; 4] = [0.05, 0.3, 0.35, 1.7];

fn inputs(generated: Tensor<2>, disc_logits: Tensor<2>) -> f_distill::Inputs<'static> {
    f_distill::Inputs {
        generated,
        teacher_x0: leaf(&noise(12, 1), [4, 3]),
        fake_x0: leaf(&noise(12, 2), [4, 3]),
        disc_logits,
        times: &TIMES,
    }
}

#[test]
fn bins_and_weights_equal_a_naive_loop() {
    let config = f_distill::Config::default().with_ema(0.25).with_f_div(FDiv::Fkl);
    let logits = noise(8, 3);
    let values =
        f_distill(inputs(leaf(&noise(12, 4), [4, 3]), leaf(&logits, [4, 2])), leaf(&[1.0; 10], [10]), &config).unwrap();
    let ratio = |sample: usize| ((logits[2 * sample] + logits[2 * sample + 1]) / 2.0).exp().clamp(0.1, 20.0);
    // Times 0.3 and 0.35 share the fourth bin, or not: 0.3 / 0.1 is just below 3 in binary.
    let bin_of = [0, 2, 3, 9];
    let mut bins = [1.0; 10];
    for (sample, &bin) in bin_of.iter().enumerate() {
        bins[bin] = 0.25 + 0.75 * ratio(sample) / (1.0 + 1e-6);
    }
    let h: Vec<f64> = (0..4).map(|sample| ratio(sample) / (bins[bin_of[sample]] + 1e-6)).collect();
    let mean = h.iter().sum::<f64>() / 4.0 + 1e-6;
    assert_close("bins", &numbers(values.bins), &bins, 1e-9);
    assert_close("h", &numbers(values.h), &h.iter().map(|h| h / mean).collect::<Vec<_>>(), 1e-9);
}

#[test]
fn the_generator_follows_the_difference_of_the_denoisers() {
    let config = f_distill::Config::default().with_f_div(FDiv::Rkl).with_gan_weight(0.5);
    let (generated, logits) = (leaf(&noise(12, 4), [4, 3]), leaf(&noise(8, 3), [4, 2]));
    let bins = leaf(&[1.0; 3], [3]);
    let values = f_distill(inputs(generated.clone(), logits.clone()), bins.clone(), &config).unwrap();
    let gradients = values.loss.clone().backward();
    let (x, teacher, fake) = (noise(12, 4), noise(12, 1), noise(12, 2));
    let expected: Vec<f64> = (0..12)
        .map(|i| {
            let row = i / 3 * 3..i / 3 * 3 + 3;
            let distance = row.map(|j| (x[j] - teacher[j]).abs()).sum::<f64>() / 3.0 + 1e-6;
            (fake[i] - teacher[i]) / (1.0 + 1e-6) / distance / 12.0
        })
        .collect();
    assert_close("generated", &numbers(generated.grad(&gradients).unwrap()), &expected, 1e-9);
    let sigmoid: Vec<f64> = noise(8, 3).iter().map(|z| -0.5 / 8.0 / (1.0 + z.exp())).collect();
    assert_close("logits", &numbers(logits.grad(&gradients).unwrap()), &sigmoid, 1e-9);
    // Reverse KL does not look at ratios.
    let narrow = config.with_ratio_lower(0.9).with_ratio_upper(1.1);
    let other = f_distill(inputs(generated, logits), bins, &narrow).unwrap();
    assert_close("ratios", &numbers(other.loss), &numbers(values.loss), 1e-12);
}

#[test]
fn extremes_stay_finite_and_broken_inputs_are_refused() {
    let config = f_distill::Config::default().with_f_div(FDiv::Neyman);
    let far = leaf(&[1e3, -1e3, 1e3, 1e3, -1e3, -1e3, 0.0, 0.0], [4, 2]);
    let generated = leaf(&noise(12, 1), [4, 3]);
    let values = f_distill(inputs(generated.clone(), far.clone()), leaf(&[1.0; 2], [2]), &config).unwrap();
    let gradient = numbers(generated.grad(&values.loss.backward()).unwrap());
    assert!(gradient.iter().all(|slope| slope.is_finite()), "{gradient:?}");
    let refused = |inputs| f_distill(inputs, leaf(&[1.0; 2], [2]), &config).unwrap_err();
    let times = f_distill::Inputs { times: &[0.0, f64::NAN, 0.0, 0.0], ..inputs(generated.clone(), far.clone()) };
    assert!(matches!(refused(times), LossError::Value { .. }));
    let times = f_distill::Inputs { times: &[0.0], ..inputs(generated.clone(), far.clone()) };
    assert!(matches!(refused(times), LossError::Shape { .. }));
    assert!(matches!(refused(inputs(generated, leaf(&[0.0], [1, 1]))), LossError::Shape { .. }));
    assert!(config.clone().with_ratio_upper(0.1).validate().is_err());
    assert!(config.clone().with_t_max(0.0).validate().is_err());
    assert!(config.with_gan_weight(0.0).validate().is_err());
}

#[test]
fn the_discriminator_separates_fake_from_real() {
    let (fake, real) = (leaf(&[0.5, -2.0, 1e3], [3]), leaf(&[1.0, -1e3], [2]));
    let loss = f_distill_discriminator(fake.clone(), real.clone()).unwrap();
    let softplus = |x: f64| if x > 30.0 { x } else { x.exp().ln_1p() };
    let expected = (softplus(0.5) + softplus(-2.0) + 1e3) / 3.0 + (softplus(-1.0) + 1e3) / 2.0;
    assert_close("value", &numbers(loss.clone()), &[expected], 1e-9);
    let gradients = loss.backward();
    assert!(numbers(fake.grad(&gradients).unwrap()).iter().all(|&slope| slope > 0.0));
    assert!(numbers(real.grad(&gradients).unwrap()).iter().all(|&slope| slope < 0.0));
    assert!(matches!(f_distill_discriminator(leaf(&[], [0]), real), Err(LossError::EmptyBatch { .. })));
}
