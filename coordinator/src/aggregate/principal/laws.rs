//! What principal-gradient aggregation promises, on random updates, and a slow implementation that forms every direction.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::super::gram::{GramBlocks, gram};
use super::super::layout::Layout;
use super::super::shares::{Shares, Weighting};
use super::super::weighted::mean;
use super::*;

fn slices(updates: &[Vec<f32>]) -> Vec<&[f32]> {
    updates.iter().map(Vec::as_slice).collect()
}

fn aggregate(updates: &[Vec<f32>], shares: &Shares, config: &Principal) -> Vec<f32> {
    let mut out = vec![0.0; updates[0].len()];
    let layout = Layout::new([out.len()]).unwrap();
    principal(&slices(updates), &layout, shares, config, &mut out).unwrap();
    out
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

fn norm_mean(updates: &[Vec<f32>], shares: &Shares) -> f64 {
    updates.iter().zip(shares.as_slice()).map(|(u, q)| q * norm(u)).sum()
}

/// Jacobi's rotations: eigenvalues and eigenvectors (columns) of a symmetric matrix, by another method than the one tested.
fn jacobi(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let m = a.len();
    let mut v: Vec<Vec<f64>> = (0..m).map(|i| (0..m).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..60 {
        for p in 0..m {
            for q in p + 1..m {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = if theta >= 0.0 { 1.0 } else { -1.0 } / (theta.abs() + (theta * theta + 1.0).sqrt());
                let (c, s) = (1.0 / (t * t + 1.0).sqrt(), t / (t * t + 1.0).sqrt());
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                for k in 0..m {
                    (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]);
                    (v[k][p], v[k][q]) = (c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]);
                }
            }
        }
    }
    ((0..m).map(|i| a[i][i]).collect(), v)
}

/// The paper's steps one by one: directions as vectors, revised updates as vectors. `None` where directions are not unique
/// or a sign hangs on rounding.
fn oracle(updates: &[Vec<f32>], shares: &Shares, config: &Principal) -> Option<Vec<f64>> {
    let (m, d, q) = (updates.len(), updates[0].len(), shares.as_slice());
    let g: Vec<Vec<f64>> = updates.iter().map(|u| u.iter().map(|x| f64::from(*x)).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let s = (0..m).map(|i| (0..m).map(|j| (q[i] * q[j]).sqrt() * dot(&g[i], &g[j])).collect()).collect();
    let (values, vectors) = jacobi(s);
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let total: f64 = values.iter().sum();
    let kept = &order[..config.keep.directions(m)];
    let mut result = vec![0.0; d];
    for (rank, j) in kept.iter().enumerate() {
        if values[*j] <= 1e-12 * values[order[0]] {
            break;
        }
        let next = order.get(rank + 1).map_or(0.0, |n| values[*n]);
        if values[*j] - next < 1e-6 * total || values[*j] < 1e-9 * total {
            return None;
        }
        let mut w = vec![0.0; d];
        for i in 0..m {
            (0..d).for_each(|x| w[x] += q[i].sqrt() * vectors[i][*j] * g[i][x]);
        }
        let length = dot(&w, &w).sqrt();
        let along: Vec<f64> = g.iter().map(|g| dot(g, &w) / length).collect();
        if along.iter().zip(&g).any(|(a, g)| a.abs() < 1e-6 * dot(g, g).sqrt()) {
            return None;
        }
        // Of what is left only a zero update has no side.
        let side = |a: f64| if a == 0.0 { 0.0 } else { a.signum() };
        let vote: f64 = along.iter().zip(q).map(|(a, q)| q * side(*a)).sum();
        let mean: f64 = along.iter().zip(q).map(|(a, q)| q * a).sum();
        if vote.abs() < 1e-9 && mean.abs() < 1e-6 * length {
            return None;
        }
        let common = if vote.abs() < 1e-9 { mean.signum() } else { vote.signum() };
        for i in 0..m {
            let o = if config.orientation == Orientation::Own { side(along[i]) } else { common };
            let factor = q[i] * o * (values[*j] / total) * dot(&g[i], &g[i]).sqrt() / length;
            (0..d).for_each(|x| result[x] += factor * w[x]);
        }
    }
    let length = dot(&result, &result).sqrt();
    let mean: Vec<f64> = (0..d).map(|x| (0..m).map(|i| q[i] * g[i][x]).sum()).collect();
    let target = match config.norm {
        NormRule::AsReleased => return Some(result),
        NormRule::Mean => dot(&mean, &mean).sqrt(),
        NormRule::MeanOfNorms => g.iter().zip(q).map(|(g, q)| q * dot(g, g).sqrt()).sum(),
    };
    (length > 1e-3 * target).then(|| result.iter().map(|r| r * target / length).collect())
}

fn updates() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..9, 2usize..24).prop_flat_map(|(m, d)| {
        let value = prop_oneof![9 => -2.0f32..2.0, 1 => Just(0.0)];
        prop::collection::vec(prop::collection::vec(value, d), m)
    })
}

