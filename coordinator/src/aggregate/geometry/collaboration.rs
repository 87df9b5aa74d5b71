//! FedPAC's classifier collaboration: for each site, which mixture of all sites' heads should serve it best.
//!
//! Source: Xu, Tong, Huang, "Personalized Federated Learning with Feature Alignment and Classifier Collaboration", ICLR
//! 2023, algorithm 1, and the authors' released code.

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::{NonnegativeConeT, ZeroConeT};
use clarabel::solver::{DefaultSettings, DefaultSolver, IPSolver, SolverStatus};
use rayon::prelude::*;

use super::super::error::AggregateError;
use super::super::gram::Gram;

/// Smaller weights are 0, and the others share the rest, as in the released code but for the sharing.
const WEIGHT_MIN: f64 = 1e-3;
/// How near the solver comes to the minimum, as a part of the largest entry. The weights that follow are far more precise
/// than statistics of samples.
const GAP: f64 = 1e-10;

/// The weights of the heads, `[sites][sites]`: row `i` is what site `i` takes from each.
///
/// **Formula.** Of each site `j` two statistics are known: `h_j`, share times mean feature of each class, of which `gram`
/// has the inner products, and the variance `V_j` of its estimate. Row `i` is
///
/// ```text
/// argmin over the simplex of  sum_j a_j^2 V_j + |h_i - sum_j a_j h_j|^2
/// ```
///
/// what a mixture errs by variance, which many heads lower, and by bias, which unlike sites raise. As weights sum to one, this
/// is `a^T (G + diag V) a - 2 G_i a` with `G` centred on the mean of all `h_j`, which keeps what sites differ in from drowning
/// in what they share. [Clarabel](https://clarabel.org), an interior-point solver, finds the minimum; equal input gives equal
/// bits, whatever the number of threads.
///
/// Sites with equal statistics take from each other in equal parts; where nothing tells sites apart and no variance is known,
/// all take the plain mean. Without variance a site keeps the head of those that are as it is. Where the solver finds no
/// minimum a site keeps its own head, as in the released code.
///
/// Cost: one quadratic programme of `m` weights for each of `m` sites, some ten factorisations of `m^3 / 3` operations each:
/// on two cores 5 ms in all for 20 sites, 1 s for 100.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one variance per site, [`AggregateError::Option`] for
/// a variance that is negative or not finite.
pub fn collaboration_weights(gram: &Gram, variances: &[f64]) -> Result<Vec<Vec<f64>>, AggregateError> {
    let best = minima(gram, variances)?;
    Ok(best.iter().map(|weights| from(weights, WEIGHT_MIN.min(1.0 / weights.len() as f64))).collect())
}

/// The same before small weights are dropped.
fn minima(gram: &Gram, variances: &[f64]) -> Result<Vec<Vec<f64>>, AggregateError> {
    let m = gram.order();
    if m == 0 {
        return Err(AggregateError::Empty);
    }
    if variances.len() != m {
        return Err(AggregateError::Count { what: "variances of sites", found: variances.len(), expected: m });
    }
    if let Some(value) = variances.iter().find(|v| !v.is_finite() || **v < 0.0) {
        let allowed = "finite and at least 0";
        return Err(AggregateError::Option { rule: "FedPAC", option: "a site's variance", value: *value, allowed });
    }
    let centred = centred(gram);
    let at = |i: usize, j: usize| centred[i * m + j] + if i == j { variances[i] } else { 0.0 };
    let scale = (0..m).map(|i| at(i, i)).fold(0.0, f64::max);
    if scale == 0.0 {
        return Ok(vec![vec![1.0 / m as f64; m]; m]);
    }
    // Clarabel minimises a^T P a / 2 + q a.
    let quadratic = upper(m, |i, j| 2.0 * at(i, j) / scale);
    let row = |i: usize| {
        let linear: Vec<f64> = (0..m).map(|j| -2.0 * centred[i * m + j] / scale).collect();
        minimise(&quadratic, &linear).unwrap_or_else(|| (0..m).map(|j| if j == i { 1.0 } else { 0.0 }).collect())
    };
    Ok((0..m).into_par_iter().map(row).collect())
}

