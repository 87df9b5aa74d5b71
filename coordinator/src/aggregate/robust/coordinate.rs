//! Coordinate-wise median and trimmed mean.
//!
//! Source: Yin, Chen, Ramchandran, Bartlett, "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
//! ICML 2018, definitions 1 and 2. Every site counts once; the paper has no weights.
//!
//! **Cost.** One pass over the updates and a sorting network of about `m log2(m)^2 / 4` comparators, a minimum and a
//! maximum each, for every parameter: 32 comparators for 10 updates, 1,700 for 100.

use super::super::error::AggregateError;
use super::order::{Pick, pick};

/// The fraction of updates cut off at **either** end, in `[0, 0.5)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trim(f64);

impl Trim {
    /// # Errors
    /// [`AggregateError::Option`] outside `[0, 0.5)`.
    pub fn new(fraction: f64) -> Result<Self, AggregateError> {
        if (0.0..0.5).contains(&fraction) {
            return Ok(Self(fraction));
        }
        let (rule, option, allowed) = ("trimmed mean", "trim", "at least 0 and below 0.5; 0 is the mean");
        Err(AggregateError::Option { rule, option, value: fraction, allowed })
    }

    /// The number of values cut off at either end of `updates`: `floor(updates * fraction)`, always fewer than half.
    #[must_use]
    pub fn cut(self, updates: usize) -> usize {
        // 10 * 0.3 may be a little less than 3 in floating point.
        ((updates as f64 * self.0 + 1e-9).floor() as usize).min(updates.saturating_sub(1) / 2)
    }
}

impl Default for Trim {
    /// 0.1: up to a tenth of the sites may be hostile.
    fn default() -> Self {
        Self(0.1)
    }
}

/// `out_x = median_i g_i,x`; for an even number of updates the mean of the two in the middle.
///
/// **Withstands** fewer than half of the sites: every value of the result lies between values of honest sites. The same
/// to the last bit for every order of the updates.
///
/// # Errors
/// [`AggregateError::Empty`] and [`AggregateError::Length`] before anything is written; [`AggregateError::NonFinite`] may
/// leave `out` partly written.
pub fn coordinate_median(updates: &[&[f32]], out: &mut [f32]) -> Result<(), AggregateError> {
    let m = updates.len();
    pick(updates, &Pick::Middle(m.saturating_sub(1) / 2..m / 2 + 1), out)
}

/// `out_x` = the mean of `g_1,x .. g_m,x` without the `trim.cut(m)` smallest and as many largest.
///
/// **Withstands** as many hostile sites as are cut off at one end, at most a fraction `trim`. A trim of 0 is the plain
/// mean of equal shares (to rounding: values are added by size here), a trim of nearly 0.5 the median. The same to the last
/// bit for every order of the updates.
///
/// # Errors
/// As [`coordinate_median`].
pub fn trimmed_mean(updates: &[&[f32]], trim: Trim, out: &mut [f32]) -> Result<(), AggregateError> {
    let cut = trim.cut(updates.len());
    pick(updates, &Pick::Middle(cut..updates.len() - cut), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f32; 2]; 5] = [[5.0, -1.0], [1.0, 0.0], [4.0, 1e6], [2.0, 2.0], [-1e6, 1.0]];

    fn rows(count: usize) -> Vec<&'static [f32]> {
        ROWS[..count].iter().map(<[f32; 2]>::as_slice).collect()
    }

    #[test]
    fn medians_by_hand() {
        let mut out = [0.0; 2];
        coordinate_median(&rows(5), &mut out).unwrap();
        assert_eq!(out, [2.0, 1.0]);
        coordinate_median(&rows(4), &mut out).unwrap();
        assert_eq!(out, [3.0, 1.0]);
        coordinate_median(&rows(1), &mut out).unwrap();
        assert_eq!(out, [5.0, -1.0]);
    }

    #[test]
    fn trimmed_means_by_hand() {
        let mut out = [0.0; 2];
        trimmed_mean(&rows(5), Trim::new(0.2).unwrap(), &mut out).unwrap();
        assert_eq!(out, [7.0 / 3.0, 1.0]);
        trimmed_mean(&rows(2), Trim::new(0.4).unwrap(), &mut out).unwrap();
        assert_eq!(out, [3.0, -0.5]);
    }

    #[test]
    fn fewer_than_half_are_cut_and_rounding_loses_none() {
        let cut = |fraction, m| Trim::new(fraction).unwrap().cut(m);
        assert_eq!([cut(0.3, 10), cut(0.1, 9), cut(0.499_999_999_99, 2), cut(0.0, 7), cut(0.4, 0)], [3, 0, 0, 0, 0]);
        for bad in [-0.1, 0.5, f64::NAN] {
            assert!(matches!(Trim::new(bad), Err(AggregateError::Option { option: "trim", .. })));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut out = [0.0; 2];
        assert_eq!(coordinate_median(&[], &mut out), Err(AggregateError::Empty));
        assert_eq!(trimmed_mean(&[], Trim::default(), &mut out), Err(AggregateError::Empty));
        assert!(matches!(coordinate_median(&[&[1.0]], &mut out), Err(AggregateError::Length { .. })));
        let bad = coordinate_median(&[&[1.0, 2.0], &[1.0, f32::NEG_INFINITY]], &mut out).unwrap_err();
        assert_eq!(bad, AggregateError::NonFinite { update: 1, at: 1, value: f32::NEG_INFINITY });
        assert_eq!(coordinate_median(&[&[]], &mut []), Ok(()));
    }
}
