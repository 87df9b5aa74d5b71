//! Classes that grow rarer with their number.

use rand::seq::SliceRandom;
use synod_common::random::ChaCha12Rng;

/// The rows that are kept of samples with `labels`, ascending: of class c of `classes` a share `ratio^(-c / (classes - 1))`
/// of as many as the largest class has, at most all of its own and at least one.
///
/// Source: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 5.1.
#[must_use]
pub fn long_tail(ratio: f64, labels: &[u32], classes: usize, rng: &mut ChaCha12Rng) -> Vec<u32> {
    let mut by_class = vec![Vec::new(); classes];
    for (row, label) in (0_u32..).zip(labels) {
        if let Some(rows) = by_class.get_mut(*label as usize) {
            rows.push(row);
        }
    }
    let largest = by_class.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let last = (classes.saturating_sub(1)).max(1) as f64;
    let mut kept = Vec::new();
    for (class, mut rows) in by_class.into_iter().enumerate() {
        let wanted = (largest * ratio.powf(-(class as f64) / last)).round().max(1.0) as usize;
        if wanted < rows.len() {
            rows.shuffle(rng);
            rows.truncate(wanted);
        }
        kept.append(&mut rows);
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::*;

    #[test]
    fn classes_shrink_by_the_ratio_from_first_to_last() {
        let labels: Vec<u32> = (0..3000).map(|row| row % 3).collect();
        let kept = long_tail(100.0, &labels, 3, &mut run_stream(1, Purpose::LongTail));
        let count = |class| kept.iter().filter(|row| labels[**row as usize] == class).count();
        assert_eq!([0, 1, 2].map(count), [1000, 100, 10]);
        assert!(kept.is_sorted());
        assert_eq!(long_tail(1.0, &labels, 3, &mut run_stream(1, Purpose::LongTail)).len(), 3000);
        // A class that is rare already is left as it is, and no class is lost.
        let kept = long_tail(1e9, &[0, 0, 0, 1, 2, 2], 3, &mut run_stream(1, Purpose::LongTail));
        assert_eq!(kept.len(), 5);
    }
}
