//! Learning models that are not normalised.

use burn::tensor::{DType, Device, Tensor, TensorData};
use synod_losses::LossError;
use synod_losses::density::meco::{self, Values};
use synod_losses::density::{effective_sample_size, exact_nll, momentum_update, nce};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

struct Batch {
    data: Vec<f64>,
    noise: Vec<f64>,
    q: Vec<f64>,
}

impl Batch {
    fn new() -> Self {
        Self { data: noise(4, 1), noise: noise(5, 2), q: noise(5, 3) }
    }

    fn mean_ratio(&self) -> f64 {
        self.noise.iter().zip(&self.q).map(|(p, q)| (p - q).exp()).sum::<f64>() / 5.0
    }

    fn data_term(&self) -> f64 {
        -self.data.iter().sum::<f64>() / 4.0
    }

    fn meco(&self, data: Tensor<1>, noise: Tensor<1>, log_u: Option<f64>, gamma: f64) -> Values {
        let log_u = log_u.map(|log_u| leaf(&[log_u], [1]));
        meco::meco(data, noise, leaf(&self.q, [5]), log_u, &meco::Config::default().with_gamma(gamma))
            .expect("the batch is valid")
    }
}

#[test]
fn the_running_estimate_has_the_value_and_gradient_of_the_algorithm() {
    let batch = Batch::new();
    for (log_u, gamma) in [(Some(0.4), 0.25), (Some(-30.0), 0.1), (None, 0.25), (Some(0.4), 1.0)] {
        let (data, noise) = (leaf(&batch.data, [4]), leaf(&batch.noise, [5]));
        let values = batch.meco(data.clone(), noise.clone(), log_u, gamma);
        let g = batch.mean_ratio();
        let u = log_u.filter(|_| gamma < 1.0).map_or(g, |log_u| (1.0 - gamma) * log_u.exp() + gamma * g);
        assert_close("log_u", &numbers(values.log_u), &[u.ln()], 1e-9);
        assert_close("ratio", &numbers(values.ratio), &[g / u], 1e-9);
        assert_close("data", &numbers(values.data), &[batch.data_term()], 1e-12);
        assert_close("loss", &numbers(values.loss.clone()), &[batch.data_term() + u.ln()], 1e-9);
        let gradients = values.loss.backward();
        assert_close("data", &numbers(data.grad(&gradients).unwrap()), &[-0.25; 4], 1e-12);
        let expected: Vec<f64> = batch.noise.iter().zip(&batch.q).map(|(p, q)| (p - q).exp() / u / 5.0).collect();
        let slopes = numbers(noise.grad(&gradients).unwrap());
        assert_close("noise", &slopes, &expected, 1e-9);
        assert_close("sum", &[slopes.iter().sum()], &[g / u], 1e-9);
    }
}

#[test]
fn the_exact_likelihood_is_meco_without_memory() {
    let batch = Batch::new();
    let of = |data, noise| exact_nll(data, noise, leaf(&batch.q, [5])).unwrap();
    let (data, noise) = (leaf(&batch.data, [4]), leaf(&batch.noise, [5]));
    let exact = numbers(of(data.clone(), noise.clone()));
    assert_close("value", &exact, &[batch.data_term() + batch.mean_ratio().ln()], 1e-9);
    let without = batch.meco(data.clone(), noise.clone(), Some(3.0), 1.0);
    assert_close("meco", &numbers(without.loss.clone()), &exact, 1e-12);
    let slopes = numbers(noise.grad(&without.loss.backward()).unwrap());
    let of_exact = of(data.clone(), noise.clone());
    assert_close("gradient", &slopes, &numbers(noise.grad(&of_exact.backward()).unwrap()), 1e-12);
    assert_close("constant", &numbers(of(data.clone() + 9.0, noise.clone() + 9.0)), &exact, 1e-9);
    assert_gradient("noise", &batch.noise, [5], 1e-7, |noise| of(data.clone(), noise));
    assert_gradient("data", &batch.data, [4], 1e-7, |data| of(data, noise.clone()));
}

#[test]
fn contrast_with_noise_equals_a_naive_loop() {
    let (batch, q_data) = (Batch::new(), noise(4, 4));
    let of = |data, noise, log_z| {
        let inputs = nce::Inputs {
            log_p_data: data,
            log_q_data: leaf(&q_data, [4]),
            log_p_noise: noise,
            log_q_noise: leaf(&batch.q, [5]),
            log_z,
        };
        nce(inputs).unwrap()
    };
    let h = |p: f64, q: f64| p - 0.3 - q - 1.25f64.ln();
    let of_data: f64 = batch.data.iter().zip(&q_data).map(|(p, q)| (-h(*p, *q)).exp().ln_1p()).sum();
    let of_noise: f64 = batch.noise.iter().zip(&batch.q).map(|(p, q)| h(*p, *q).exp().ln_1p()).sum();
    let (data, noise, z) = (leaf(&batch.data, [4]), leaf(&batch.noise, [5]), leaf(&[0.3], [1]));
    let value = numbers(of(data.clone(), noise.clone(), z.clone()));
    assert_close("value", &value, &[of_data / 4.0 + 1.25 * of_noise / 5.0], 1e-9);
    assert_gradient("data", &batch.data, [4], 1e-7, |data| of(data, noise.clone(), z.clone()));
    assert_gradient("noise", &batch.noise, [5], 1e-7, |noise| of(data.clone(), noise, z.clone()));
    assert_gradient("log_z", &[0.3], [1], 1e-7, |z| of(data.clone(), noise.clone(), z));
}

