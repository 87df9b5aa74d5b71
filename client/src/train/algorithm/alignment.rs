//! FedPAC's feature alignment: features are kept near the global centroid of their class.
//!
//! `lambda / (n d) sum_l |f(x_l) - c_{y_l}|^2` over the `n` samples of a batch and features of `d` values. A sample whose
//! class has no centroid yet adds 0, so that the first round has no term; the released code takes the site's own centroid
//! there, which moves nothing either.
//!
//! Xu, Tong, Huang: Personalized Federated Learning with Feature Alignment and Classifier Collaboration, ICLR 2023,
//! algorithm 1.

use burn::tensor::{Device, Int, Tensor, TensorData};
use synod_common::extra::Guide;

/// The centroids of a round, on the device.
pub(super) struct Alignment {
    lambda: f64,
    /// 1 or 0, `[classes, 1]`.
    known: Tensor<2>,
    /// `[classes, d]`.
    centroids: Tensor<2>,
}

impl Alignment {
    pub(super) fn new(lambda: f64, guide: &Guide<'_>, device: &Device) -> Self {
        let classes = guide.known.len();
        let tensor = |values: &[f32]| {
            let width = values.len() / classes.max(1);
            Tensor::from_data(TensorData::new(values.to_vec(), [classes, width]), device)
        };
        Self { lambda, known: tensor(guide.known), centroids: tensor(guide.centroids) }
    }

    /// The term, `[1]`, for `features: [batch, d]` of samples of the classes `labels: [batch]`.
    pub(super) fn term(&self, features: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let known = self.known.clone().select(0, labels.clone());
        let apart = features - self.centroids.clone().select(0, labels);
        (apart.clone() * apart * known).mean() * self.lambda
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_gradient_are_those_of_the_formula_written_out() {
        let guide = Guide { head: &[], known: &[1.0, 0.0, 1.0], centroids: &[1.0, -1.0, 0.0, 0.0, 0.5, 2.0] };
        let features = [[0.5_f32, 1.0], [3.0, 4.0], [-1.0, 2.0]];
        let labels = [0_i64, 1, 2];
        let recording = Device::flex().autodiff();
        let at = Tensor::<2>::from_data(features, &recording).require_grad();
        let labels_on = Tensor::<1, Int>::from_data(labels, &recording);
        let term = Alignment::new(0.5, &guide, &Device::flex()).term(at.clone(), labels_on);
        let gradient = at.grad(&term.backward()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let (mut value, mut expected) = (0.0, Vec::new());
        for (row, label) in features.iter().zip(labels) {
            for (d, feature) in row.iter().enumerate() {
                let apart = (feature - guide.centroids[label as usize * 2 + d]) * guide.known[label as usize];
                value += 0.5 * apart * apart / 6.0;
                expected.push(apart / 6.0);
            }
        }
        let found = term.into_data().try_to_vec::<f32>().unwrap()[0];
        assert!((found - value).abs() < 1e-6, "{found} {value}");
        assert!(gradient.iter().zip(&expected).all(|(g, e)| (g - e).abs() < 1e-6), "{gradient:?} {expected:?}");
    }
}
