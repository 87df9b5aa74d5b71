//! Each update's say in a mean.

use std::num::NonZeroU32;

pub use synod_common::plan::Weighting;

use super::error::AggregateError;

/// Positive shares that add up to one, in the order of the updates.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares(Vec<f64>);

impl Shares {
    /// Equal shares for `updates` updates.
    ///
    /// # Errors
    /// [`AggregateError::Empty`] for none.
    pub fn uniform(updates: usize) -> Result<Self, AggregateError> {
        if updates == 0 {
            return Err(AggregateError::Empty);
        }
        Ok(Self(vec![1.0 / updates as f64; updates]))
    }

    /// Shares in proportion to sample counts.
    ///
    /// # Errors
    /// [`AggregateError::Empty`] for none.
    pub fn samples(samples: &[NonZeroU32]) -> Result<Self, AggregateError> {
        if samples.is_empty() {
            return Err(AggregateError::Empty);
        }
        // Fits: a slice has fewer than 2^61 elements in theory and fewer than 2^32 in any memory there is.
        let total: u128 = samples.iter().map(|s| u128::from(s.get())).sum();
        Ok(Self(samples.iter().map(|s| f64::from(s.get()) / total as f64).collect()))
    }

    /// Shares by the given rule.
    ///
    /// # Errors
    /// [`AggregateError::Empty`] for none.
    pub fn by(weighting: Weighting, samples: &[NonZeroU32]) -> Result<Self, AggregateError> {
        let weights: Vec<NonZeroU32> = samples.iter().map(|s| weighting.weight(*s)).collect();
        Self::samples(&weights)
    }

    /// The shares.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Checks that there is one share for each of `updates` updates.
    pub(super) fn check(&self, updates: usize) -> Result<(), AggregateError> {
        if self.0.len() == updates {
            Ok(())
        } else {
            Err(AggregateError::Count { what: "shares", found: self.0.len(), expected: updates })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_factor_in_the_samples_scales_out() {
        let shares = |s: [u32; 3]| Shares::samples(&s.map(|x| NonZeroU32::new(x).unwrap())).unwrap();
        assert_eq!(shares([1, 2, 5]), shares([64, 128, 320]));
        assert_eq!(shares([1, 2, 5]).as_slice(), [0.125, 0.25, 0.625]);
        assert_eq!(shares([7, 7, 7]), Shares::uniform(3).unwrap());
    }

    #[test]
    fn a_cap_stands_between_uniform_and_samples() {
        let samples = [1, 2, 5].map(|x| NonZeroU32::new(x).unwrap());
        let by = |weighting| Shares::by(weighting, &samples).unwrap();
        let capped = |most| by(Weighting::Capped(NonZeroU32::new(most).unwrap()));
        assert_eq!(capped(2).as_slice(), [0.2, 0.4, 0.4]);
        assert_eq!((capped(1), capped(5)), (by(Weighting::Uniform), by(Weighting::Samples)));
        assert_eq!(by(Weighting::Uniform), Shares::uniform(3).unwrap());
    }
}
