//! Taking samples aside so that small groups keep some of theirs.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use synod_common::random::ChaCha12Rng;

/// Rows in two parts, both ascending.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) kept: Vec<u32>,
    pub(super) taken: Vec<u32>,
}

/// Takes the share `fraction` of `rows`, stratified by `group`.
///
/// Each group of at least two gives its share, rounded so that the total is right; a group of one is kept, and every
/// group keeps at least one. The result does not depend on the order of `rows`.
pub(super) fn split_off(rows: &[u32], fraction: f64, group: impl Fn(u32) -> u64, rng: &mut ChaCha12Rng) -> Split {
    let mut groups: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for row in rows {
        groups.entry(group(*row)).or_default().push(*row);
    }
    let mut kept = Vec::with_capacity(rows.len());
    let mut divided = Vec::new();
    for (_, mut members) in groups {
        if members.len() < 2 {
            kept.append(&mut members);
        } else {
            members.sort_unstable();
            members.shuffle(rng);
            divided.push(members);
        }
    }
    let members: usize = divided.iter().map(Vec::len).sum();
    let total = (members as f64 * fraction).round() as usize;
    let mut counts: Vec<usize> = divided.iter().map(|group| (group.len() as f64 * fraction) as usize).collect();
    // Largest remainders first; which of equal ones comes first is drawn.
    let mut order: Vec<usize> = (0..divided.len()).collect();
    order.shuffle(rng);
    let remainder = |at: usize| divided[at].len() as f64 * fraction - counts[at] as f64;
    order.sort_by(|a, b| remainder(*b).total_cmp(&remainder(*a)));
    let mut left = total.saturating_sub(counts.iter().sum());
    for at in order {
        if left == 0 {
            break;
        }
        if counts[at] + 1 < divided[at].len() {
            counts[at] += 1;
            left -= 1;
        }
    }
    let mut taken = Vec::with_capacity(total);
    for (group, count) in divided.iter().zip(counts) {
        let (out, stay) = group.split_at(count.min(group.len() - 1));
        taken.extend_from_slice(out);
        kept.extend_from_slice(stay);
    }
    kept.sort_unstable();
    taken.sort_unstable();
    Split { kept, taken }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use synod_common::random::{Purpose, run_stream};

    fn rng() -> ChaCha12Rng {
        run_stream(1, Purpose::Holdout)
    }

    #[test]
    fn many_small_groups_give_the_share_in_total() {
        let rows: Vec<u32> = (0..40).collect();
        // Twenty groups of two: a fifth is eight rows, though a fifth of each group rounds to none.
        let split = split_off(&rows, 0.2, |row| u64::from(row / 2), &mut rng());
        assert_eq!((split.kept.len(), split.taken.len()), (32, 8));
    }

    #[test]
    fn a_group_of_one_is_kept() {
        let split = split_off(&[3, 9, 7], 0.9, u64::from, &mut rng());
        assert_eq!(split, Split { kept: vec![3, 7, 9], taken: vec![] });
        assert_eq!(split_off(&[], 0.5, u64::from, &mut rng()).kept, Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_group_keeps_one(
            labels in proptest::collection::vec(0_u64..6, 1..120),
            fraction in 0.0..0.9,
        ) {
            let rows: Vec<u32> = (0..labels.len() as u32).collect();
            let split = split_off(&rows, fraction, |row| labels[row as usize], &mut rng());
            let mut all = [split.kept.clone(), split.taken.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(&all, &rows);
            for label in &labels {
                prop_assert!(split.kept.iter().any(|row| labels[*row as usize] == *label));
            }
            prop_assert!(split.taken.len() as f64 <= labels.len() as f64 * fraction + 0.5);
            let mut turned = rows.clone();
            turned.reverse();
            prop_assert_eq!(split_off(&turned, fraction, |row| labels[row as usize], &mut rng()), split);
        }
    }
}
