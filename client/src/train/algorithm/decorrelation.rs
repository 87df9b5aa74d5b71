//! FedDecorr: features are kept from correlating, against the collapse of dimensions that skewed data brings.
//!
//! `beta / d^2 |K|_F^2` with `K = Z^T Z / batch` the correlation matrix of the batch, `Z` the features minus their mean over
//! the square root of their variance plus `1e-8`. A feature that is the same for all samples correlates with nothing; a
//! batch of one sample has no correlations, and the term is 0. The diagonal of `K` is constant, so only correlations between
//! different features have a gradient.
//!
//! Shi, Liang, Zhang, Tan, Bai: Towards Understanding and Mitigating Dimensional Collapse in Heterogeneous Federated
//! Learning, ICLR 2023, equation 5. The released code takes the mean of the squares beside the diagonal and multiplies it by
//! the batch size; `beta` here is the paper's.

use burn::tensor::Tensor;

/// Keeps the root of a variance away from 0; the authors' choice.
const EPSILON: f64 = 1e-8;

/// The term, `[1]`, for `features: [batch, d]`.
pub(super) fn decorrelation(features: Tensor<2>, beta: f64) -> Tensor<1> {
    let [batch, d] = features.dims();
    let centred = features.clone() - features.mean_dim(0);
    let variance = (centred.clone() * centred.clone()).mean_dim(0);
    let scores = centred / (variance + EPSILON).sqrt();
    let correlations = scores.clone().transpose().matmul(scores) * (1.0 / batch as f64);
    (correlations.clone() * correlations).sum() * (beta / (d * d) as f64)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    const FEATURES: [[f64; 3]; 4] = [[1.0, 2.0, 0.5], [0.0, -1.0, 0.25], [2.0, 1.5, -3.0], [-1.0, 0.5, 1.0]];

    /// The definition entry by entry, in f64.
    fn oracle(features: &[[f64; 3]; 4], beta: f64) -> f64 {
        let mean = |f: &dyn Fn(&[f64; 3]) -> f64| features.iter().map(f).sum::<f64>() / 4.0;
        let means: Vec<f64> = (0..3).map(|i| mean(&|row| row[i])).collect();
        let covariance = |i: usize, j: usize| mean(&|row| (row[i] - means[i]) * (row[j] - means[j]));
        let deviation = |i: usize| (covariance(i, i) + EPSILON).sqrt();
        let mut sum = 0.0;
        for i in 0..3 {
            for j in 0..3 {
                sum += (covariance(i, j) / (deviation(i) * deviation(j))).powi(2);
            }
        }
        beta * sum / 9.0
    }

    #[test]
    fn it_equals_the_definition_and_its_gradient_the_slope() {
        let device = Device::flex().autodiff();
        let features = Tensor::<2>::from_data(FEATURES.map(|row| row.map(|v| v as f32)), &device).require_grad();
        let term = decorrelation(features.clone(), 0.9);
        let gradient: Vec<f32> = features.grad(&term.backward()).unwrap().into_data().try_to_vec().unwrap();
        assert!((f64::from(term.inner().into_scalar::<f32>()) - oracle(&FEATURES, 0.9)).abs() < 1e-6);
        for (at, found) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut features = FEATURES;
                features[at / 3][at % 3] += by;
                oracle(&features, 0.9)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((f64::from(*found) - slope).abs() < 1e-5, "{at}: {found} {slope}");
        }
    }

    #[test]
    fn equal_features_pay_most_independent_ones_least_and_constant_ones_nothing() {
        let device = Device::flex();
        let term = |rows: [[f32; 2]; 4]| decorrelation(Tensor::from_data(rows, &device), 1.0).into_scalar::<f32>();
        // All of K is 1; K is the identity; K is 0.
        assert!((term([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0], [4.0, 5.0]]) - 1.0).abs() < 1e-5);
        assert!((term([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) - 0.5).abs() < 1e-5);
        assert_eq!(term([[3.0, 7.0]; 4]), 0.0);
        assert_eq!(decorrelation(Tensor::<2>::from_data([[3.0, 7.0]], &device), 1.0).into_scalar::<f32>(), 0.0);
    }
}
