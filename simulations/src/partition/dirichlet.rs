//! Label skew by Dirichlet draws, after NIID-Bench, and the plain rule.
//!
//! For each class in turn, shares over the sites are drawn from Dirichlet(alpha); in the balanced rule a site that already
//! has its equal part `rows / clients` gets share 0 and the other shares are scaled to sum to 1; the class's rows, in random
//! order, are cut at the running sums. When a site ends with fewer than `samples_min` rows, everything is drawn again.
//!
//! Choices:
//! - Shares are drawn first and rows are shuffled once at the end. Both draws are independent, so the distribution is
//!   the rule's, and a redraw costs `clients x classes` Gamma draws instead of a shuffle of the data.
//! - Gamma draws are kept as logarithms: for small alpha most of them are below the smallest `f64`, and a class
//!   whose draws all round to zero would have no shares at all. `ln Gamma(alpha)` is `ln Gamma(alpha + 1) + ln(u) /
//!   alpha` for a uniform `u` (Marsaglia and Tsang 2000, section 6).
//! - Rounding never gives a row to a site that has its part: the last site that still takes rows gets the rest.
//!
//! Source: Li, Diao, Chen, He, "Federated Learning on Non-IID Data Silos: An Experimental Study", ICDE 2022, and the
//! code published with it. The plain rule is that of Hsu, Qi, Brown, "Measuring the Effects of Non-Identical Data
//! Distribution for Federated Visual Classification", 2019, read by class as flwr-datasets does.

use rand::seq::SliceRandom;
use rand_distr::{Distribution, Gamma, Open01};
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;

/// Most times a Dirichlet split is drawn again.
pub const REDRAWS_MAX: u64 = 20_000;
/// Most Gamma draws over all redraws of a split, about two seconds of one core; at least one redraw is made.
pub const DRAWS_MAX: u64 = 40_000_000;
/// Draws spent on each larger alpha when looking for one to recommend.
const TRIES_PER_ALPHA: u64 = 8;

/// How shares are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    /// Concentration.
    pub(super) alpha: f64,
    /// Rows each site must have.
    pub(super) samples_min: u32,
    /// Whether a site that has its equal part gets no more.
    pub(super) balanced: bool,
}

/// Splits `rows_of_classes[class]` over `clients` sites.
pub(super) fn split(
    rule: Rule,
    clients: usize,
    mut rows_of_classes: Vec<Vec<u32>>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let Rule { alpha, samples_min, balanced } = rule;
    let class_sizes: Vec<usize> = rows_of_classes.iter().map(Vec::len).collect();
    let rows: usize = class_sizes.iter().sum();
    if clients.saturating_mul(samples_min as usize) > rows {
        return Err(PartitionError::TooFewRows { rows, clients, samples_min });
    }
    let mut draw = Draw::new(clients, if balanced { rows } else { usize::MAX });
    let (redraws, best_min) =
        match draw.until(alpha, samples_min, &class_sizes, redraws_max(clients, &class_sizes), rng) {
            Ok(start) => {
                let mut sites = vec![Vec::new(); clients];
                for rows in &mut rows_of_classes {
                    rows.shuffle(rng);
                }
                // The successful draw once more, this time with rows: no table of sites x classes is ever kept.
                let mut replay = start;
                let mut next = vec![0_usize; rows_of_classes.len()];
                draw.once(alpha, &class_sizes, &mut replay, &mut |class, site, count| {
                    let from = next[class];
                    next[class] += count;
                    sites[site].extend_from_slice(&rows_of_classes[class][from..next[class]]);
                });
                for rows in &mut sites {
                    rows.sort_unstable();
                }
                return Ok(sites);
            }
            Err(failed) => failed,
        };
    Err(PartitionError::Dirichlet {
        alpha,
        clients,
        samples_min,
        rows,
        classes: class_sizes.iter().filter(|size| **size > 0).count(),
        redraws,
        best_min,
        feasible_alpha: feasible_alpha(&mut draw, alpha, samples_min, &class_sizes, rng),
    })
}

fn redraws_max(clients: usize, class_sizes: &[usize]) -> u64 {
    let draws = (clients as u64).saturating_mul(class_sizes.len() as u64).max(1);
    (DRAWS_MAX / draws).clamp(1, REDRAWS_MAX)
}

