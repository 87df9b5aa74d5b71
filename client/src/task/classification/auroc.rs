//! Area under the receiver operating characteristic.

/// The probability that a positive sample scores above a negative one, ties counting half: exact, by ranks
/// (Mann and Whitney 1947). Reorders `scored`, the score of each sample and whether it is positive. `None` unless both
/// kinds occur.
pub(super) fn auroc(scored: &mut [(f64, bool)]) -> Option<f64> {
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as u128;
    let negatives = scored.len() as u128 - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // In halves, so that integers suffice: twice the negatives below, once those beside.
    let (mut halves, mut negatives_below) = (0_u128, 0_u128);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let positives_here = tied.iter().filter(|(_, positive)| *positive).count() as u128;
        let negatives_here = tied.len() as u128 - positives_here;
        halves += positives_here * (2 * negatives_below + negatives_here);
        negatives_below += negatives_here;
    }
    Some(halves as f64 / (2 * positives * negatives) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hand_worked() {
        // Pairs won by the positives: 0.8 beats 0.1 and 0.4; 0.35 beats 0.1 only.
        let mut scored = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert_eq!(auroc(&mut scored), Some(0.75));
        assert_eq!(auroc(&mut [(1.0, true), (1.0, false)]), Some(0.5));
        assert_eq!(auroc(&mut [(2.0, true), (1.0, false)]), Some(1.0));
        assert_eq!(auroc(&mut [(0.0, true), (1.0, false)]), Some(0.0));
        // Zero and minus zero are one score.
        assert_eq!(auroc(&mut [(0.0, true), (-0.0, false)]), Some(0.5));
    }

    #[test]
    fn one_kind_of_sample_has_no_area() {
        assert_eq!(auroc(&mut [(0.3, true), (0.1, true)]), None);
        assert_eq!(auroc(&mut []), None);
    }

    proptest! {
        #[test]
        fn equals_counting_all_pairs(samples in prop::collection::vec((0..6_u8, any::<bool>()), 0..40)) {
            let mut scored: Vec<_> = samples.iter().map(|(s, p)| (f64::from(*s) / 7.0, *p)).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (score, _) in scored.iter().filter(|(_, positive)| *positive) {
                for (other, _) in scored.iter().filter(|(_, positive)| !positive) {
                    pairs += 1.0;
                    won += if score > other { 1.0 } else if score == other { 0.5 } else { 0.0 };
                }
            }
            let expected = (pairs > 0.0).then(|| won / pairs);
            prop_assert_eq!(auroc(&mut scored), expected);
        }
    }
}
