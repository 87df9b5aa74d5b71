//! Who is close to whom, from inner products.

use super::super::gram::Gram;

/// For each update the others by distance, the nearest first and equally near ones in their order.
pub(super) struct Neighbours(Vec<Vec<(f64, usize)>>);

impl Neighbours {
    pub(super) fn new(gram: &Gram) -> Self {
        let of = |i: usize| {
            let others = (0..gram.order()).filter(|j| *j != i);
            let mut others: Vec<(f64, usize)> = others.map(|j| (gram.distance_squared(i, j), j)).collect();
            others.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            others
        };
        Self((0..gram.order()).map(of).collect())
    }

    /// Krum's score: the sum of squared distances of update `i` to the `count` nearest of those present.
    pub(super) fn score(&self, i: usize, count: usize, present: &[bool]) -> f64 {
        self.0[i].iter().filter(|(_, j)| present[*j]).take(count).map(|(square, _)| square).sum()
    }
}
