//! FedNTD: the local model keeps what the received one knows of the classes that are not true.
//!
//! `beta tau^2 mean_b KL(q_global || q_local)`, where both are softmaxes of logits over `tau` taken over the classes other
//! than the sample's own. The true class has neither value nor gradient in it, so that learning it is not held back. With
//! two classes only one is left, and the term is 0. The factor `tau^2` keeps the gradient's size, as in the authors' code.
//!
//! Lee, Jeong, Shin, Bae, Yun: Preservation of the Global Knowledge by Not-True Distillation in Federated Learning,
//! NeurIPS 2022, equations 4 and 5.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use synod_common::plan::FedNtd;

/// Takes a logit out of a softmax: far below all others, and still far from the end of f32.
const OUT: f64 = 1e9;

/// The term, `[1]`, for `local: [batch, classes]` that records, `global: [batch, classes]` that does not, and
/// `labels: [batch]`.
pub(super) fn not_true_distillation(
    local: Tensor<2>,
    global: Tensor<2>,
    labels: Tensor<1, Int>,
    options: &FedNtd,
) -> Tensor<1> {
    let [batch, classes] = local.dims();
    let out = labels.one_hot::<2>(classes).float() * OUT;
    let not_true = |logits: Tensor<2>| log_softmax(logits * (1.0 / options.tau) - out.clone(), 1);
    let (local, global) = (not_true(local), not_true(global));
    let divergence = (global.clone().exp() * (global - local)).sum();
    divergence * (options.beta * options.tau * options.tau / batch as f64)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// The definition, class by class, in f64.
    fn oracle(local: &[[f64; 4]], global: &[[f64; 4]], labels: &[usize], options: &FedNtd) -> f64 {
        let mut sum = 0.0;
        for ((local, global), y) in local.iter().zip(global).zip(labels) {
            let softmax = |logits: &[f64; 4]| -> Vec<f64> {
                let exps: Vec<f64> = (0..4).filter(|c| c != y).map(|c| (logits[c] / options.tau).exp()).collect();
                let total: f64 = exps.iter().sum();
                exps.into_iter().map(|e| e / total).collect()
            };
            sum += softmax(global).iter().zip(softmax(local)).map(|(g, l)| g * (g / l).ln()).sum::<f64>();
        }
        options.beta * options.tau.powi(2) * sum / labels.len() as f64
    }

    const LOCAL: [[f64; 4]; 3] = [[1.0, -0.5, 2.0, 0.25], [0.0, 3.0, -1.0, 0.5], [-2.0, 0.1, 0.2, 4.0]];
    const GLOBAL: [[f64; 4]; 3] = [[0.5, 0.5, -1.0, 2.0], [1.0, 0.0, 2.0, -0.5], [0.3, -0.3, 0.6, 0.0]];
    const LABELS: [usize; 3] = [2, 0, 3];

    fn tensor(rows: &[[f64; 4]; 3], device: &Device) -> Tensor<2> {
        Tensor::<2>::from_data(rows.map(|row| row.map(|v| v as f32)), device)
    }

    #[test]
    fn it_equals_the_definition_and_its_gradient_the_slope() {
        let (plain, recording) = (Device::flex(), Device::flex().autodiff());
        let options = FedNtd { beta: 0.7, tau: 2.5 };
        let local = tensor(&LOCAL, &recording).require_grad();
        let labels = Tensor::<1, Int>::from_data([2, 0, 3], &plain);
        let term = not_true_distillation(local.clone(), tensor(&GLOBAL, &plain), labels, &options);
        let gradient: Vec<f32> = local.grad(&term.backward()).unwrap().into_data().try_to_vec().unwrap();
        let value = f64::from(term.inner().into_scalar::<f32>());
        assert!((value - oracle(&LOCAL, &GLOBAL, &LABELS, &options)).abs() < 1e-6);
        for (at, found) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut local = LOCAL;
                local[at / 4][at % 4] += by;
                oracle(&local, &GLOBAL, &LABELS, &options)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((f64::from(*found) - slope).abs() < 1e-6, "{at}: {found} {slope}");
        }
        assert_eq!(gradient[2], 0.0, "the true class is left alone");
    }

    #[test]
    fn models_that_agree_on_the_classes_that_are_not_true_pay_nothing() {
        let device = Device::flex();
        let options = FedNtd { beta: 1.0, tau: 1.0 };
        let labels = || Tensor::<1, Int>::from_data([0], &device);
        let local = Tensor::<2>::from_data([[9.0, 1.0, 2.0]], &device);
        let global = Tensor::<2>::from_data([[-9.0, 0.0, 1.0]], &device);
        let term = not_true_distillation(local, global, labels(), &options).into_scalar::<f32>();
        assert!(term.abs() < 1e-6, "{term}");
        let two = Tensor::<2>::from_data([[9.0, 1.0]], &device);
        assert_eq!(not_true_distillation(two.clone(), two * 3.0, labels(), &options).into_scalar::<f32>(), 0.0);
    }
}