/// The inner products of the `h_j` minus their mean, `[sites, sites]`.
fn centred(gram: &Gram) -> Vec<f64> {
    let m = gram.order();
    let means: Vec<f64> = (0..m).map(|i| (0..m).map(|j| gram.at(i, j)).sum::<f64>() / m as f64).collect();
    let mean = means.iter().sum::<f64>() / m as f64;
    (0..m * m).map(|at| gram.at(at / m, at % m) - means[at / m] - means[at % m] + mean).collect()
}

/// The upper triangle of a matrix of this order, column by column, as the solver takes it.
fn upper(order: usize, entry: impl Fn(usize, usize) -> f64) -> CscMatrix<f64> {
    let columns = (0..=order).map(|n| n * (n + 1) / 2).collect();
    let places = (0..order).flat_map(|column| (0..=column).map(move |row| (row, column)));
    let (rows, values) = places.map(|(row, column)| (row, entry(row, column))).unzip();
    CscMatrix::new(order, order, columns, rows, values)
}

/// The weights of the simplex that minimise `a^T P a / 2 + q a`; `None` where the solver finds none.
fn minimise(quadratic: &CscMatrix<f64>, linear: &[f64]) -> Option<Vec<f64>> {
    let m = linear.len();
    // One row says that weights sum to one, one for each that it is not negative.
    let columns = (0..=m).map(|n| 2 * n).collect();
    let rows = (0..m).flat_map(|weight| [0, weight + 1]).collect();
    let entries = (0..m).flat_map(|_| [1.0, -1.0]).collect();
    let constraints = CscMatrix::new(m + 1, m, columns, rows, entries);
    let mut bounds = vec![0.0; m + 1];
    bounds[0] = 1.0;
    let cones = [ZeroConeT(1), NonnegativeConeT(m)];
    let settings = DefaultSettings { verbose: false, tol_gap_abs: GAP, tol_gap_rel: GAP, ..DefaultSettings::default() };
    let mut solver = DefaultSolver::new(quadratic, linear, &constraints, &bounds, &cones, settings).ok()?;
    solver.solve();
    let found = matches!(solver.solution.status, SolverStatus::Solved | SolverStatus::AlmostSolved);
    // An interior point is inside its bounds up to rounding only.
    found.then(|| from(&solver.solution.x, 0.0)).filter(|weights| weights.iter().all(|weight| weight.is_finite()))
}

