//! What the robust rules promise, on random updates, and slow implementations that follow the papers word for word.

use proptest::prelude::*;

use super::super::combine::{combine, combine_from_grams};
use super::super::gram::GramBlocks;
use super::super::layout::Layout;
use super::super::screen::screen;
use super::super::shares::Shares;
use super::super::weighted::{mean, weighted_sum};
use super::*;

/// Hostile sites in every law: Bulyan's eleven updates are the fewest.
const HOSTILE: usize = 2;

type Rule = fn(&[&[f32]], f32) -> Vec<f32>;
type Oracle = fn(&[Vec<f64>]) -> Option<Vec<f64>>;

fn into(out: usize, f: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut out = vec![9.0; out];
    f(&mut out);
    out
}

fn by_krum(g: &[&[f32]], keep: usize) -> Vec<f32> {
    let whole = Layout::new([g[0].len()]).unwrap();
    let of = |_, gram: &_| krum_coefficients(gram, Krum { hostile: HOSTILE, keep });
    into(g[0].len(), |out| combine(g, &whole, of, out).unwrap())
}

fn by_geometric_median(g: &[&[f32]], smoothing: f64) -> Vec<f32> {
    let (whole, q) = (Layout::new([g[0].len()]).unwrap(), Shares::uniform(g.len()).unwrap());
    let config = GeometricMedian { smoothing, ..GeometricMedian::default() };
    let of = |_, gram: &_| geometric_median_coefficients(gram, &q, config);
    into(g[0].len(), |out| combine(g, &whole, of, out).unwrap())
}

fn by_clipping(g: &[&[f32]], bound: ClipBound) -> Vec<f32> {
    let norms: Vec<f64> = g.iter().map(|g| screen(g).unwrap().norm()).collect();
    let c = clip_coefficients(&norms, &Shares::uniform(g.len()).unwrap(), bound).unwrap();
    into(g[0].len(), |out| weighted_sum(g, &c, out).unwrap())
}

fn by_trimming(g: &[&[f32]], trim: f64) -> Vec<f32> {
    into(g[0].len(), |out| trimmed_mean(g, Trim::new(trim).unwrap(), out).unwrap())
}

fn by_median(g: &[&[f32]]) -> Vec<f32> {
    into(g[0].len(), |out| coordinate_median(g, out).unwrap())
}

fn plain(g: &[&[f32]]) -> Vec<f32> {
    into(g[0].len(), |out| mean(g, &Shares::uniform(g.len()).unwrap(), out).unwrap())
}

/// Every rule, told the scale of its input where it has an option in units of the update, and what its paper says. The
/// root of FLTrust is an honest update: the last.
const RULES: [(&str, Rule, Oracle); 9] = [
    ("median", |g, _| by_median(g), |g| Some(columns(g, |x| middle(x, (x.len() - 1) / 2)))),
    ("trimmed mean", |g, _| by_trimming(g, 0.2), |g| Some(columns(g, |x| middle(x, x.len() / 5)))),
    ("geometric median", |g, scale| by_geometric_median(g, 1e-6 * f64::from(scale)), weiszfeld),
    ("Krum", |g, _| by_krum(g, 1), |g| krum_oracle(g, 1)),
    ("Multi-Krum", |g, _| by_krum(g, 5), |g| krum_oracle(g, 5)),
    ("Bulyan", |g, _| into(g[0].len(), |out| bulyan(g, HOSTILE, out).unwrap()), bulyan_oracle),
    ("clipping", |g, scale| by_clipping(g, ClipBound::Fixed(2.0 * f64::from(scale))), |g| Some(clip_oracle(g, 2.0))),
    (
        "median clipping",
        |g, _| by_clipping(g, ClipBound::MedianNorm(1.0)),
        |g| {
            let mut norms: Vec<f64> = g.iter().map(|g| norm(g)).collect();
            norms.sort_by(f64::total_cmp);
            Some(clip_oracle(g, norms[(norms.len() - 1) / 2]))
        },
    ),
    ("FLTrust", |g, _| into(g[0].len(), |out| fltrust(g, g[g.len() - 1], out).unwrap()), |g| Some(fltrust_oracle(g))),
];

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn average(g: &[Vec<f64>]) -> Vec<f64> {
    columns(g, |x| middle(x, 0))
}

