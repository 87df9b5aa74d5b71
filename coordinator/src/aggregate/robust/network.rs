//! Sorting without branches: the same comparisons for every input.

use std::ops::Range;

/// The comparators of Batcher's odd-even merge sort of `inputs` values, first to last: after each, the smaller value is at
/// the first place of the pair. Comparators that no value of the places `wanted` depends on are left out.
///
/// Source: Batcher, "Sorting networks and their applications", 1968; Knuth, volume 3, algorithm 5.2.2M.
pub(super) fn sorting_network(inputs: usize, wanted: Range<usize>) -> Vec<(usize, usize)> {
    let powers = || std::iter::successors(Some(1usize), |p| p.checked_mul(2));
    let mut comparators = Vec::new();
    for merged in powers().take_while(|p| *p < inputs) {
        let distances: Vec<usize> = powers().take_while(|p| *p <= merged).collect();
        for distance in distances.into_iter().rev() {
            for first in (distance % merged..inputs - distance).step_by(2 * distance) {
                for low in first..(first + distance).min(inputs - distance) {
                    if low / (2 * merged) == (low + distance) / (2 * merged) {
                        comparators.push((low, low + distance));
                    }
                }
            }
        }
    }
    let mut needed: Vec<bool> = (0..inputs).map(|place| wanted.contains(&place)).collect();
    let mut kept: Vec<(usize, usize)> = Vec::with_capacity(comparators.len());
    for (low, high) in comparators.into_iter().rev() {
        if needed[low] || needed[high] {
            (needed[low], needed[high]) = (true, true);
            kept.push((low, high));
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T: Ord + Copy>(network: &[(usize, usize)], mut values: Vec<T>) -> Vec<T> {
        for (low, high) in network {
            (values[*low], values[*high]) = (values[*low].min(values[*high]), values[*low].max(values[*high]));
        }
        values
    }

    #[test]
    fn every_input_of_zeros_and_ones_is_sorted_and_so_is_every_other() {
        // Knuth's zero-one principle: a network that sorts these sorts everything.
        for inputs in 1usize..=13 {
            let (all, middle) = (sorting_network(inputs, 0..inputs), (inputs - 1) / 2..inputs / 2 + 1);
            let median = sorting_network(inputs, middle.clone());
            assert!(median.len() <= all.len());
            for bits in 0u32..1 << inputs {
                let values: Vec<u32> = (0..inputs).map(|i| bits >> i & 1).collect();
                let mut sorted = values.clone();
                sorted.sort_unstable();
                assert_eq!(run(&all, values.clone()), sorted);
                assert_eq!(run(&median, values)[middle.clone()], sorted[middle.clone()]);
            }
        }
    }

    #[test]
    fn larger_networks_sort_permutations() {
        for inputs in [33usize, 64, 100, 257] {
            let network = sorting_network(inputs, 0..inputs);
            for factor in [1usize, 59, 101, 211] {
                let values: Vec<usize> = (0..inputs).map(|i| i * factor % 263).collect();
                let mut sorted = values.clone();
                sorted.sort_unstable();
                assert_eq!(run(&network, values), sorted);
            }
        }
    }
}