/// Those of `weights` that are at least `least`, in the same proportions.
fn from(weights: &[f64], least: f64) -> Vec<f64> {
    let weights = weights.iter().map(|weight| if *weight < least { 0.0 } else { *weight });
    let sum: f64 = weights.clone().sum();
    weights.map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::gram::gram;
    use super::super::simplex::Quadratic;
    use super::*;

    fn gram_of(h: &[Vec<f32>]) -> Gram {
        let rows: Vec<&[f32]> = h.iter().map(Vec::as_slice).collect();
        gram(&rows, 0..h[0].len()).unwrap()
    }

    fn weights(h: &[Vec<f32>], variances: &[f64]) -> Vec<Vec<f64>> {
        collaboration_weights(&gram_of(h), variances).unwrap()
    }

    /// What a mixture errs at `site`, as the paper writes it.
    fn error(h: &[Vec<f32>], variances: &[f64], site: usize, a: &[f64]) -> f64 {
        let bias = (0..h[0].len()).map(|k| {
            let mixed: f64 = a.iter().zip(h).map(|(a, h)| a * f64::from(h[k])).sum();
            (f64::from(h[site][k]) - mixed).powi(2)
        });
        bias.sum::<f64>() + a.iter().zip(variances).map(|(a, v)| a * a * v).sum::<f64>()
    }

    fn near(found: &[f64], expected: &[f64], by: f64) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= by)
    }

    #[test]
    fn two_and_three_sites_by_hand() {
        // a^2 V_1 + (1 - a)^2 (V_2 + |h_1 - h_2|^2) is least at a = (V_2 + 2) / (V_1 + V_2 + 2).
        let pair = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let found = weights(&pair, &[1.0, 3.0]);
        assert!(near(&found[0], &[5.0 / 6.0, 1.0 / 6.0], 1e-8), "{found:?}");
        assert!(near(&found[1], &[0.5, 0.5], 1e-8), "(1 + 2) / (1 + 3 + 2): {found:?}");
        // Two alike and one far away, which is left out: its part would be below a thousandth.
        let found = weights(&[vec![1.0], vec![1.0], vec![100.0]], &[0.5, 0.25, 0.5]);
        assert!(near(&found[0], &[1.0 / 3.0, 2.0 / 3.0, 0.0], 1e-4) && found[0][2] == 0.0, "{found:?}");
        assert!(near(&found[2], &[0.0, 0.0, 1.0], 1e-4), "{found:?}");
    }

    #[test]
    fn equal_statistics_give_equal_parts_and_no_variance_gives_ones_own_head() {
        let alike = vec![vec![0.5, -2.0, 3.0]; 4];
        for variance in [0.0, 0.3] {
            assert!(weights(&alike, &[variance; 4]).iter().all(|row| near(row, &[0.25; 4], 1e-9)));
        }
        let apart = [vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
        for (i, row) in weights(&apart, &[0.0; 3]).iter().enumerate() {
            assert!((row[i] - 1.0).abs() < 1e-9, "{row:?}");
        }
        assert_eq!(weights(&[vec![1.0]], &[0.1]), [[1.0]]);
    }

    #[test]
    fn what_is_no_variance_is_refused() {
        let gram = gram(&[&[1.0], &[2.0]], 0..1).unwrap();
        assert!(matches!(collaboration_weights(&gram, &[1.0]), Err(AggregateError::Count { .. })));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let refused = collaboration_weights(&gram, &[0.0, bad]);
            assert!(matches!(refused, Err(AggregateError::Option { rule: "FedPAC", .. })), "{bad}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let h: Vec<Vec<f32>> =
            (0..20).map(|i| (0..30).map(|k| ((i * 31 + k * 17) % 23) as f32 * 0.1).collect()).collect();
        let variances: Vec<f64> = (1..=20).map(|i| f64::from(i) * 0.01).collect();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| weights(&h, &variances))
        };
        assert_eq!(with(1), with(3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn another_solver_finds_no_better_mixture(
            (h, variances) in (1usize..12, 1usize..20).prop_flat_map(|(m, d)| (
                prop::collection::vec(prop::collection::vec(-2.0f32..2.0, d), m), prop::collection::vec(0.0f64..0.5, m),
            )),
            shared in -50.0f32..50.0,
        ) {
            // What all sites share has no say.
            let h: Vec<Vec<f32>> = h.iter().map(|h| h.iter().map(|v| v + shared).collect()).collect();
            let m = h.len();
            let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            for (site, found) in minima(&gram_of(&h), &variances).unwrap().iter().enumerate() {
                prop_assert!(found.iter().all(|a| *a >= 0.0) && (found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                // The error about site i is a quadratic form of the differences to it: by sequential minimal optimisation.
                let apart: Vec<Vec<f32>> = h.iter().map(|other| other.iter().zip(&h[site]).map(|(a, b)| a - b).collect()).collect();
                let entry = |i: usize, j: usize| inner(&apart[i], &apart[j]) + if i == j { variances[i] } else { 0.0 };
                let form = Gram::new(m, (0..m * m).map(|at| entry(at / m, at % m)).collect()).unwrap();
                let other = Quadratic { gram: &form, linear: &vec![0.0; m] };
                let other = other.minimise(&vec![0.0..1.0; m], vec![1.0 / m as f64; m]);
                let (found, other) = (error(&h, &variances, site, found), error(&h, &variances, site, &other));
                prop_assert!((found - other).abs() <= 1e-7 * (1.0 + other), "{found} {other}");
            }
        }
    }
}