fn columns(g: &[Vec<f64>], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..g[0].len()).map(|x| of(&g.iter().map(|g| g[x]).collect::<Vec<_>>())).collect()
}

fn middle(values: &[f64], cut: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let kept = &sorted[cut..sorted.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64
}

/// Weiszfeld's steps on vectors.
fn weiszfeld(g: &[Vec<f64>]) -> Option<Vec<f64>> {
    let mut z = average(g);
    for _ in 0..1000 {
        let b: Vec<f64> = g.iter().map(|g| 1.0 / distance(&z, g).max(1e-6)).collect();
        let total: f64 = b.iter().sum();
        z = (0..z.len()).map(|x| b.iter().zip(g).map(|(b, g)| b * g[x]).sum::<f64>() / total).collect();
    }
    Some(z)
}

/// Scores over `neighbours`, ascending; `None` where the order at place `kept` hangs on rounding.
fn scored(g: &[Vec<f64>], among: &[usize], neighbours: usize, kept: usize) -> Option<Vec<usize>> {
    let score = |i: usize| {
        let others = among.iter().filter(|j| **j != i);
        let mut squares: Vec<f64> = others.map(|j| distance(&g[i], &g[*j]).powi(2)).collect();
        squares.sort_by(f64::total_cmp);
        squares[..neighbours].iter().sum::<f64>()
    };
    let mut scores: Vec<(f64, usize)> = among.iter().map(|i| (score(*i), *i)).collect();
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (last, next) = (scores[kept - 1].0, scores[kept].0);
    (next - last > 1e-9 * next).then(|| scores[..kept].iter().map(|s| s.1).collect())
}

fn krum_oracle(g: &[Vec<f64>], keep: usize) -> Option<Vec<f64>> {
    let all: Vec<usize> = (0..g.len()).collect();
    let kept = scored(g, &all, g.len() - HOSTILE - 2, keep)?;
    Some(average(&kept.iter().map(|i| g[*i].clone()).collect::<Vec<_>>()))
}

fn bulyan_oracle(g: &[Vec<f64>]) -> Option<Vec<f64>> {
    let mut left: Vec<usize> = (0..g.len()).collect();
    let mut chosen = Vec::new();
    while chosen.len() < g.len() - 2 * HOSTILE {
        // Saturating: the last steps have fewer neighbours than the formula.
        let best = scored(g, &left, left.len().saturating_sub(HOSTILE + 2).max(1), 1)?[0];
        left.retain(|i| *i != best);
        chosen.push(g[best].clone());
    }
    let nearest = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
        sorted.sort_by(|a, b| (a - median).abs().total_cmp(&(b - median).abs()));
        let near = sorted.len() - 2 * HOSTILE;
        sorted[..near].iter().sum::<f64>() / near as f64
    };
    Some(columns(&chosen, nearest))
}

fn clip_oracle(g: &[Vec<f64>], bound: f64) -> Vec<f64> {
    let clipped = |g: &Vec<f64>| {
        let scale = if norm(g) > bound { bound / norm(g) } else { 1.0 };
        g.iter().map(|x| x * scale).collect()
    };
    average(&g.iter().map(clipped).collect::<Vec<_>>())
}

fn fltrust_oracle(g: &[Vec<f64>]) -> Vec<f64> {
    let root = &g[g.len() - 1];
    let cosine = |g: &[f64]| g.iter().zip(root).map(|(a, b)| a * b).sum::<f64>() / (norm(g) * norm(root));
    let trust: Vec<f64> = g.iter().map(|g| cosine(g).max(0.0)).collect();
    let total: f64 = trust.iter().sum();
    let part = |x: usize| trust.iter().zip(g).map(|(t, g)| t * norm(root) / norm(g) * g[x]).sum::<f64>() / total;
    (0..root.len()).map(part).collect()
}

fn slices(g: &[Vec<f32>]) -> Vec<&[f32]> {
    g.iter().map(Vec::as_slice).collect()
}

