//! What FedPAC's sites tell of the features of their training samples (Xu, Tong, Huang, ICLR 2023, and
//! the released code).

use synod_common::blocks::Head;
use synod_common::extra::ClassStatistics;

use super::super::engine::Batch;
use super::super::error::TrainError;
use super::super::trainer::Trainer;
use crate::data::Share;

/// Sums over the samples of each class of features by one model.
pub(in crate::train) struct ClassSums {
    /// Samples, `[classes]`.
    samples: Vec<f64>,
    /// Features, `[classes, d]`.
    features: Vec<f64>,
    /// Squared lengths of features, `[classes]`.
    squares: Vec<f64>,
}

impl ClassSums {
    fn new(head: &Head) -> Self {
        let zeros = |values| vec![0.0; values];
        Self {
            samples: zeros(head.classes),
            features: zeros(head.classes * head.features),
            squares: zeros(head.classes),
        }
    }

    /// Takes a batch: `features: [labels.len(), d]`.
    fn add(&mut self, features: &[f32], labels: &[i64], head: &Head) {
        for (feature, label) in features.chunks_exact(head.features).zip(labels) {
            let class = usize::try_from(*label).expect("a batch's labels are checked");
            self.samples[class] += 1.0;
            let sums = &mut self.features[class * head.features..][..head.features];
            sums.iter_mut().zip(feature).for_each(|(sum, value)| *sum += f64::from(*value));
            self.squares[class] += feature.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        }
    }

    /// The statistics of a site, as they travel: `self` by the received model, `trained` by the trained one.
    pub(in crate::train) fn statistics(&self, trained: &Self, head: &Head) -> Vec<f32> {
        let all = self.samples.iter().sum::<f64>().max(1.0);
        let shares: Vec<f32> = self.samples.iter().map(|samples| (samples / all) as f32).collect();
        let mean = |(at, sum): (usize, &f64)| (sum / trained.samples[at / head.features].max(1.0)) as f32;
        let centroids: Vec<f32> = trained.features.iter().enumerate().map(mean).collect();
        // Share times mean is sum over all samples.
        let means: Vec<f32> = self.features.iter().map(|sum| (sum / all) as f32).collect();
        let squares = self.squares.iter().sum::<f64>() / all;
        let explained: f64 = self.features.iter().map(|sum| (sum / all).powi(2)).sum();
        let variance = ((squares - explained).max(0.0) / all) as f32;
        ClassStatistics { shares: &shares, centroids: &centroids, means: &means, variance }.to_values()
    }
}

impl Trainer {
    /// Sums of the features that `model` gives the samples of `share`, in their order.
    pub(in crate::train) fn class_sums(
        &self,
        model: &[f32],
        share: &Share,
        head: &Head,
    ) -> Result<ClassSums, TrainError> {
        let predictor = self.engine.predictor(model)?;
        let mut sums = ClassSums::new(head);
        let positions: Vec<u32> = (0..share.len() as u32).collect();
        let mut batch = Batch::default();
        for positions in positions.chunks(self.plan.evaluate.batch.max(1) as usize) {
            self.fill(share, positions, &mut batch)?;
            let features = predictor.features(&mut batch)?;
            match features.iter().find(|value| !value.is_finite()) {
                Some(value) => return Err(TrainError::Outputs { value: *value }),
                None => sums.add(&features, &batch.labels, head),
            }
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_the_formula_written_out() {
        let head = Head { range: 0..9, features: 2, classes: 3 };
        let labels = [0_i64, 2, 0, 2, 2];
        let before = [[1.0_f32, 2.0], [0.0, -1.0], [3.0, 0.5], [2.0, 2.0], [-1.0, 4.0]];
        let after = [[0.5_f32, 1.0], [2.0, 0.0], [1.5, 3.0], [0.0, 3.0], [4.0, -3.0]];
        let of = |features: &[[f32; 2]]| {
            let mut sums = ClassSums::new(&head);
            // In two batches.
            sums.add(features[..2].as_flattened(), &labels[..2], &head);
            sums.add(features[2..].as_flattened(), &labels[2..], &head);
            sums
        };
        let values = of(&before).statistics(&of(&after), &head);
        let found = ClassStatistics::read(&values, &head).unwrap();
        assert_eq!(found.shares, [0.4, 0.0, 0.6]);
        assert_eq!(found.centroids, [1.0, 2.0, 0.0, 0.0, 2.0, 0.0]);
        let mut variance = 0.0;
        for class in 0..3 {
            let rows: Vec<_> = before.iter().zip(labels).filter(|(_, l)| *l == class).map(|(row, _)| row).collect();
            let (n, share) = (rows.len().max(1) as f32, rows.len() as f32 / 5.0);
            let mean = [0, 1].map(|d| rows.iter().map(|row| row[d]).sum::<f32>() / n);
            let length = rows.iter().map(|row| row[0] * row[0] + row[1] * row[1]).sum::<f32>() / n;
            variance += share * length - share * share * (mean[0] * mean[0] + mean[1] * mean[1]);
            let told = &found.means[class as usize * 2..][..2];
            assert!(told.iter().zip(mean).all(|(told, mean)| (told - share * mean).abs() < 1e-6), "{told:?}");
        }
        assert!((found.variance - variance / 5.0).abs() < 1e-5, "{} {variance}", found.variance);
    }
}
