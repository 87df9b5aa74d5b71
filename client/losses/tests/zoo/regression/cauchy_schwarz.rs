//! Kernel estimates of divergence and dependence, against naive loops.

use burn::tensor::{DType, Device, Tensor, TensorData};
use synod_losses::LossError;
use synod_losses::regression::cauchy_schwarz::cs_conditional::{self, Denominator};
use synod_losses::regression::cauchy_schwarz::cs_ib::{self, Inputs};
use synod_losses::regression::cauchy_schwarz::{
    cs_conditional as conditional, cs_divergence, cs_qmi, cs_qmi_normalised,
};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn kernel(a: &[f64], b: &[f64], width: usize, sigma: f64) -> Vec<Vec<f64>> {
    let row = |a: &[f64]| {
        let square = |b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        b.chunks(width).map(|b| (-square(b) / (2.0 * sigma * sigma)).exp()).collect()
    };
    a.chunks(width).map(row).collect()
}

fn naive_conditional(prediction: &[f64], target: &[f64], x: &[f64], config: &cs_conditional::Config) -> f64 {
    let n = target.len();
    let k = kernel(x, x, x.len() / n, config.sigma);
    let t = |a: &[f64], b: &[f64]| {
        let l = kernel(a, b, 1, config.sigma);
        let row = |i: usize| {
            let divisor = match config.denominator {
                Denominator::SquareOfSum => k[i].iter().sum::<f64>().powi(2),
                Denominator::SumOfSquares => k[i].iter().map(|k| k * k).sum(),
            };
            (0..n).map(|j| k[i][j] * l[i][j]).sum::<f64>() / divisor
        };
        (0..n).map(row).sum::<f64>().log2()
    };
    t(target, target) + t(prediction, prediction) - 2.0 * t(prediction, target)
}

fn naive_qmi(a: &[f64], b: &[f64], n: usize) -> f64 {
    let (k, l) = (kernel(a, a, a.len() / n, 1.0), kernel(b, b, b.len() / n, 1.0));
    let (mut joint, mut between) = (0.0, 0.0);
    for j in 0..n {
        joint += (0..n).map(|i| k[i][j] * l[i][j]).sum::<f64>();
        between += (0..n).map(|i| k[i][j]).sum::<f64>() * (0..n).map(|i| l[i][j]).sum::<f64>();
    }
    let sum = |k: &[Vec<f64>]| k.iter().flatten().sum::<f64>();
    let n = n as f64;
    (joint / n.powi(2)).log2() + (sum(&k) * sum(&l) / n.powi(4)).log2() - 2.0 * (between / n.powi(3)).log2()
}

#[test]
fn conditional_divergence_equals_a_naive_loop() {
    let (x, y, h) = (noise(21, 1), noise(7, 2), noise(7, 3));
    for denominator in [Denominator::SquareOfSum, Denominator::SumOfSquares] {
        let config = cs_conditional::Config::default().with_sigma(0.8).with_denominator(denominator);
        let of = |h: Tensor<2>, shift: f64| {
            let moved: Vec<f64> = x.iter().map(|x| x + shift).collect();
            conditional(h, leaf(&y, [7, 1]), leaf(&moved, [7, 3]), &config).unwrap()
        };
        let expected = naive_conditional(&h, &y, &x, &config);
        assert!(expected > 0.0);
        assert_close("value", &numbers(of(leaf(&h, [7, 1]), 0.0)), &[expected], 1e-9);
        assert_close("moved", &numbers(of(leaf(&h, [7, 1]), 40.0)), &[expected], 1e-9);
        assert_close("exact", &numbers(of(leaf(&y, [7, 1]), 0.0)), &[0.0], 1e-12);
        assert_gradient("gradient", &h, [7, 1], 1e-6, |h| of(h, 0.0));
    }
}

/// In single precision the kernels themselves would be zero, and their logarithms infinite.
#[test]
fn predictions_far_from_every_target_still_have_a_gradient() {
    let single = |values: &[f64]| {
        let data = TensorData::new(values.to_vec(), [values.len(), 1]);
        Tensor::<2>::from_data(data, (&Device::flex().autodiff(), DType::F32)).require_grad()
    };
    let (y, x) = (single(&[0.0, 0.5, -0.5]), single(&[0.0, 1.0, -1.0]));
    let live = single(&[1e3, 1e3, -1e3]);
    let value = conditional(live.clone(), y.clone(), x.clone(), &cs_conditional::Config::default()).unwrap();
    let gradient = numbers(live.grad(&value.clone().backward()).unwrap());
    assert!(numbers(value)[0] > 1e5);
    assert!(gradient[0] > 1.0 && gradient.iter().all(|slope| slope.is_finite()), "{gradient:?}");
    let divergence = cs_divergence(live, y, &Default::default()).unwrap();
    assert!(numbers(divergence)[0].is_finite());
}

#[test]
fn mutual_information_equals_a_naive_loop() {
    let (a, b) = (noise(12, 4), noise(18, 5));
    let config = Default::default();
    let of = |a: Tensor<2>, b: Tensor<2>| cs_qmi(a, b, &config).unwrap();
    let (left, right) = (leaf(&a, [6, 2]), leaf(&b, [6, 3]));
    assert_close("value", &numbers(of(left.clone(), right.clone())), &[naive_qmi(&a, &b, 6)], 1e-9);
    assert_close("symmetric", &numbers(of(right.clone(), left.clone())), &[naive_qmi(&a, &b, 6)], 1e-9);
    let scale = (naive_qmi(&a, &a, 6) * naive_qmi(&b, &b, 6)).sqrt();
    let normalised = cs_qmi_normalised(left.clone(), right.clone(), &config).unwrap();
    assert_close("normalised", &numbers(normalised), &[naive_qmi(&a, &b, 6) / scale], 1e-9);
    let own = cs_qmi_normalised(left.clone(), left.clone(), &config).unwrap();
    assert_close("own", &numbers(own), &[1.0], 1e-9);
    assert_gradient("gradient", &a, [6, 2], 1e-6, |a| of(a, right.clone()));
    assert_gradient("normalised", &a, [6, 2], 1e-6, |a| cs_qmi_normalised(a, right.clone(), &config).unwrap());
}

