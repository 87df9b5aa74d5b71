//! FedPAC's extra vectors (Xu, Tong, Huang: Personalized Federated Learning with Feature Alignment and Classifier
//! Collaboration, ICLR 2023, algorithm 1). With `K` classes, features of `d` values and a head of `h` values:
//!
//! ```text
//! guide, with a task        = head [h] | known [K], 1 or 0 | centroids [K, d]
//! statistics, with an update = shares [K] | centroids [K, d] | means [K, d] | variance [1]
//! ```

use crate::blocks::Head;

/// How far the shares of classes may be from 1 in their sum: they are rounded to f32.
const SHARES_TOLERANCE: f64 = 1e-3;

/// What a site gets with a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guide<'a> {
    /// The site's head, `[head.range.len()]`: a mixture of the sites' heads.
    pub head: &'a [f32],
    /// For each class whether it has a centroid: 1 or 0, `[classes]`.
    pub known: &'a [f32],
    /// The global centroid of each class, `[classes, features]`; 0 where there is none.
    pub centroids: &'a [f32],
}

impl<'a> Guide<'a> {
    /// Values of a guide.
    #[must_use]
    pub fn values(head: &Head) -> usize {
        head.range.len() + Self::class_values(head)
    }

    /// Values of the part about classes, `known` and `centroids`.
    #[must_use]
    pub fn class_values(head: &Head) -> usize {
        head.classes + head.classes * head.features
    }

    /// Reads what travelled; `None` where the length is another.
    #[must_use]
    pub fn read(values: &'a [f32], head: &Head) -> Option<Self> {
        if values.len() != Self::values(head) {
            return None;
        }
        let (own, classes) = values.split_at(head.range.len());
        let (known, centroids) = classes.split_at(head.classes);
        Some(Self { head: own, known, centroids })
    }
}

/// What a site says of the features of its training samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassStatistics<'a> {
    /// The share of each class among its samples, `[classes]`; they sum to 1.
    pub shares: &'a [f32],
    /// The mean feature of each class after local training, `[classes, features]`; 0 for a class without samples.
    pub centroids: &'a [f32],
    /// Share times mean feature of each class, features by the received model, `[classes, features]`.
    pub means: &'a [f32],
    /// How far an estimate of `means` from so many samples strays: `(sum_k p_k E|f|^2 - sum_k p_k^2 |E f|^2) / n`.
    pub variance: f32,
}

/// Why values are no class statistics.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// Another number of values.
    #[error("the class statistics have {found} values where {expected} are expected")]
    Length {
        /// Values that are there.
        found: usize,
        /// Values that there should be.
        expected: usize,
    },
    /// Shares that are negative or do not sum to 1.
    #[error("the shares of the classes are negative or sum to {0} instead of 1")]
    Shares(f64),
    /// A variance below 0.
    #[error("the variance of the features is {0}, which is below 0")]
    Variance(f32),
}

impl<'a> ClassStatistics<'a> {
    /// Values of statistics.
    #[must_use]
    pub fn values(head: &Head) -> usize {
        head.classes + 2 * head.classes * head.features + 1
    }

    /// Reads and checks what travelled, values that are finite.
    ///
    /// # Errors
    /// When the length is another, shares are none, or the variance is negative.
    pub fn read(values: &'a [f32], head: &Head) -> Result<Self, StatisticsError> {
        let (found, expected) = (values.len(), Self::values(head));
        let [body @ .., variance] = values else { return Err(StatisticsError::Length { found, expected }) };
        if found != expected {
            return Err(StatisticsError::Length { found, expected });
        }
        let (shares, features) = body.split_at(head.classes);
        let (centroids, means) = features.split_at(head.classes * head.features);
        let sum: f64 = shares.iter().map(|share| f64::from(*share)).sum();
        if shares.iter().any(|share| *share < 0.0) || (sum - 1.0).abs() > SHARES_TOLERANCE {
            return Err(StatisticsError::Shares(sum));
        }
        if *variance < 0.0 {
            return Err(StatisticsError::Variance(*variance));
        }
        Ok(Self { shares, centroids, means, variance: *variance })
    }

    /// As it travels.
    #[must_use]
    pub fn to_values(&self) -> Vec<f32> {
        [self.shares, self.centroids, self.means, &[self.variance]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { range: 4..10, features: 2, classes: 2 };

    #[test]
    fn statistics_read_back_and_false_ones_are_refused() {
        let statistics = ClassStatistics {
            shares: &[0.25, 0.75],
            centroids: &[1.0, 2.0, 3.0, 4.0],
            means: &[5.0, 6.0, 7.0, 8.0],
            variance: 0.5,
        };
        let values = statistics.to_values();
        assert_eq!(values.len(), ClassStatistics::values(&HEAD));
        assert_eq!(ClassStatistics::read(&values, &HEAD), Ok(statistics));
        let refused = |at: usize, value: f32| {
            let mut values = values.clone();
            values[at] = value;
            ClassStatistics::read(&values, &HEAD).unwrap_err()
        };
        assert_eq!(refused(0, 0.5), StatisticsError::Shares(1.25));
        assert!(matches!(refused(0, -0.25), StatisticsError::Shares(_)));
        assert_eq!(refused(10, -1.0), StatisticsError::Variance(-1.0));
        for length in [0, 1, 10, 12] {
            let values = vec![0.5; length];
            assert_eq!(
                ClassStatistics::read(&values, &HEAD),
                Err(StatisticsError::Length { found: length, expected: 11 })
            );
        }
    }

    #[test]
    fn a_guide_has_head_then_classes() {
        let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let guide = Guide::read(&values, &HEAD).unwrap();
        assert_eq!((guide.head, guide.known), (&values[..6], &values[6..8]));
        assert_eq!(guide.centroids, &values[8..]);
        assert_eq!(Guide::read(&values[1..], &HEAD), None);
    }
}
