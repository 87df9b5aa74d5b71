//! Who takes part in a round: a draw without replacement from the sites that are there.

use rand::RngExt;
use synod_common::ids::{ClientId, RoundId};
use synod_common::random::{NO_CLIENT, Purpose, stream};

/// Chooses `size` of `available` (sorted by id) for attempt `attempt` of `round`. The choice depends on
/// the seed, the round, the attempt and the set of sites alone, never on the order in which they came.
pub(super) fn choose(seed: u64, round: RoundId, attempt: u32, available: &[ClientId], size: usize) -> Vec<ClientId> {
    let size = size.min(available.len());
    if size == available.len() {
        return available.to_vec();
    }
    let mut rng = stream(seed, round, NO_CLIENT, Purpose::Cohort);
    let mut chosen = Vec::new();
    for _ in 0..=attempt {
        // Fisher and Yates, stopped after `size` draws; the map holds only the places that were touched, so that ten
        // chosen of a million cost ten steps.
        let mut moved = std::collections::HashMap::new();
        chosen.clear();
        for i in 0..size {
            let j = rng.random_range(i..available.len());
            let at_j = moved.get(&j).copied().unwrap_or(j);
            let at_i = moved.get(&i).copied().unwrap_or(i);
            moved.insert(j, at_i);
            chosen.push(available[at_j]);
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: u8) -> Vec<ClientId> {
        (0..n).map(|i| ClientId([i; 16])).collect()
    }

    #[test]
    fn a_cohort_is_drawn_without_replacement_and_covers_everyone_in_time() {
        let all = ids(20);
        let mut seen = std::collections::BTreeSet::new();
        for round in 1..60 {
            let cohort = choose(1, RoundId(round), 0, &all, 5);
            assert_eq!(cohort.len(), 5);
            assert!(cohort.windows(2).all(|w| w[0] < w[1]), "sorted and distinct");
            seen.extend(cohort);
        }
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn seed_round_and_attempt_decide() {
        let all = ids(50);
        let base = choose(1, RoundId(1), 0, &all, 5);
        assert_eq!(base, choose(1, RoundId(1), 0, &all, 5));
        assert_ne!(base, choose(2, RoundId(1), 0, &all, 5));
        assert_ne!(base, choose(1, RoundId(2), 0, &all, 5));
        assert_ne!(base, choose(1, RoundId(1), 1, &all, 5));
    }

    #[test]
    fn too_many_mean_everyone() {
        assert_eq!(choose(1, RoundId(1), 0, &ids(3), 9), ids(3));
    }
}