#[test]
fn energies_of_thousands_stay_finite_and_broken_inputs_are_refused() {
    let single = |values: &[f64]| {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::<1>::from_data(data, (&Device::flex().autodiff(), DType::F32)).require_grad()
    };
    let noise = single(&[1e3, -1e3]);
    let memory = Some(single(&[-2e3]));
    let values = meco::meco(single(&[-1e3]), noise.clone(), single(&[0.0, 5.0]), memory, &Default::default()).unwrap();
    let slopes = numbers(noise.grad(&values.loss.clone().backward()).unwrap());
    assert_close("slopes", &slopes, &[10.0, 0.0], 1e-3);
    assert!(numbers(values.loss)[0].is_finite());
    let one = exact_nll(single(&[0.0]), single(&[3.0]), single(&[1.0])).unwrap();
    assert_close("one sample", &numbers(one), &[2.0], 1e-6);
    let size = |p: &[f64], q: &[f64]| numbers(effective_sample_size(single(p), single(q)).unwrap());
    assert_close("even", &size(&[900.0; 4], &[1.0; 4]), &[4.0], 1e-6);
    assert_close("one", &size(&[900.0, 0.0, 0.0, 0.0], &[1.0; 4]), &[1.0], 1e-6);
    assert!(matches!(exact_nll(single(&[]), single(&[0.0]), single(&[0.0])), Err(LossError::EmptyBatch { .. })));
    assert!(matches!(exact_nll(single(&[0.0]), single(&[]), single(&[])), Err(LossError::EmptyBatch { .. })));
    assert!(matches!(exact_nll(single(&[0.0]), single(&[0.0]), single(&[0.0; 2])), Err(LossError::Shape { .. })));
}

#[test]
fn momentum_averages_gradients() {
    let one = |values: &[f64]| leaf(values, [values.len()]);
    let config = momentum_update::Config::default().with_beta(0.25).with_lr(0.5);
    let moved = momentum_update(one(&[1.0, 2.0]), one(&[5.0, -2.0]), one(&[0.0, 1.0]), &config).unwrap();
    assert_close("v", &numbers(moved.v), &[2.0, 1.0], 1e-12);
    assert_close("theta", &numbers(moved.theta), &[-1.0, 0.5], 1e-12);
    let plain = config.with_beta(1.0);
    let moved = momentum_update(one(&[1.0]), one(&[5.0]), one(&[0.0]), &plain).unwrap();
    assert_close("descent", &numbers(moved.theta), &[-2.5], 1e-12);
    assert!(matches!(momentum_update(one(&[1.0]), one(&[5.0]), one(&[]), &plain), Err(LossError::EmptyBatch { .. })));
    let short = momentum_update(one(&[1.0, 2.0]), one(&[5.0]), one(&[0.0]), &plain);
    assert!(matches!(short, Err(LossError::Shape { .. })));
}

/// The study of the paper in small: noise far from data, where contrast stands still and the running estimate does not.
#[test]
fn the_running_estimate_learns_where_contrast_stands_still() {
    // Data around 4, noise of deviation 3 around 0, both as quantiles; the model is exp(-x^2 / 2 + theta x).
    let quantile = |i: usize| {
        let u: f64 = (i as f64 + 0.5) / 64.0;
        // The logistic quantile scaled to deviation 1 is close enough to a normal one here.
        (u / (1.0 - u)).ln() * 3f64.sqrt() / std::f64::consts::PI
    };
    let (data, noise): (Vec<f64>, Vec<f64>) = (0..64).map(|i| (4.0 + quantile(i), 3.0 * quantile(i))).unzip();
    let log_q: Vec<f64> = noise.iter().map(|x| -x * x / 18.0 - 3f64.ln()).collect();
    let log_q_data: Vec<f64> = data.iter().map(|x| -x * x / 18.0 - 3f64.ln()).collect();
    let log_p = |theta: &Tensor<1>, x: &[f64]| {
        let squares: Vec<f64> = x.iter().map(|x| -x * x / 2.0).collect();
        leaf(x, [64]) * theta.clone() + leaf(&squares, [64])
    };
    let (mut by_meco, mut by_nce, mut log_z, mut log_u) = (0.0, 0.0, 0.0, None);
    for _ in 0..300 {
        let theta = leaf(&[by_meco], [1]);
        let values =
            meco::meco(log_p(&theta, &data), log_p(&theta, &noise), leaf(&log_q, [64]), log_u, &Default::default());
        let values = values.unwrap();
        by_meco -= 0.05 * numbers(theta.grad(&values.loss.backward()).unwrap())[0];
        log_u = Some(values.log_u.detach());

        let (theta, z) = (leaf(&[by_nce], [1]), leaf(&[log_z], [1]));
        let inputs = nce::Inputs {
            log_p_data: log_p(&theta, &data),
            log_q_data: leaf(&log_q_data, [64]),
            log_p_noise: log_p(&theta, &noise),
            log_q_noise: leaf(&log_q, [64]),
            log_z: z.clone(),
        };
        let gradients = nce(inputs).unwrap().backward();
        by_nce -= 0.05 * numbers(theta.grad(&gradients).unwrap())[0];
        log_z -= 0.05 * numbers(z.grad(&gradients).unwrap())[0];
    }
    let (of_meco, of_nce) = ((by_meco - 4.0f64).abs(), (by_nce - 4.0f64).abs());
    assert!(of_meco < 0.3 && of_meco < of_nce / 2.0, "{by_meco} {by_nce}");
}