#[test]
fn a_constant_side_has_no_information_and_no_gradient() {
    let single = |values: Vec<f64>| {
        let data = TensorData::new(values, [5, 1]);
        Tensor::<2>::from_data(data, (&Device::flex().autodiff(), DType::F32)).require_grad()
    };
    let (constant, x) = (single(vec![3.3; 5]), single(noise(5, 6)));
    for (a, b) in [(constant.clone(), x.clone()), (x.clone(), constant.clone()), (constant.clone(), constant.clone())] {
        assert_close("qmi", &numbers(cs_qmi(a.clone(), b.clone(), &Default::default()).unwrap()), &[0.0], 1e-6);
        let value = cs_qmi_normalised(a, b, &Default::default()).unwrap();
        assert_eq!(numbers(value.clone()), [0.0]);
        let gradients = value.backward();
        assert_eq!(numbers(constant.grad(&gradients).unwrap()), [0.0; 5]);
    }
}

#[test]
fn the_bottleneck_adds_compression_to_prediction() {
    let (x, y, h, z) = (noise(10, 1), noise(5, 2), noise(5, 3), noise(15, 4));
    let inputs = |h, z| Inputs { prediction: h, target: leaf(&y, [5, 1]), x: leaf(&x, [5, 2]), z };
    let config = cs_ib::Config::default().with_beta(0.3);
    let values = cs_ib::cs_ib(inputs(leaf(&h, [5, 1]), leaf(&z, [5, 3])), &config).unwrap();
    let prediction = naive_conditional(&h, &y, &x, &Default::default());
    let compression = naive_qmi(&x, &z, 5) / (naive_qmi(&x, &x, 5) * naive_qmi(&z, &z, 5)).sqrt();
    assert_close("prediction", &numbers(values.prediction), &[prediction], 1e-9);
    assert_close("compression", &numbers(values.compression), &[compression], 1e-9);
    assert_close("total", &numbers(values.total), &[prediction + 0.3 * compression], 1e-9);
    assert_gradient("h", &h, [5, 1], 1e-6, |h| cs_ib::cs_ib(inputs(h, leaf(&z, [5, 3])), &config).unwrap().total);
    assert_gradient("z", &z, [5, 3], 1e-6, |z| cs_ib::cs_ib(inputs(leaf(&h, [5, 1]), z), &config).unwrap().total);
    let single = Inputs {
        prediction: leaf(&[0.0], [1, 1]),
        target: leaf(&[0.0], [1, 1]),
        x: leaf(&[0.0], [1, 1]),
        z: leaf(&[0.0], [1, 1]),
    };
    assert!(matches!(cs_ib::cs_ib(single, &config), Err(LossError::Shape { .. })));
    let uneven = inputs(leaf(&h, [5, 1]), leaf(&z, [3, 5]));
    assert!(matches!(cs_ib::cs_ib(uneven, &config), Err(LossError::Shape { tensor: "z", .. })));
}

#[test]
fn the_divergence_of_two_samples_equals_a_naive_loop() {
    let (p, q) = (noise(10, 7), noise(6, 8));
    let mean = |k: Vec<Vec<f64>>| k.iter().flatten().sum::<f64>() / k.iter().flatten().count() as f64;
    let log_mean = |a: &[f64], b: &[f64]| mean(kernel(a, b, 2, 1.0)).ln();
    let expected = log_mean(&p, &p) + log_mean(&q, &q) - 2.0 * log_mean(&p, &q);
    let of = |p, q| cs_divergence(p, q, &Default::default()).unwrap();
    assert_close("value", &numbers(of(leaf(&p, [5, 2]), leaf(&q, [3, 2]))), &[expected], 1e-9);
    assert_close("own", &numbers(of(leaf(&p, [5, 2]), leaf(&p, [5, 2]))), &[0.0], 1e-12);
    assert_gradient("p", &p, [5, 2], 1e-6, |p| of(p, leaf(&q, [3, 2])));
    assert_gradient("q", &q, [3, 2], 1e-6, |q| of(leaf(&p, [5, 2]), q));
    let other = cs_divergence(leaf(&p, [5, 2]), leaf(&q, [2, 3]), &Default::default());
    assert!(matches!(other, Err(LossError::Shape { .. })));
}

/// All kernels are nearly 1 here, and their differences from 1 carry the information.
#[test]
fn nearly_constant_sides_keep_their_digits_in_single_precision() {
    let small = |seed| noise(6, seed).into_iter().map(|x| f64::from((x * 0.1) as f32)).collect::<Vec<f64>>();
    let single = |values: &[f64]| {
        let data = TensorData::new(values.to_vec(), [6, 1]);
        Tensor::<2>::from_data(data, (&Device::flex(), DType::F32))
    };
    let (a, b) = (small(1), small(3));
    let expected = naive_qmi(&a, &b, 6);
    let found = numbers(cs_qmi(single(&a), single(&b), &Default::default()).unwrap())[0];
    assert!(expected < 1e-3 && (found - expected).abs() < 1e-3 * expected, "{found} instead of {expected}");
}