fn config() -> impl Strategy<Value = Principal> {
    let orientation = prop_oneof![Just(Orientation::Own), Just(Orientation::Majority)];
    let norm = prop_oneof![Just(NormRule::AsReleased), Just(NormRule::Mean), Just(NormRule::MeanOfNorms)];
    (0.05f64..=1.0, orientation, norm).prop_map(|(keep, orientation, norm)| Principal {
        keep: Keep::new(keep).unwrap(),
        orientation,
        norm,
        scope: Scope::Block,
    })
}

fn shares(weighting: Weighting, updates: usize, seed: u32) -> Shares {
    let samples: Vec<_> =
        (0..updates as u32).map(|i| NonZeroU32::new(1 + (seed.wrapping_mul(2 * i + 1) >> 20)).unwrap()).collect();
    Shares::by(weighting, &samples).unwrap()
}

fn weighting() -> impl Strategy<Value = Weighting> {
    prop_oneof![Just(Weighting::Uniform), Just(Weighting::Samples)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn equals_the_paper_step_by_step(g in updates(), config in config(), w in weighting(), seed in any::<u32>()) {
        let q = shares(w, g.len(), seed);
        let expected = oracle(&g, &q, &config);
        prop_assume!(expected.is_some());
        let bound = norm_mean(&g, &q);
        for (found, expected) in aggregate(&g, &q, &config).iter().zip(expected.unwrap()) {
            prop_assert!((f64::from(*found) - expected).abs() <= 2e-5 * bound, "{} {}", found, expected);
        }
    }

    #[test]
    fn is_never_longer_than_the_updates_are_on_average(
        g in updates(), config in config(), w in weighting(), seed in any::<u32>(),
    ) {
        let q = shares(w, g.len(), seed);
        prop_assert!(norm(&aggregate(&g, &q, &config)) <= norm_mean(&g, &q) * (1.0 + 1e-6));
    }

    #[test]
    fn has_the_length_that_the_rule_asks_for(g in updates(), config in config(), seed in any::<u32>()) {
        let q = shares(Weighting::Samples, g.len(), seed);
        let released = norm(&aggregate(&g, &q, &Principal { norm: NormRule::AsReleased, ..config }));
        prop_assume!(released > 1e-3 * norm_mean(&g, &q));
        let with = |norm_rule| norm(&aggregate(&g, &q, &Principal { norm: norm_rule, ..config }));
        let mut plain = vec![0.0; g[0].len()];
        mean(&slices(&g), &q, &mut plain).unwrap();
        prop_assert!((with(NormRule::Mean) - norm(&plain)).abs() < 1e-5 * norm_mean(&g, &q));
        prop_assert!((with(NormRule::MeanOfNorms) / norm_mean(&g, &q) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn scaling_the_updates_scales_the_result(g in updates(), config in config(), power in -40i32..40, any in 0.1f32..10.0) {
        let q = Shares::uniform(g.len()).unwrap();
        let scaled = |a: f32| g.iter().map(|u| u.iter().map(|x| x * a).collect()).collect::<Vec<Vec<f32>>>();
        let result = aggregate(&g, &q, &config);
        // Powers of two to the last bit, others up to rounding where no sign or direction hangs on it.
        let a = 2f32.powi(power);
        let expected: Vec<f32> = result.iter().map(|x| x * a).collect();
        prop_assert_eq!(aggregate(&scaled(a), &q, &config), expected);
        prop_assume!(oracle(&g, &q, &config).is_some());
        for (found, result) in aggregate(&scaled(any), &q, &config).iter().zip(&result) {
            prop_assert!(f64::from(found - result * any).abs() <= 1e-4 * f64::from(any) * norm_mean(&g, &q));
        }
    }

    #[test]
    fn equal_updates_and_a_single_one_come_back(g in updates(), m in 1usize..9, config in config(), seed in any::<u32>()) {
        let same = vec![g[0].clone(); m];
        let q = shares(Weighting::Samples, m, seed);
        for (found, expected) in aggregate(&same, &q, &config).iter().zip(&g[0]) {
            prop_assert!((found - expected).abs() <= 2.0 * f32::EPSILON * expected.abs());
        }
        prop_assert_eq!(&aggregate(&g[..1], &Shares::uniform(1).unwrap(), &config), &g[0]);
    }

    #[test]
    fn arrival_order_does_not_show(
        (g, order) in updates().prop_flat_map(|g| {
            let order = Just((0..g.len()).collect::<Vec<usize>>()).prop_shuffle();
            (Just(g), order)
        }),
        config in config(),
    ) {
        let layout = Layout::new([1, g[0].len() - 1]).unwrap();
        let q = shares(Weighting::Samples, g.len(), 77);
        let mut expected = vec![0.0; g[0].len()];
        principal(&slices(&g), &layout, &q, &config, &mut expected).unwrap();
        let mut arriving = GramBlocks::new(layout.clone(), g.len());
        order.iter().for_each(|i| arriving.push(*i, g[*i].as_slice()).unwrap());
        let sorted = arriving.finish();
        let mut found = vec![0.0; g[0].len()];
        principal_from_grams(&sorted.grams, &sorted.updates, &layout, &q, &config, &mut found).unwrap();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&found), bits(&expected));
    }

    #[test]
    fn permuted_clients_give_the_same_up_to_rounding(g in updates(), config in config()) {
        let q = Shares::uniform(g.len()).unwrap();
        prop_assume!(oracle(&g, &q, &config).is_some());
        let reversed: Vec<_> = g.iter().rev().cloned().collect();
        for (a, b) in aggregate(&g, &q, &config).iter().zip(aggregate(&reversed, &q, &config)) {
            prop_assert!(f64::from(a - b).abs() <= 1e-5 * norm_mean(&g, &q));
        }
    }

    #[test]
    fn equal_samples_are_uniform(g in updates(), config in config(), samples in 1u32..1000) {
        let q = Shares::samples(&vec![NonZeroU32::new(samples).unwrap(); g.len()]).unwrap();
        prop_assert_eq!(aggregate(&g, &q, &config), aggregate(&g, &Shares::uniform(g.len()).unwrap(), &config));
    }
}

#[test]
fn a_zero_update_brings_no_nan() {
    for orientation in [Orientation::Own, Orientation::Majority] {
        let config = Principal { orientation, ..Principal::default() };
        let q = Shares::uniform(3).unwrap();
        let out = aggregate(&[vec![1.0, 2.0], vec![0.0, 0.0], vec![2.0, 1.0]], &q, &config);
        assert!(out.iter().all(|x| x.is_finite()) && norm(&out) > 0.5, "{out:?}");
        assert_eq!(aggregate(&vec![vec![0.0; 4]; 3], &q, &config), [0.0; 4]);
    }
}

#[test]
fn an_opposite_pair_gives_zero_for_own_under_every_norm_rule() {
    for norm_rule in [NormRule::AsReleased, NormRule::Mean, NormRule::MeanOfNorms] {
        let config = Principal { norm: norm_rule, ..Principal::default() };
        let x = vec![0.3f32, -1.7, 2.9];
        let pair = [x.clone(), x.iter().map(|x| -x).collect()];
        assert!(norm(&aggregate(&pair, &Shares::uniform(2).unwrap(), &config)) < 1e-6 * norm(&x));
    }
}

#[test]
fn orthogonal_updates_of_equal_norm_are_finite_deterministic_and_bounded() {
    for m in [2usize, 3, 8, 40] {
        let updates: Vec<Vec<f32>> = (0..m).map(|i| (0..m).map(|j| f32::from(u8::from(i == j))).collect()).collect();
        let q = Shares::uniform(m).unwrap();
        for orientation in [Orientation::Own, Orientation::Majority] {
            let config = Principal { orientation, ..Principal::default() };
            let out = aggregate(&updates, &q, &config);
            assert!(norm(&out) <= 1.0 + 1e-6 && out.iter().all(|x| x.is_finite()));
            assert_eq!(out, aggregate(&updates, &q, &config));
        }
    }
}

#[test]
fn one_parameter_is_averaged_and_the_whole_model_can_be_one_block() {
    let updates = [vec![1.0f32, 4.0, 0.5], vec![3.0, -1.0, 2.0]];
    let q = Shares::uniform(2).unwrap();
    let layout = Layout::new([1, 2]).unwrap();
    let mut out = [0.0; 3];
    principal(&slices(&updates), &layout, &q, &Principal::default(), &mut out).unwrap();
    assert_eq!(out[0], 2.0);
    let whole = Principal { scope: Scope::Whole, ..Principal::default() };
    principal(&slices(&updates), &layout, &q, &whole, &mut out).unwrap();
    assert_eq!(out.to_vec(), aggregate(&updates, &q, &Principal::default()));
}

#[test]
fn the_number_of_threads_leaves_no_trace() {
    let updates: Vec<Vec<f32>> = (0..7u32)
        .map(|i| (0..100_000u32).map(|x| ((x * 31 + i * i * 977) % 1009) as f32 / 500.0 - 1.0).collect())
        .collect();
    let layout = Layout::new([60_000, 1, 39_999]).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = vec![0.0; 100_000];
        let q = Shares::uniform(7).unwrap();
        pool.install(|| principal(&slices(&updates), &layout, &q, &Principal::default(), &mut out)).unwrap();
        out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let reference = on(1);
    assert!(on(2) == reference && on(4) == reference);
}

#[test]
fn a_diverged_update_is_named_and_nothing_is_written() {
    let updates = [vec![1.0f32, 2.0], vec![1.0, f32::NAN]];
    let mut out = [5.0; 2];
    let layout = Layout::new([2]).unwrap();
    let q = Shares::uniform(2).unwrap();
    let refused = principal(&slices(&updates), &layout, &q, &Principal::default(), &mut out).unwrap_err();
    assert!(refused.to_string().starts_with("update #1 is not finite at parameter 1 (NaN)"));
    assert_eq!(out, [5.0; 2]);
    assert!(principal(&slices(&updates[..1]), &layout, &q, &Principal::default(), &mut out).is_err());
    assert!(gram(&slices(&updates[..1]), 0..2).is_ok());
}