/// The first of the larger alphas 0.1, 0.2, 0.5, 1, 2, 5, … with which one of a few draws succeeds.
fn feasible_alpha(
    draw: &mut Draw,
    alpha: f64,
    samples_min: u32,
    class_sizes: &[usize],
    rng: &mut ChaCha12Rng,
) -> Option<f64> {
    const LADDER: [f64; 13] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let tries = redraws_max(draw.clients, class_sizes).min(TRIES_PER_ALPHA);
    LADDER
        .into_iter()
        .filter(|larger| *larger > alpha)
        .find(|larger| draw.until(*larger, samples_min, class_sizes, tries, rng).is_ok())
}

/// The buffers of a draw.
struct Draw {
    clients: usize,
    /// A site takes rows as long as it has fewer than this divided by the number of sites.
    rows: usize,
    sizes: Vec<usize>,
    logs: Vec<f64>,
    open: Vec<u32>,
}

impl Draw {
    fn new(clients: usize, rows: usize) -> Self {
        Self { clients, rows, sizes: vec![0; clients], logs: Vec::new(), open: Vec::new() }
    }

    /// Draws until each site has `samples_min` rows. Returns the stream as it was before the draw that succeeded, or how
    /// many draws failed and the smallest site of the best of them.
    fn until(
        &mut self,
        alpha: f64,
        samples_min: u32,
        class_sizes: &[usize],
        redraws_max: u64,
        rng: &mut ChaCha12Rng,
    ) -> Result<ChaCha12Rng, (u64, u32)> {
        let mut best = 0;
        for _ in 0..redraws_max {
            let start = rng.clone();
            self.once(alpha, class_sizes, rng, &mut |_, _, _| {});
            let smallest = self.sizes.iter().min().copied().unwrap_or(0);
            if smallest >= samples_min as usize {
                return Ok(start);
            }
            best = best.max(u32::try_from(smallest).unwrap_or(u32::MAX));
        }
        Err((redraws_max, best))
    }

    /// One draw: `take(class, site, count)` for each share above zero, in the order of classes and sites.
    fn once(
        &mut self,
        alpha: f64,
        class_sizes: &[usize],
        rng: &mut ChaCha12Rng,
        take: &mut dyn FnMut(usize, usize, usize),
    ) {
        let log_gamma = LogGamma::new(alpha);
        self.sizes.fill(0);
        for (class, size) in class_sizes.iter().enumerate().filter(|(_, size)| **size > 0) {
            // Shares are drawn for sites that still take rows only: the others would be scaled away.
            self.open.clear();
            self.open.extend(
                (0_u32..)
                    .zip(&self.sizes)
                    .filter(|(_, own)| own.saturating_mul(self.clients) < self.rows)
                    .map(|(site, _)| site),
            );
            self.logs.clear();
            self.logs.extend(self.open.iter().map(|_| log_gamma.sample(rng)));
            let top = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for log in &mut self.logs {
                *log = (*log - top).exp();
            }
            let total: f64 = self.logs.iter().sum();
            let (mut sum, mut from) = (0.0, 0);
            for (at, (site, share)) in self.open.iter().zip(&self.logs).enumerate() {
                sum += share;
                let last = at + 1 == self.open.len();
                let to = if last { *size } else { ((sum / total * *size as f64) as usize).clamp(from, *size) };
                if to > from {
                    take(class, *site as usize, to - from);
                    self.sizes[*site as usize] += to - from;
                }
                from = to;
            }
        }
    }
}

/// The logarithm of a Gamma(alpha, 1) draw.
pub(super) enum LogGamma {
    Large(Gamma<f64>),
    Small { above: Gamma<f64>, alpha: f64 },
}

impl LogGamma {
    pub(super) fn new(alpha: f64) -> Self {
        // A plan allows 1e-4 to 1e6 only; the bounds here make the two `expect`s true for any caller.
        let alpha = if alpha.is_finite() { alpha.clamp(1e-6, 1e9) } else { 1.0 };
        if alpha < 1.0 {
            let above = Gamma::new(alpha + 1.0, 1.0).expect("alpha is finite and above zero, as clamped above");
            Self::Small { above, alpha }
        } else {
            Self::Large(Gamma::new(alpha, 1.0).expect("alpha is finite and above zero, as clamped above"))
        }
    }

