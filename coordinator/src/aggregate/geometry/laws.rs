//! What the geometric rules promise, on random updates, and slow implementations on vectors.

use proptest::prelude::*;

use super::super::combine::{combine, combine_from_grams};
use super::super::error::AggregateError;
use super::super::gram::{Gram, GramBlocks, gram};
use super::super::layout::Layout;
use super::super::shares::{Shares, Weighting};
use super::super::weighted::mean;
use super::*;

type Rule = fn(&Gram, &Shares) -> Result<Vec<f64>, AggregateError>;

/// Every rule, and what equal updates are multiplied by.
const RULES: [(&str, Rule, f64); 4] = [
    ("pcgrad", pcgrad_coefficients, 1.0),
    ("cagrad", |g, q| cagrad_coefficients(g, q, Cagrad::default()), 1.5),
    ("fedmgda", |g, q| fedmgda_coefficients(g, q, fedmgda(0.15)), 1.0),
    ("mgda", |g, q| fedmgda_coefficients(g, q, fedmgda(1.0)), 1.0),
];

fn fedmgda(epsilon: f64) -> FedMgda {
    FedMgda::new(epsilon, DirectionLength::MeanOfNorms).unwrap()
}

fn slices(g: &[Vec<f32>]) -> Vec<&[f32]> {
    g.iter().map(Vec::as_slice).collect()
}

fn by(rule: Rule, g: &[Vec<f32>], q: &Shares) -> Vec<f32> {
    let mut out = vec![9.0; g[0].len()];
    combine(&slices(g), &Layout::new([g[0].len()]).unwrap(), |_, gram| rule(gram, q), &mut out).unwrap();
    out
}

