//! Ranks, for Spearman's correlation.

/// The rank of each value from 1, tied values sharing the mean of their ranks.
pub(super) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0_usize;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = below as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|place| ranks[*place] = rank);
        below += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[10.0, 5.0, 10.0, 7.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn equals_counting_those_below_and_beside(values in prop::collection::vec(0..6_u8, 0..30)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let rank = |value: &f64| {
                let below = values.iter().filter(|other| *other < value).count() as f64;
                let beside = values.iter().filter(|other| *other == value).count() as f64;
                below + (beside + 1.0) / 2.0
            };
            prop_assert_eq!(ranks(&values), values.iter().map(rank).collect::<Vec<_>>());
        }
    }
}