fn wide(g: &[Vec<f32>]) -> Vec<Vec<f64>> {
    g.iter().map(|g| g.iter().map(|x| f64::from(*x)).collect()).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn updates() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (11usize..15, 1usize..80).prop_flat_map(|(m, d)| prop::collection::vec(prop::collection::vec(-2.0f32..2.0, d), m))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_rule_equals_its_paper_step_by_step(g in updates()) {
        for (name, rule, oracle) in RULES {
            let Some(expected) = oracle(&wide(&g)) else { continue };
            for (found, expected) in rule(&slices(&g), 1.0).iter().zip(expected) {
                prop_assert!((f64::from(*found) - expected).abs() <= 1e-5, "{name}: {found} {expected}");
            }
        }
    }

    #[test]
    fn coordinates_do_not_care_for_the_order_of_updates(
        (g, shuffled) in updates().prop_flat_map(|g| (Just(g.clone()), Just(g).prop_shuffle())),
    ) {
        for (_, rule, _) in &RULES[..2] {
            prop_assert_eq!(bits(&rule(&slices(&g), 1.0)), bits(&rule(&slices(&shuffled), 1.0)));
        }
    }

    #[test]
    fn arrival_order_does_not_show(
        (g, order) in updates().prop_flat_map(|g| {
            let order = Just((0..g.len()).collect::<Vec<usize>>()).prop_shuffle();
            (Just(g), order)
        }),
    ) {
        let (d, q) = (g[0].len(), Shares::uniform(g.len()).unwrap());
        let whole = Layout::new([d]).unwrap();
        let mut arriving = GramBlocks::new(whole.clone(), g.len());
        order.iter().for_each(|i| arriving.push(*i, g[*i].as_slice()).unwrap());
        let sorted = arriving.finish();
        let krum = into(d, |out| {
            let of = |_, gram: &_| krum_coefficients(gram, Krum { hostile: HOSTILE, keep: 5 });
            combine_from_grams(&sorted.grams, &sorted.updates, &whole, of, out).unwrap();
        });
        prop_assert_eq!(bits(&krum), bits(&by_krum(&slices(&g), 5)));
        let median = into(d, |out| {
            let of = |_, gram: &_| geometric_median_coefficients(gram, &q, GeometricMedian::default());
            combine_from_grams(&sorted.grams, &sorted.updates, &whole, of, out).unwrap();
        });
        prop_assert_eq!(bits(&median), bits(&by_geometric_median(&slices(&g), 1e-6)));
        let found = into(d, |out| bulyan_from_gram(&sorted.grams[0], &sorted.updates, HOSTILE, out).unwrap());
        prop_assert_eq!(bits(&found), bits(&into(d, |out| bulyan(&slices(&g), HOSTILE, out).unwrap())));
    }

    #[test]
    fn equal_updates_come_back(g in updates()) {
        let same = vec![g[0].clone(); g.len()];
        for (name, rule, _) in RULES {
            // Fixed clipping is to a norm of 2.
            let scale = if name == "clipping" { 100.0 } else { 1.0 };
            for (found, expected) in rule(&slices(&same), scale).iter().zip(&g[0]) {
                prop_assert!((found - expected).abs() <= 2.0 * f32::EPSILON * expected.abs(), "{name}");
            }
        }
    }

    #[test]
    fn scaling_the_updates_scales_the_result_to_the_last_bit(g in updates(), power in -30i32..30) {
        let scale = 2f32.powi(power);
        let scaled: Vec<Vec<f32>> = g.iter().map(|g| g.iter().map(|x| x * scale).collect()).collect();
        for (name, rule, _) in RULES {
            let expected: Vec<f32> = rule(&slices(&g), 1.0).iter().map(|x| x * scale).collect();
            prop_assert_eq!(bits(&rule(&slices(&scaled), scale)), bits(&expected), "{}", name);
        }
    }

    #[test]
    fn hostile_updates_of_any_size_move_the_result_by_a_bounded_amount(
        g in updates(), attack in prop::collection::vec(-1.0f32..1.0, 80), size in 3i32..30, together in any::<bool>(),
        first in 0usize..10, second in 0usize..9,
    ) {
        // Never the last, which is FLTrust's root.
        let hostile = [first, if second >= first { second + 1 } else { second }];
        let mut attacked = g.clone();
        for (turn, i) in hostile.into_iter().enumerate() {
            let sign = if together || turn == 0 { 1.0 } else { -1.0 };
            let bad = |a: &f32| sign * 10f32.powi(size) * (a + a.signum());
            attacked[i] = attack[..g[0].len()].iter().map(bad).collect();
        }
        let honest: Vec<Vec<f64>> =
            wide(&g).into_iter().enumerate().filter(|(i, _)| !hostile.contains(i)).map(|(_, g)| g).collect();
        let longest = honest.iter().map(|g| norm(g)).fold(0.0, f64::max);
        let centre = weiszfeld(&honest).unwrap();
        let radius = honest.iter().map(|g| distance(g, &centre)).fold(0.0, f64::max);
        for (name, rule, _) in RULES {
            let found = wide(&[rule(&slices(&attacked), 1.0)]).remove(0);
            let share = HOSTILE as f64 / g.len() as f64;
            let bounded = match name {
                // In the box of the honest updates.
                "median" | "trimmed mean" | "Krum" | "Multi-Krum" | "Bulyan" => found.iter().enumerate().all(|(x, f)| {
                    let values = honest.iter().map(|g| g[x]);
                    let low = values.clone().fold(f64::INFINITY, f64::min);
                    *f >= low - 1e-6 && *f <= values.fold(f64::NEG_INFINITY, f64::max) + 1e-6
                }),
                "geometric median" => {
                    distance(&found, &centre) <= 2.0 * (1.0 - share) / (1.0 - 2.0 * share) * radius * 1.001 + 1e-6
                }
                "clipping" => norm(&found) <= 2.001,
                "median clipping" => norm(&found) <= longest * 1.001,
                "FLTrust" => norm(&found) <= norm(&honest[honest.len() - 1]) * 1.001,
                other => panic!("no bound for {other}"),
            };
            prop_assert!(bounded, "{name}: {found:?}");
        }
        // The plain mean is not bounded, or the attack would prove nothing.
        if together {
            prop_assert!(norm(&wide(&[plain(&slices(&attacked))])[0]) > 10.0 * longest);
        }
    }

    #[test]
    fn settings_that_turn_one_rule_into_another(g in updates()) {
        let rows = slices(&g);
        let average = plain(&rows);
        prop_assert_eq!(bits(&by_krum(&rows, g.len())), bits(&average));
        for none in [ClipBound::Fixed(f64::INFINITY), ClipBound::MedianNorm(f64::INFINITY), ClipBound::Fixed(1e9)] {
            prop_assert_eq!(bits(&by_clipping(&rows, none)), bits(&average));
        }
        prop_assert_eq!(bits(&by_trimming(&rows, 0.499)), bits(&by_median(&rows)));
        let honest = into(average.len(), |out| bulyan(&rows, 0, out).unwrap());
        for found in [by_trimming(&rows, 0.0), honest] {
            for (found, expected) in found.iter().zip(&average) {
                prop_assert!((found - expected).abs() <= 1e-6);
            }
        }
    }
}