fn shares(m: usize, seed: u32) -> Shares {
    let samples = (0..m as u32).map(|i| (1 + (seed.wrapping_mul(2 * i + 1) >> 20)).try_into().unwrap());
    Shares::by(Weighting::Samples, &samples.collect::<Vec<_>>()).unwrap()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn wide(g: &[Vec<f32>]) -> Vec<Vec<f64>> {
    g.iter().map(|g| g.iter().map(|x| f64::from(*x)).collect()).collect()
}

fn sum(g: &[Vec<f64>], c: &[f64]) -> Vec<f64> {
    (0..g[0].len()).map(|x| g.iter().zip(c).map(|(g, c)| c * g[x]).sum()).collect()
}

/// Projections on vectors; `None` where a sign or an order hangs on rounding.
fn pcgrad_oracle(g: &[Vec<f64>], q: &[f64]) -> Option<Vec<f64>> {
    let cosine = |i: usize, j: usize| dot(&g[i], &g[j]) / dot(&g[j], &g[j]).sqrt();
    let mut projected = Vec::new();
    for i in 0..g.len() {
        let mut others: Vec<usize> = (0..g.len()).filter(|j| *j != i).collect();
        others.sort_by(|a, b| cosine(i, *a).total_cmp(&cosine(i, *b)));
        if others.windows(2).any(|o| cosine(i, o[1]) - cosine(i, o[0]) < 1e-9) {
            return None;
        }
        let mut p = g[i].clone();
        for j in others {
            let along = dot(&p, &g[j]) / dot(&g[j], &g[j]);
            if along < 0.0 {
                p.iter_mut().zip(&g[j]).for_each(|(p, g)| *p -= along * g);
            }
        }
        projected.push(p);
    }
    Some(sum(&projected, q))
}

/// The projection of `w` onto the weights within the bounds that sum to one, by bisection.
fn project(w: &[f64], bounds: &[(f64, f64)]) -> Vec<f64> {
    let (mut low, mut high) = (-1e3, 1e3);
    let at = |shift: f64| -> Vec<f64> { w.iter().zip(bounds).map(|(w, b)| (w + shift).clamp(b.0, b.1)).collect() };
    for _ in 0..80 {
        let shift = (low + high) / 2.0;
        if at(shift).iter().sum::<f64>() < 1.0 { low = shift } else { high = shift }
    }
    at((low + high) / 2.0)
}

/// The direction of least length by projected gradient steps on vectors.
fn fedmgda_oracle(g: &[Vec<f64>], q: &[f64], epsilon: f64) -> Vec<f64> {
    let norms: Vec<f64> = g.iter().map(|g| dot(g, g).sqrt()).collect();
    let n: Vec<Vec<f64>> = g.iter().zip(&norms).map(|(g, n)| g.iter().map(|x| x / n).collect()).collect();
    let bounds: Vec<(f64, f64)> = q.iter().map(|q| ((q - epsilon).max(0.0), (q + epsilon).min(1.0))).collect();
    let mut w = q.to_vec();
    for _ in 0..3000 {
        let d = sum(&n, &w);
        let stepped: Vec<f64> = w.iter().zip(&n).map(|(w, n)| w - dot(n, &d) / g.len() as f64).collect();
        w = project(&stepped, &bounds);
    }
    sum(&n, &w).iter().map(|x| x * dot(q, &norms)).collect()
}

fn updates() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..9, 2usize..24).prop_flat_map(|(m, d)| prop::collection::vec(prop::collection::vec(-2.0f32..2.0, d), m))
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pcgrad_equals_projections_of_vectors(g in updates(), seed in any::<u32>()) {
        let q = shares(g.len(), seed);
        let expected = pcgrad_oracle(&wide(&g), q.as_slice());
        prop_assume!(expected.is_some());
        for (found, expected) in by(pcgrad_coefficients, &g, &q).iter().zip(expected.unwrap()) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{} {}", found, expected);
        }
    }

    #[test]
    fn pcgrad_of_two_goes_against_neither(g in updates()) {
        prop_assume!(g.len() >= 2);
        let q = Shares::uniform(2).unwrap();
        let (found, g) = (wide(&[by(pcgrad_coefficients, &g[..2], &q)]), wide(&g));
        prop_assert!(g[..2].iter().all(|g| dot(g, &found[0]) > -1e-5));
    }

    #[test]
    fn fedmgda_equals_projected_gradient_steps(g in updates(), seed in any::<u32>()) {
        let q = shares(g.len(), seed);
        for (epsilon, (_, rule, _)) in [0.15, 1.0].into_iter().zip(&RULES[2..]) {
            let expected = fedmgda_oracle(&wide(&g), q.as_slice(), epsilon);
            let found = wide(&[by(*rule, &g, &q)]).remove(0);
            // Steps of a fixed size creep where directions are nearly dependent: less precise, never shorter.
            prop_assert!(dot(&found, &found) <= dot(&expected, &expected) + 1e-4);
            prop_assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-2), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn mgda_goes_against_no_update(g in updates(), seed in any::<u32>()) {
        let found = wide(&[by(RULES[3].1, &g, &shares(g.len(), seed))]).remove(0);
        for g in wide(&g) {
            prop_assert!(dot(&g, &found) > -1e-4 * dot(&g, &g).sqrt());
        }
    }

    #[test]
    fn no_direction_near_the_mean_is_better_for_the_worst_than_cagrads(
        g in updates(), seed in any::<u32>(), c in 0.05f64..0.95,
    ) {
        let q = shares(g.len(), seed);
        let coefficients = cagrad_coefficients(
            &gram(&slices(&g), 0..g[0].len()).unwrap(), &q, Cagrad::new(c).unwrap(),
        ).unwrap();
        let g = wide(&g);
        let (mean, found) = (sum(&g, q.as_slice()), sum(&g, &coefficients));
        let radius = c * dot(&mean, &mean).sqrt();
        let off: Vec<f64> = found.iter().zip(&mean).map(|(a, b)| a - b).collect();
        prop_assert!(dot(&off, &off).sqrt() <= radius * (1.0 + 1e-9));
        let worst = |d: &[f64]| g.iter().map(|g| dot(g, d)).fold(f64::INFINITY, f64::min);
        // No direction in the ball can be better for the worst than F(w) of any weights: where both meet, both are best.
        let added: Vec<f64> = coefficients.iter().zip(q.as_slice()).map(|(c, q)| c - q).collect();
        let total: f64 = added.iter().sum();
        prop_assert!(added.iter().all(|a| *a >= -1e-12) && total > 0.0);
        let g_w = sum(&g, &added.iter().map(|a| a / total).collect::<Vec<_>>());
        let bound = dot(&g_w, &mean) + radius * dot(&g_w, &g_w).sqrt();
        prop_assert!((worst(&found) - bound).abs() < 1e-6 * (1.0 + bound.abs()), "{} {bound}", worst(&found));
    }

    #[test]
    fn settings_that_turn_one_rule_into_another(g in updates(), seed in any::<u32>()) {
        let q = shares(g.len(), seed);
        let mut plain = vec![0.0; g[0].len()];
        mean(&slices(&g), &q, &mut plain).unwrap();
        let none: Rule = |g, q| cagrad_coefficients(g, q, Cagrad::new(0.0).unwrap());
        prop_assert_eq!(bits(&by(none, &g, &q)), bits(&plain));
        // Without a conflict PCGrad is the mean.
        let positive: Vec<Vec<f32>> = g.iter().map(|g| g.iter().map(|x| x.abs()).collect()).collect();
        mean(&slices(&positive), &q, &mut plain).unwrap();
        prop_assert_eq!(bits(&by(pcgrad_coefficients, &positive, &q)), bits(&plain));
        // With no room FedMGDA+ is the mean of the directions, whatever their lengths.
        let at_base: Rule = |g, q| fedmgda_coefficients(g, q, FedMgda::new(0.0, DirectionLength::Direction).unwrap());
        let wide = wide(&g);
        let unit: Vec<Vec<f64>> = wide.iter().map(|g| g.iter().map(|x| x / dot(g, g).sqrt()).collect()).collect();
        for (found, expected) in by(at_base, &g, &q).iter().zip(sum(&unit, q.as_slice())) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn equal_updates_and_a_single_one_come_back(g in updates(), m in 1usize..9, seed in any::<u32>()) {
        let same = vec![g[0].clone(); m];
        for (name, rule, factor) in RULES {
            for (found, expected) in by(rule, &same, &shares(m, seed)).iter().zip(&g[0]) {
                let expected = f64::from(*expected) * factor;
                prop_assert!((f64::from(*found) - expected).abs() <= 1e-6 * expected.abs(), "{name}: {found} {expected}");
            }
        }
    }

    #[test]
    fn scaling_the_updates_scales_the_result(g in updates(), seed in any::<u32>(), power in -30i32..30) {
        let q = shares(g.len(), seed);
        let scale = 2f32.powi(power);
        let scaled: Vec<Vec<f32>> = g.iter().map(|g| g.iter().map(|x| x * scale).collect()).collect();
        for (name, rule, _) in RULES {
            let expected: Vec<f32> = by(rule, &g, &q).iter().map(|x| x * scale).collect();
            prop_assert_eq!(bits(&by(rule, &scaled, &q)), bits(&expected), "{}", name);
        }
    }

    #[test]
    fn arrival_order_does_not_show(
        (g, order) in updates().prop_flat_map(|g| {
            let order = Just((0..g.len()).collect::<Vec<usize>>()).prop_shuffle();
            (Just(g), order)
        }),
        seed in any::<u32>(),
    ) {
        let (q, layout) = (shares(g.len(), seed), Layout::new([1, g[0].len() - 1]).unwrap());
        let mut arriving = GramBlocks::new(layout.clone(), g.len());
        order.iter().for_each(|i| arriving.push(*i, g[*i].as_slice()).unwrap());
        let sorted = arriving.finish();
        for (name, rule, _) in RULES {
            let (mut found, mut expected) = (vec![0.0; g[0].len()], vec![0.0; g[0].len()]);
            combine_from_grams(&sorted.grams, &sorted.updates, &layout, |_, gram| rule(gram, &q), &mut found).unwrap();
            combine(&slices(&g), &layout, |_, gram| rule(gram, &q), &mut expected).unwrap();
            prop_assert_eq!(bits(&found), bits(&expected), "{}", name);
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let gram = gram(&[&[1.0], &[2.0]], 0..1).unwrap();
    for (_, rule, _) in RULES {
        let refused = rule(&gram, &Shares::uniform(3).unwrap());
        assert!(matches!(refused, Err(AggregateError::Count { what: "shares", found: 3, expected: 2 })));
    }
    let (layout, mut out) = (Layout::new([1]).unwrap(), [0.0]);
    let of = |_, _: &Gram| Ok(vec![1.0]);
    assert!(combine_from_grams(&[], &[&[1.0]], &layout, of, &mut out).is_err());
    assert!(combine_from_grams(&[gram], &[&[1.0]], &layout, of, &mut out).is_err());
    assert_eq!(combine(&[], &layout, of, &mut out), Err(AggregateError::Empty));
}