    pub(super) fn sample(&self, rng: &mut ChaCha12Rng) -> f64 {
        match self {
            Self::Large(gamma) => gamma.sample(rng).ln(),
            Self::Small { above, alpha } => {
                let uniform: f64 = Open01.sample(rng);
                above.sample(rng).ln() + uniform.ln() / alpha
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::super::measures::Measures;
    use super::*;

    fn classes(rows: u32, classes: u32) -> (Vec<u32>, Vec<Vec<u32>>) {
        let labels = (0..rows).map(|row| row % classes).collect();
        let by_class = (0..classes).map(|class| (class..rows).step_by(classes as usize).collect()).collect();
        (labels, by_class)
    }

    fn rule(alpha: f64, samples_min: u32) -> Rule {
        Rule { alpha, samples_min, balanced: true }
    }

    #[test]
    fn the_plain_rule_lets_sizes_differ_where_the_balanced_one_evens_them() {
        let (labels, by_class) = classes(6000, 10);
        let gini = |balanced| {
            let rule = Rule { alpha: 0.3, samples_min: 1, balanced };
            let of = |seed| {
                let sites = split(rule, 10, by_class.clone(), &mut run_stream(seed, Purpose::Partition)).unwrap();
                assert_eq!(sites.iter().map(Vec::len).sum::<usize>(), 6000);
                Measures::of(&sites, &labels, 10).size_gini
            };
            (0..20).map(of).sum::<f64>() / 20.0
        };
        assert!(gini(false) > 1.2 * gini(true), "{} {}", gini(false), gini(true));
    }

    fn distance(alpha: f64, clients: usize) -> f64 {
        let (labels, by_class) = classes(60_000, 10);
        let sites = split(rule(alpha, 1), clients, by_class, &mut run_stream(3, Purpose::Partition)).unwrap();
        Measures::of(&sites, &labels, 10).label_distance
    }

    #[test]
    fn a_smaller_alpha_is_more_skewed() {
        let distances = [100.0, 1.0, 0.1].map(|alpha| distance(alpha, 10));
        assert!(distances[0] < 0.1 && distances.is_sorted() && distances[2] > 0.6, "{distances:?}");
    }

    #[test]
    fn no_site_overflows_its_equal_part_by_more_than_one_class() {
        let (_, by_class) = classes(1000, 10);
        for seed in 0..50 {
            let sites = split(rule(0.1, 1), 5, by_class.clone(), &mut run_stream(seed, Purpose::Partition));
            if let Ok(sites) = sites {
                assert!(sites.iter().all(|rows| rows.len() < 200 + 100));
            }
        }
    }

    #[test]
    fn tiny_alphas_still_share_out_every_class() {
        // Each class goes to one site nearly surely: with as many sites as classes and no minimum above one, the rule
        // succeeds only when all classes land apart, so the largest skew is tested with few sites.
        let (_, by_class) = classes(1000, 10);
        let sites = split(rule(1e-4, 1), 2, by_class, &mut run_stream(1, Purpose::Partition)).unwrap();
        assert_eq!(sites.iter().map(Vec::len).sum::<usize>(), 1000);
    }

    #[test]
    fn thousands_of_sites_are_split_where_the_rule_can_succeed() {
        let (_, by_class) = classes(60_000, 10);
        for (alpha, samples_min, clients) in [(0.3, 10, 100), (0.5, 1, 1000), (100.0, 1, 10_000)] {
            let sites =
                split(rule(alpha, samples_min), clients, by_class.clone(), &mut run_stream(7, Purpose::Partition));
            let sites = sites.unwrap_or_else(|error| panic!("{error}"));
            assert!(sites.iter().all(|rows| rows.len() >= samples_min as usize));
            assert_eq!(sites.iter().map(Vec::len).sum::<usize>(), 60_000);
        }
    }

    #[test]
    fn a_rule_that_cannot_succeed_says_which_alpha_would() {
        let (_, by_class) = classes(6000, 10);
        let error = split(rule(0.05, 10), 500, by_class, &mut run_stream(7, Purpose::Partition)).unwrap_err();
        let PartitionError::Dirichlet { feasible_alpha: Some(alpha), redraws, .. } = error else { panic!("{error}") };
        assert!(alpha > 0.05 && redraws == 8000);
        assert!(error.to_string().contains("set alpha to"), "{error}");
    }
}
