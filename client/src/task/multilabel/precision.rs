//! Average precision of one class.

/// `sum over cuts of (recall gained) x (precision)`, the cuts being the distinct scores from the highest down. Reorders
/// `scored`, the score of each sample and whether it has the class. `None` if no sample has it.
pub(super) fn average_precision(scored: &mut [(f64, bool)]) -> Option<f64> {
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    if positives == 0 {
        return None;
    }
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut seen, mut hits, mut area) = (0_usize, 0_usize, 0.0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let gained = tied.iter().filter(|(_, positive)| *positive).count();
        seen += tied.len();
        hits += gained;
        area += gained as f64 * hits as f64 / seen as f64;
    }
    Some(area / positives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hand_worked() {
        // Positives stand first and third of four: (1/1 + 2/3) / 2.
        let mut scored = [(0.1, false), (0.9, true), (0.4, true), (0.5, false)];
        assert_eq!(average_precision(&mut scored), Some((1.0 + 2.0 / 3.0) / 2.0));
        assert_eq!(average_precision(&mut [(1.0, true), (1.0, false)]), Some(0.5));
        assert_eq!(average_precision(&mut [(1.0, false)]), None);
    }

    proptest! {
        /// For each positive, the precision among the samples that score at least as high.
        #[test]
        fn equals_the_naive_way(samples in prop::collection::vec((0..6_u8, any::<bool>()), 1..40)) {
            let mut scored: Vec<_> = samples.iter().map(|(s, p)| (f64::from(*s) / 7.0, *p)).collect();
            let positives: Vec<f64> = scored.iter().filter(|s| s.1).map(|s| s.0).collect();
            let precision = |cut: &f64| {
                let above: Vec<_> = scored.iter().filter(|s| s.0 >= *cut).collect();
                above.iter().filter(|s| s.1).count() as f64 / above.len() as f64
            };
            let mean = positives.iter().map(precision).sum::<f64>() / positives.len() as f64;
            match average_precision(&mut scored) {
                None => prop_assert!(positives.is_empty()),
                Some(found) => prop_assert!((found - mean).abs() < 1e-12),
            }
        }
    }
}
