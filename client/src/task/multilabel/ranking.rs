//! How well the classes of one sample are ordered.

/// One sample's classes from the highest logit down; of equal ones the first class comes first.
pub(super) fn order(logits: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    // `+ 0.0` makes zero and minus zero one.
    classes.sort_by(|a, b| (logits[*b] + 0.0).total_cmp(&(logits[*a] + 0.0)));
    classes
}

/// Share of the first `k` classes of `order` that the sample has; `k` is at least 1.
pub(super) fn precision_at(k: usize, order: &[usize], targets: &[f32]) -> f64 {
    let hits = order.iter().take(k).filter(|class| targets[**class] != 0.0).count();
    hits as f64 / k as f64
}

/// Share of the pairs of a class that the sample has and one that it has not in which the first has not the higher
/// logit; 0 without such a pair.
pub(super) fn ranking_loss(logits: &[f32], order: &[usize], targets: &[f32]) -> f64 {
    let positives = targets.iter().filter(|target| **target != 0.0).count() as u64;
    let pairs = positives * (targets.len() as u64 - positives);
    if pairs == 0 {
        return 0.0;
    }
    let (mut negatives_above, mut wrong) = (0_u64, 0_u64);
    for tied in order.chunk_by(|a, b| logits[*a] == logits[*b]) {
        let here = tied.iter().filter(|class| targets[**class] != 0.0).count() as u64;
        negatives_above += tied.len() as u64 - here;
        // Ties count as wrong: the model does not put the first above.
        wrong += here * negatives_above;
    }
    wrong as f64 / pairs as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hand_worked() {
        // Order 2, 0, 1, 3; the sample has 0 and 3.
        let (logits, targets) = ([1.0, 0.5, 2.0, -1.0], [1.0, 0.0, 0.0, 1.0]);
        let order = order(&logits);
        assert_eq!(order, [2, 0, 1, 3]);
        assert_eq!([1, 2, 3].map(|k| precision_at(k, &order, &targets)), [0.0, 0.5, 1.0 / 3.0]);
        // Wrong pairs: 0 below 2, 3 below 2, 3 below 1; of four.
        assert_eq!(ranking_loss(&logits, &order, &targets), 0.75);
    }

    #[test]
    fn a_sample_with_all_or_no_classes_has_no_wrong_pair_and_ties_are_wrong() {
        let of = |logits: &[f32], targets: &[f32]| ranking_loss(logits, &order(logits), targets);
        assert_eq!((of(&[1.0, 2.0], &[1.0, 1.0]), of(&[1.0, 2.0], &[0.0, 0.0])), (0.0, 0.0));
        assert_eq!(of(&[0.0, -0.0], &[1.0, 0.0]), 1.0);
    }

    proptest! {
        #[test]
        fn equals_counting_all_pairs(classes in prop::collection::vec((0..5_u8, any::<bool>()), 1..12)) {
            let logits: Vec<f32> = classes.iter().map(|(s, _)| f32::from(*s) - 2.0).collect();
            let targets: Vec<f32> = classes.iter().map(|(_, p)| f32::from(u8::from(*p))).collect();
            let (mut wrong, mut pairs) = (0.0, 0.0);
            for a in (0..logits.len()).filter(|a| targets[*a] == 1.0) {
                for b in (0..logits.len()).filter(|b| targets[*b] == 0.0) {
                    pairs += 1.0;
                    wrong += f64::from(u8::from(logits[a] <= logits[b]));
                }
            }
            let expected = if pairs > 0.0 { wrong / pairs } else { 0.0 };
            prop_assert_eq!(ranking_loss(&logits, &order(&logits), &targets), expected);
        }
    }
}
