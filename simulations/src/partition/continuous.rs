//! Sites by ranges of a number: rows are sorted by the number, blurred by noise, and cut into equal parts.
//!
//! As in the continuous partitioner of flwr-datasets: the number is standardised, `strictness` of it is added to
//! `1 - strictness` of a standard normal draw, and the sum decides the order. Rows with no number come last.

use rand::RngExt;
use rand_distr::StandardNormal;
use synod_common::random::ChaCha12Rng;

/// The rows in the order in which they are cut. `values` has one number a row.
pub(super) fn order(values: &[f64], strictness: f64, rng: &mut ChaCha12Rng) -> Vec<u32> {
    let known = || values.iter().copied().filter(|value| value.is_finite());
    let count = known().count().max(1) as f64;
    let mean = known().sum::<f64>() / count;
    let deviation = (known().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
    let keys: Vec<f64> = values
        .iter()
        .map(|value| {
            let noise: f64 = rng.sample(StandardNormal);
            let number = if value.is_finite() { (value - mean) * scale } else { f64::MAX };
            strictness * number + (1.0 - strictness) * noise
        })
        .collect();
    let mut rows: Vec<u32> = (0_u32..).zip(values).map(|(row, _)| row).collect();
    rows.sort_by(|a, b| keys[*a as usize].total_cmp(&keys[*b as usize]).then(a.cmp(b)));
    rows
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::*;

    #[test]
    fn strictness_decides_how_much_the_number_does() {
        let values: Vec<f64> = (0..1000).map(|row| f64::from(row * 7 % 1000)).collect();
        let sorted = |strictness| {
            let rows = order(&values, strictness, &mut run_stream(1, Purpose::Partition));
            rows[..500].iter().filter(|row| values[**row as usize] < 500.0).count()
        };
        assert_eq!(sorted(1.0), 500);
        assert!((400..500).contains(&sorted(0.7)), "{}", sorted(0.7));
        assert!((200..300).contains(&sorted(0.0)), "{}", sorted(0.0));
    }

    #[test]
    fn one_value_for_all_and_missing_ones_are_no_trouble() {
        let mut rng = run_stream(1, Purpose::Partition);
        assert_eq!(order(&[3.0, 3.0, 3.0], 1.0, &mut rng), [0, 1, 2]);
        assert_eq!(order(&[f64::NAN, 2.0, 1.0], 1.0, &mut rng), [2, 1, 0]);
    }
}
