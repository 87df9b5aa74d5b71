//! MOON: features stay near those of the received model and away from those of the site's last model.
//!
//! `-mu mean_b log(e^(s_g / tau) / (e^(s_g / tau) + e^(s_p / tau)))`, where `s_g` and `s_p` are the cosines between a
//! sample's features in the local model and in the received and the last local one. In a site's first round the received
//! model stands for the last one: the term is then `mu ln 2` without a gradient.
//!
//! Li, He, Song: Model-Contrastive Federated Learning, CVPR 2021, equation 3. The paper compares the outputs of a projection
//! head that it adds to the network; here it is what the last layer reads.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use synod_common::plan::Moon;

/// Added to the squared length of features: a sample that no feature answers to has a cosine of 0 and no gradient.
const EPSILON: f64 = 1e-12;

/// The term, `[1]`, for features `[batch, d]` of three models, of which `local` records.
pub(super) fn model_contrast(local: Tensor<2>, global: Tensor<2>, previous: Tensor<2>, options: &Moon) -> Tensor<1> {
    let local = unit(local);
    let cosine = |other: Tensor<2>| (local.clone() * unit(other)).sum_dim(1);
    let similarities = Tensor::cat(vec![cosine(global), cosine(previous)], 1) * (1.0 / options.tau);
    let near_global = log_softmax(similarities, 1).narrow(1, 0, 1);
    near_global.mean() * -options.mu
}

fn unit(features: Tensor<2>) -> Tensor<2> {
    let length = ((features.clone() * features.clone()).sum_dim(1) + EPSILON).sqrt();
    features / length
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    type Rows = [[f64; 3]; 2];
    const LOCAL: Rows = [[1.0, 2.0, -0.5], [0.3, -1.0, 0.8]];
    const GLOBAL: Rows = [[0.5, 1.0, 1.5], [1.0, -0.2, 0.4]];
    const PREVIOUS: Rows = [[-1.0, 0.5, 0.25], [0.1, -0.9, 1.2]];

    /// Equation 3, sample by sample, in f64.
    fn oracle(local: &Rows, options: &Moon) -> f64 {
        let dot = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|i| a[i] * b[i]).sum::<f64>();
        let e = |a: &[f64; 3], b: &[f64; 3]| (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt() / options.tau).exp();
        let sample = |i: usize| {
            let (g, p) = (e(&local[i], &GLOBAL[i]), e(&local[i], &PREVIOUS[i]));
            -(g / (g + p)).ln()
        };
        options.mu * (sample(0) + sample(1)) / 2.0
    }

    fn tensor(rows: &Rows, device: &Device) -> Tensor<2> {
        Tensor::<2>::from_data(rows.map(|row| row.map(|v| v as f32)), device)
    }

    #[test]
    fn it_equals_the_definition_and_its_gradient_the_slope() {
        let (plain, recording) = (Device::flex(), Device::flex().autodiff());
        let options = Moon { mu: 5.0, tau: 0.5 };
        let local = tensor(&LOCAL, &recording).require_grad();
        let term = model_contrast(local.clone(), tensor(&GLOBAL, &plain), tensor(&PREVIOUS, &plain), &options);
        let gradient: Vec<f32> = local.grad(&term.backward()).unwrap().into_data().try_to_vec().unwrap();
        assert!((f64::from(term.inner().into_scalar::<f32>()) - oracle(&LOCAL, &options)).abs() < 1e-5);
        for (at, found) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut local = LOCAL;
                local[at / 3][at % 3] += by;
                oracle(&local, &options)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((f64::from(*found) - slope).abs() < 1e-5, "{at}: {found} {slope}");
        }
    }

    #[test]
    fn without_a_last_model_the_term_is_ln_2_and_silent_features_give_no_nan() {
        let device = Device::flex().autodiff();
        let options = Moon { mu: 1.0, tau: 0.001 };
        for rows in [LOCAL, [[0.0; 3]; 2]] {
            let local = tensor(&rows, &device).require_grad();
            let global = tensor(&GLOBAL, &Device::flex());
            let term = model_contrast(local.clone(), global.clone(), global, &options);
            let gradient: Vec<f32> = local.grad(&term.backward()).unwrap().into_data().try_to_vec().unwrap();
            assert!((term.inner().into_scalar::<f32>() - 2.0_f32.ln()).abs() < 1e-6);
            assert!(gradient.iter().all(|g| g.abs() < 1e-3), "{gradient:?}");
        }
    }
}