#[test]
fn a_far_larger_share_than_promised_breaks_the_median() {
    // What a bound is worth shows where it ends: seven of eleven hostile sites have the median.
    let mut g = vec![vec![1.0f32]; 11];
    g[..7].iter_mut().for_each(|g| g[0] = 1e6);
    assert_eq!(by_median(&slices(&g)), [1e6]);
    assert!(by_geometric_median(&slices(&g), 1e-6)[0] > 9e5);
    assert_eq!(by_median(&slices(&g[2..])), [1e6]);
    assert_eq!(by_median(&slices(&g[4..])), [1.0]);
}

#[test]
fn many_updates_over_borders_and_the_number_of_threads_leave_no_trace() {
    for m in [1usize, 2, 64, 65, 130] {
        let d = 8192 + 64 + 3;
        let g: Vec<Vec<f32>> =
            (0..m).map(|i| (0..d).map(|x| ((x * 31 + i * i * 977) % 1009) as f32 - 500.0).collect()).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| [by_median(&slices(&g)), by_trimming(&slices(&g), 0.3)])
        };
        let reference = on(1);
        assert_eq!(on(3), reference);
        for x in (0..d).step_by(61).chain([d - 1]) {
            let column: Vec<f64> = g.iter().map(|g| f64::from(g[x])).collect();
            assert_eq!(reference[0][x], middle(&column, (m - 1) / 2) as f32);
            assert_eq!(reference[1][x], middle(&column, m * 3 / 10) as f32);
        }
    }
}
