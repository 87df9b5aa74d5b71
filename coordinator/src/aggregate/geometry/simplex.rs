//! The small quadratic programme behind CAGrad and FedMGDA+: weights that sum to one.

use std::ops::Range;

use super::super::gram::Gram;

/// The weights are the best when no shift promises more than this, as a part of the largest entries.
const GAP: f64 = 1e-13;
/// Shifts for each weight before a step of all weights at once is tried: pairs creep where updates are nearly dependent.
const FACE: usize = 16;
/// Added to the diagonal in such a step, as a part of the largest entry.
const RIDGE: f64 = 1e-12;
/// Steps at most, for each weight and besides. The usual number is a few for each weight.
const STEPS: (usize, usize) = (200, 20_000);

/// `F(w) = w^T G w / 2 + b . w` over weights that sum to one, each within its bounds.
pub(super) struct Quadratic<'a> {
    /// `G`.
    pub(super) gram: &'a Gram,
    /// `b`, one per update.
    pub(super) linear: &'a [f64],
}

impl Quadratic<'_> {
    /// The weights that minimise the function, from weights within the bounds on.
    ///
    /// Each step shifts weight from one update to another by an exact line search: to the one where the function grows
    /// least, from the one that promises most by slope and curvature. This is sequential minimal optimisation, as for
    /// support vector machines (Fan, Chen, Lin, "Working set selection using second order information", 2005). The function
    /// falls in every step, and at the end lies above its minimum by no more than the largest difference of slopes, as it is
    /// convex. Where updates are nearly dependent pairs would creep: now and then all weights step at once. The same input
    /// takes the same steps; of equals the first in order is taken.
    pub(super) fn minimise(&self, bounds: &[Range<f64>], start: Vec<f64>) -> Vec<f64> {
        let (m, mut w) = (self.gram.order(), start);
        let diagonal = (0..m).map(|i| self.gram.at(i, i)).fold(0.0, f64::max);
        let gap = GAP * self.linear.iter().fold(diagonal, |largest, b| largest.max(b.abs()));
        let slopes = |w: &[f64]| -> Vec<f64> {
            let along = |i: usize| w.iter().enumerate().map(|(j, w)| w * self.gram.at(i, j)).sum::<f64>();
            (0..m).map(|i| along(i) + self.linear[i]).collect()
        };
        let mut slope = slopes(&w);
        for step in 1..=STEPS.0 * m + STEPS.1 {
            let takers = (0..m).filter(|i| w[*i] < bounds[*i].end);
            let Some(to) = takers.min_by(|a, b| slope[*a].total_cmp(&slope[*b])) else { break };
            let promise = |from: usize| {
                let gain = slope[from] - slope[to];
                gain * gain / self.gram.distance_squared(from, to).max(gap)
            };
            let givers = (0..m).filter(|i| w[*i] > bounds[*i].start && slope[*i] - slope[to] > gap);
            let Some(from) = givers.reduce(|best, i| if promise(i) > promise(best) { i } else { best }) else { break };

            let room = (bounds[to].end - w[to]).min(w[from] - bounds[from].start);
            // Where the curvature is zero the quotient is infinite.
            let shift = ((slope[from] - slope[to]) / self.gram.distance_squared(from, to)).min(room);
            w[to] = (w[to] + shift).min(bounds[to].end);
            w[from] = (w[from] - shift).max(bounds[from].start);
            if step % (FACE * m) == 0 {
                self.step_in_face(bounds, &slope, &mut w);
            }
            if step % m == 0 {
                // Rounding adds up in what is updated.
                slope = slopes(&w);
            } else {
                let change = |(i, slope): (usize, &mut f64)| {
                    *slope += shift * (self.gram.at(i, to) - self.gram.at(i, from));
                };
                slope.iter_mut().enumerate().for_each(change);
            }
        }
        w
    }

    /// Moves the weights that are at no bound towards the minimum over them, until the first meets its bound.
    fn step_in_face(&self, bounds: &[Range<f64>], slope: &[f64], w: &mut [f64]) {
        let free: Vec<usize> = (0..w.len()).filter(|i| w[*i] > bounds[*i].start && w[*i] < bounds[*i].end).collect();
        let entry = |a: usize, b: usize| self.gram.at(free[a], free[b]);
        let ridge = RIDGE * (0..free.len()).map(|a| entry(a, a)).fold(0.0, f64::max);
        let ridged = |a: usize, b: usize| if a == b { entry(a, b) + ridge } else { entry(a, b) };
        let Some(factor) = cholesky(free.len(), ridged) else { return };
        let by_slope = solve(&factor, free.iter().map(|i| slope[*i]).collect());
        let by_one = solve(&factor, vec![1.0; free.len()]);
        let level = by_slope.iter().sum::<f64>() / by_one.iter().sum::<f64>();
        let mut step: Vec<f64> = by_slope.iter().zip(&by_one).map(|(s, o)| level * o - s).collect();
        let rest = step.iter().sum::<f64>() / step.len() as f64;
        step.iter_mut().for_each(|s| *s -= rest);

        let descent: f64 = free.iter().zip(&step).map(|(i, s)| -slope[*i] * s).sum();
        let along = |a: usize| step.iter().enumerate().map(|(b, s)| s * entry(a, b)).sum::<f64>();
        let curvature: f64 = step.iter().enumerate().map(|(a, s)| s * along(a)).sum();
        let room = free.iter().zip(&step).map(|(i, s)| match *s {
            s if s > 0.0 => (bounds[*i].end - w[*i]) / s,
            s if s < 0.0 => (bounds[*i].start - w[*i]) / s,
            _ => f64::INFINITY,
        });
        let length = room.fold(descent / curvature.max(0.0), f64::min);
        if descent > 0.0 && length.is_finite() {
            for (i, s) in free.iter().zip(&step) {
                w[*i] = (w[*i] + length * s).clamp(bounds[*i].start, bounds[*i].end);
            }
        }
    }
}

