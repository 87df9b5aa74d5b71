//! The order in which local training sees its samples.

use rand::Rng;
use synod_common::plan::Train;
use synod_common::random::ChaCha12Rng;

/// Local steps of one round on `samples` samples.
pub(super) fn steps(train: &Train, samples: usize) -> u64 {
    train.steps_of(samples as u64)
}

/// Positions of samples, batch after batch: all samples in a new order for each pass. The last batch of a pass is
/// smaller where the batch does not divide the samples.
pub(super) struct Order {
    positions: Vec<u32>,
    batch: usize,
    next: usize,
    rng: ChaCha12Rng,
}

impl Order {
    /// Of `samples` samples, at least one, in batches of `batch`.
    pub(super) fn new(samples: u32, batch: u32, rng: ChaCha12Rng) -> Self {
        let positions: Vec<u32> = (0..samples).collect();
        let next = positions.len();
        Self { positions, batch: batch.max(1) as usize, next, rng }
    }

    /// Whether the next batch begins a pass.
    pub(super) fn begins_pass(&self) -> bool {
        self.next >= self.positions.len()
    }

    /// Batches of a pass.
    pub(super) fn pass(&self) -> u64 {
        (self.positions.len() as u64).div_ceil(self.batch as u64)
    }

    pub(super) fn next_batch(&mut self) -> &[u32] {
        if self.begins_pass() {
            shuffle(&mut self.positions, &mut self.rng);
            self.next = 0;
        }
        let start = self.next;
        self.next = (start + self.batch).min(self.positions.len());
        &self.positions[start..self.next]
    }
}

/// Fisher and Yates. Written out, because every recorded result depends on its draws.
fn shuffle(positions: &mut [u32], rng: &mut impl Rng) {
    for last in (1..positions.len()).rev() {
        positions.swap(last, below(last as u32 + 1, rng) as usize);
    }
}

/// Uniform in `0..bound` without bias (Lemire 2019).
fn below(bound: u32, rng: &mut impl Rng) -> u32 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::random::{Purpose, run_stream};

    fn rng() -> ChaCha12Rng {
        run_stream(1, Purpose::Shuffle)
    }

    #[test]
    fn a_pass_sees_every_sample_once_and_the_next_pass_another_order() {
        let mut order = Order::new(7, 3, rng());
        let mut pass = || {
            let batches: Vec<Vec<u32>> = (0..3).map(|_| order.next_batch().to_vec()).collect();
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
            batches.concat()
        };
        let (first, second) = (pass(), pass());
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..7).collect::<Vec<u32>>());
        assert_ne!(first, second);
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        let mut rng = rng();
        for _ in 0..6000 {
            let mut positions = [0, 1, 2];
            shuffle(&mut positions, &mut rng);
            *counts.entry(positions).or_insert(0) += 1;
        }
        // Six orders, a thousand each, standard deviation 29.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_batch_larger_than_the_data_is_all_of_it() {
        let mut order = Order::new(2, 10, rng());
        assert_eq!(order.next_batch().len(), 2);
        assert_eq!(Order::new(1, 1, rng()).next_batch(), [0]);
    }
}