/// The lower triangle `L` of `A = L L^T`, row by row; `None` where `A` is not positive definite or empty.
fn cholesky(order: usize, entry: impl Fn(usize, usize) -> f64) -> Option<Vec<Vec<f64>>> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(order);
    for i in 0..order {
        let mut row: Vec<f64> = Vec::with_capacity(i + 1);
        for (j, other) in rows.iter().enumerate() {
            let known: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.push((entry(i, j) - known) / other[j]);
        }
        let square = entry(i, i) - row.iter().map(|a| a * a).sum::<f64>();
        row.push(Some(square.sqrt()).filter(|root| *root > 0.0)?);
        rows.push(row);
    }
    Some(rows).filter(|rows| !rows.is_empty())
}

/// `x` with `L L^T x = b`.
fn solve(factor: &[Vec<f64>], mut x: Vec<f64>) -> Vec<f64> {
    for (i, row) in factor.iter().enumerate() {
        let known: f64 = row[..i].iter().zip(&x).map(|(l, x)| l * x).sum();
        x[i] = (x[i] - known) / row[i];
    }
    for i in (0..x.len()).rev() {
        let known: f64 = (i + 1..x.len()).map(|j| factor[j][i] * x[j]).sum();
        x[i] = (x[i] - known) / factor[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::gram::gram;
    use super::*;

    fn value(of: &Quadratic<'_>, w: &[f64]) -> f64 {
        of.gram.inner(w, w) / 2.0 + of.linear.iter().zip(w).map(|(b, w)| b * w).sum::<f64>()
    }

    /// The smallest value on a grid of 1/60 over three weights within the bounds.
    fn brute_force(of: &Quadratic<'_>, bounds: &[Range<f64>]) -> f64 {
        let inside = |w: &[f64]| w.iter().zip(bounds).all(|(w, b)| *w >= b.start - 1e-12 && *w <= b.end + 1e-12);
        let pairs = (0..=60).flat_map(|i| (0..=60 - i).map(move |j| (i, j)));
        let weights = pairs.map(|(i, j)| [i, j, 60 - i - j].map(|w| f64::from(w) / 60.0));
        weights.filter(|w| inside(w)).map(|w| value(of, &w)).fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_point_of_a_grid_is_better_and_the_best_one_is_near(
            g in prop::collection::vec(prop::collection::vec(-2.0f32..2.0, 4), 3),
            linear in prop::collection::vec(-1.0f64..1.0, 3), no_linear in any::<bool>(), room in 0.0f64..0.7,
        ) {
            let rows: Vec<&[f32]> = g.iter().map(Vec::as_slice).collect();
            let gram = gram(&rows, 0..4).unwrap();
            let linear = if no_linear { vec![0.0; 3] } else { linear };
            let of = Quadratic { gram: &gram, linear: &linear };
            let third = 1.0 / 3.0;
            for bounds in [vec![0.0..1.0; 3], vec![(third - room).max(0.0)..(third + room).min(1.0); 3]] {
                let w = of.minimise(&bounds, vec![third; 3]);
                prop_assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                prop_assert!(w.iter().zip(&bounds).all(|(w, b)| *w >= b.start && *w <= b.end));
                let best = brute_force(&of, &bounds);
                prop_assert!(value(&of, &w) <= best + 1e-12 && value(&of, &w) >= best - 1.0, "{w:?}");
            }
        }

        #[test]
        fn no_shift_between_two_weights_is_better(
            (g, linear) in (2usize..40, 1usize..20).prop_flat_map(|(m, d)| (
                prop::collection::vec(prop::collection::vec(-2.0f32..2.0, d), m), prop::collection::vec(-1.0f64..1.0, m),
            )),
        ) {
            // A convex function over these weights is at its minimum where this holds for shifts of any size.
            let (m, rows) = (g.len(), g.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let gram = gram(&rows, 0..g[0].len()).unwrap();
            let of = Quadratic { gram: &gram, linear: &linear };
            let w = of.minimise(&vec![0.0..1.0; m], vec![1.0 / m as f64; m]);
            let best = value(&of, &w);
            for (from, to) in (0..m * m).map(|at| (at / m, at % m)).filter(|(from, to)| from != to) {
                for part in [1.0, 0.1, 0.01, 1e-4] {
                    let mut other = w.clone();
                    let shift = other[from] * part;
                    (other[from], other[to]) = (other[from] - shift, other[to] + shift);
                    prop_assert!(best <= value(&of, &other) + 1e-11);
                }
            }
        }
    }
}
