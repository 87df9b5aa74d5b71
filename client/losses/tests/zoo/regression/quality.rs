//! Levels of quality and their order.

use burn::tensor::Tensor;
use proptest::prelude::*;
use synod_losses::LossError;
use synod_losses::regression::quality::fidelity::{self, Side};
use synod_losses::regression::quality::soft_levels::{self, Density};
use synod_losses::regression::quality::{Levels, binary_rank, quality_score, soft_level_kl};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn levels() -> Levels {
    Levels::new([4, 0, 2, 5, 1]).expect("five different columns")
}

/// `erf` by the trapezoidal rule.
fn erf(x: f64) -> f64 {
    const STEPS: usize = 20_000;
    let width = x / STEPS as f64;
    let inner: f64 = (1..STEPS).map(|step| (-(step as f64 * width).powi(2)).exp()).sum();
    2.0 / std::f64::consts::PI.sqrt() * width * (inner + 0.5 + 0.5 * (-x * x).exp())
}

fn probs(row: &[f64], closed: bool) -> Vec<f64> {
    let of_levels: Vec<f64> = [4, 0, 2, 5, 1].iter().map(|&column: &usize| row[column].exp()).collect();
    let sum: f64 = if closed { of_levels.iter().sum() } else { row.iter().map(|logit| logit.exp()).sum() };
    of_levels.iter().map(|p| p / sum).collect()
}

fn score(row: &[f64], closed: bool) -> (f64, f64) {
    let p = probs(row, closed);
    let worth = [5.0, 4.0, 3.0, 2.0, 1.0];
    let mean: f64 = p.iter().zip(worth).map(|(p, x)| p * x).sum();
    (mean, p.iter().zip(worth).map(|(p, x)| p * (x - mean).powi(2)).sum())
}

fn side(logits: Tensor<2>, seed: u64) -> Side {
    let std: Vec<f64> = noise(3, seed + 1).iter().map(|std| std.abs()).collect();
    Side { logits, score: leaf(&noise(3, seed), [3]), std: leaf(&std, [3]) }
}

#[test]
fn fidelity_equals_a_naive_loop() {
    let (a, b) = (noise(21, 1), noise(21, 2));
    for (closed, fix_std, detach_std) in
        [(true, true, true), (false, true, false), (true, false, false), (false, false, false), (false, false, true)]
    {
        let config = fidelity::Config::default().with_closed(closed).with_fix_std(fix_std).with_detach_std(detach_std);
        let of = |a: Tensor<2>, b: Tensor<2>| fidelity::fidelity(side(a, 3), side(b, 5), &levels(), &config).unwrap();
        let (sa, sb) = (side(leaf(&a, [3, 7]), 3), side(leaf(&b, [3, 7]), 5));
        let d: Vec<Vec<f64>> = [sa.score, sa.std, sb.score, sb.std].into_iter().map(numbers).collect();
        let rows: Vec<(f64, f64)> = (0..3)
            .map(|i| {
                let ((ma, va), (mb, vb)) = (score(&a[i * 7..][..7], closed), score(&b[i * 7..][..7], closed));
                let z = if fix_std { (ma - mb) / 2.0 } else { (ma - mb) / (2.0 * (va + vb + 1e-8)).sqrt() };
                let t = (d[0][i] - d[2][i]) / (2.0 * (d[1][i].powi(2) + d[3][i].powi(2) + 1e-8)).sqrt();
                (0.5 * (1.0 + erf(z)), 0.5 * (1.0 + erf(t)))
            })
            .collect();
        let expected: Vec<f64> =
            rows.iter().map(|(p, t)| 1.0 - (p * t + 1e-8).sqrt() - ((1.0 - p) * (1.0 - t) + 1e-8).sqrt()).collect();
        let values = of(leaf(&a, [3, 7]), leaf(&b, [3, 7]));
        assert_close(
            "prediction",
            &numbers(values.prediction),
            &rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            1e-6,
        );
        assert_close("target", &numbers(values.target), &rows.iter().map(|row| row.1).collect::<Vec<_>>(), 1e-6);
        assert_close("loss", &numbers(values.loss.clone()), &expected, 1e-6);
        let swapped = fidelity::fidelity(side(leaf(&b, [3, 7]), 5), side(leaf(&a, [3, 7]), 3), &levels(), &config);
        assert_close("swapped", &numbers(swapped.unwrap().loss), &numbers(values.loss), 1e-9);
        if fix_std || !detach_std {
            assert_gradient("a", &a, [3, 7], 1e-5, |a| of(a, leaf(&b, [3, 7])).loss.sum());
            assert_gradient("b", &b, [3, 7], 1e-5, |b| of(leaf(&a, [3, 7]), b).loss.sum());
        }
    }
}

#[test]
fn the_divergence_of_levels_equals_a_naive_loop() {
    let logits = noise(14, 6);
    let targets = [0.5, 0.25, 0.25, 0.0, 0.0, 0.1, 0.2, 0.3, 0.2, 0.2];
    let of = |logits| soft_level_kl(logits, leaf(&targets, [2, 5]), &levels()).unwrap();
    let expected: Vec<f64> = (0..2)
        .map(|i| {
            let pairs = probs(&logits[i * 7..][..7], false).into_iter().zip(&targets[i * 5..][..5]);
            pairs.filter(|(_, t)| **t > 0.0).map(|(p, t)| t * (t / p).ln()).sum()
        })
        .collect();
    assert_close("value", &numbers(of(leaf(&logits, [2, 7]))), &expected, 1e-9);
    assert_gradient("gradient", &logits, [2, 7], 1e-7, |logits| of(logits).sum());
    let five = Levels::new([0, 1, 2, 3, 4]).unwrap();
    let same: Vec<f64> = targets[5..].iter().map(|t: &f64| t.ln()).collect();
    let none = soft_level_kl(leaf(&same, [1, 5]), leaf(&targets[5..], [1, 5]), &five).unwrap();
    assert_close("same", &numbers(none), &[0.0], 1e-12);
    let far = soft_level_kl(leaf(&[1e3, -1e3, 0.0, 0.0, 0.0], [1, 5]), leaf(&[0.0, 1.0, 0.0, 0.0, 0.0], [1, 5]), &five);
    assert_close("far", &numbers(far.unwrap()), &[2e3], 1e-9);
}

#[test]
fn ranks_and_scores_are_made_of_their_parts() {
    let (a, b) = (noise(21, 7), noise(21, 8));
    let pairs = |a| binary_rank::Pairs {
        logits_a: a,
        logits_b: leaf(&b, [3, 7]),
        score_a: leaf(&[1.0, 2.0, 3.0], [3]),
        score_b: leaf(&[2.0, 1.0, 3.0], [3]),
    };
    for kind in [binary_rank::Kind::Fidelity, binary_rank::Kind::Bce] {
        let config = binary_rank::Config::default().with_kind(kind);
        let of = |a| binary_rank(pairs(a), &levels(), &config).unwrap();
        let expected: Vec<f64> = (0..3)
            .map(|i| {
                let z = (score(&a[i * 7..][..7], true).0 - score(&b[i * 7..][..7], true).0) / 2.0;
                let chance = 0.5 * (1.0 + erf(if i == 1 { z } else { -z }));
                if kind == binary_rank::Kind::Bce { -chance.ln() } else { 1.0 - chance.sqrt() }
            })
            .collect();
        assert_close("rank", &numbers(of(leaf(&a, [3, 7]))), &expected, 1e-6);
        assert_gradient("rank", &a, [3, 7], 1e-5, |a| of(a).sum());
    }
    let targets = [0.5, 0.25, 0.25, 0.0, 0.0].repeat(3);
    let target = || leaf(&targets, [3, 5]);
    let (left, right) = (|| side(leaf(&a, [3, 7]), 3), || side(leaf(&b, [3, 7]), 5));
    let values = quality_score((left(), target()), (right(), target()), &levels(), &Default::default()).unwrap();
    let rank = fidelity::fidelity(left(), right(), &levels(), &Default::default()).unwrap().loss;
    let label = soft_level_kl(leaf(&a, [3, 7]), target(), &levels()).unwrap()
        + soft_level_kl(leaf(&b, [3, 7]), target(), &levels()).unwrap();
    assert_close("total", &numbers(values.total), &numbers(rank + label * 0.05), 1e-12);
}

#[test]
fn certain_levels_stay_finite_and_broken_inputs_are_refused() {
    let config = fidelity::Config::default().with_fix_std(false).with_detach_std(false);
    let extreme = leaf(&[1e3, 0.0, 0.0, 0.0, -1e3, 0.0, 1e3, 0.0], [1, 8]).cast(burn::tensor::DType::F32).detach();
    let live = extreme.require_grad();
    let one = |value: f64| leaf(&[value], [1]).cast(burn::tensor::DType::F32).detach();
    let side = |logits| Side { logits, score: one(3.0), std: one(0.0) };
    let values = fidelity::fidelity(side(live.clone()), side(live.clone().detach()), &levels(), &config).unwrap();
    let gradient = numbers(live.grad(&values.loss.backward()).unwrap());
    assert!(gradient.iter().all(|slope| slope.is_finite()), "{gradient:?}");
    for columns in [[0, 1, 2, 3, 3], [-1, 0, 1, 2, 3]] {
        assert!(matches!(Levels::new(columns), Err(LossError::Value { .. })));
    }
    let narrow = soft_level_kl(leaf(&[0.0; 5], [1, 5]), leaf(&[0.2; 5], [1, 5]), &levels());
    assert!(matches!(narrow, Err(LossError::Shape { tensor: "logits", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn soft_levels_keep_the_score(mos in 0.0..100.0f64, std in 0.0..60.0f64, cdf: bool) {
        let density = if cdf { Density::Cdf } else { Density::Pdf };
        let config = soft_levels::Config::default().with_min(0.0).with_max(100.0).with_density(density);
        let label = soft_levels::soft_levels(&[mos], &[std], &config).unwrap()[0];
        let mean: f64 = label.probs.iter().zip([5.0, 4.0, 3.0, 2.0, 1.0]).map(|(p, x)| p * x).sum();
        prop_assert!(label.probs.iter().all(|&p| p >= 0.0 && p.is_finite()), "{label:?}");
        prop_assert!((mean - label.mos).abs() <= 0.1 + 1e-9, "{label:?}");
        if label.two_level {
            prop_assert!((label.probs.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(label.probs.iter().filter(|&&p| p > 1e-7).count() <= 2);
        }
        prop_assert_eq!(label.two_level || label.std >= 0.2, true);
    }
}

/// A narrow density between two levels: the line through the density keeps the score near with one level above 1, as in
/// the reference, which does not divide by the sum.
#[test]
fn a_narrow_density_keeps_a_level_above_one() {
    let config = soft_levels::Config::default().with_min(0.0).with_max(100.0);
    let label = soft_levels::soft_levels(&[24.18], &[7.19], &config).unwrap()[0];
    assert!(!label.two_level, "{label:?}");
    assert_close("levels", &label.probs, &[0.0, 0.0, 0.0, 1.019_409_163_402_623, 0.0], 1e-12);
}

#[test]
fn soft_levels_at_the_ends_and_in_the_middle() {
    let label = |mos, std| soft_levels::soft_levels(&[mos], &[std], &Default::default()).unwrap()[0];
    for (mos, place) in [(1.0, 4), (2.0, 3), (3.0, 2), (4.0, 1), (5.0, 0)] {
        let label = label(mos, 0.0);
        assert!(label.two_level && (label.probs[place] - 1.0).abs() < 1e-7, "{label:?}");
    }
    // At exactly 3 the reference gives all levels the same.
    assert_close("middle", &label(3.0, 0.5).probs, &[0.2; 5], 1e-6);
    let no_floor = soft_levels::Config::default().with_min_std(0.0);
    assert!(soft_levels::soft_levels(&[2.5], &[0.0], &no_floor).unwrap()[0].two_level);
    for (mos, std) in [(0.9, 0.5), (5.1, 0.5), (3.0, -0.1), (f64::NAN, 0.5), (3.0, f64::INFINITY)] {
        let refused = soft_levels::soft_levels(&[mos], &[std], &Default::default());
        assert!(matches!(refused, Err(LossError::Value { .. })), "{mos} {std}");
    }
    assert!(matches!(soft_levels::soft_levels(&[3.0], &[], &Default::default()), Err(LossError::Shape { .. })));
}

/// The chance of the unlikely order is far below 1, of which it is the rest.
#[test]
fn unlikely_orders_keep_their_digits_in_single_precision() {
    let config = fidelity::Config::default().with_fix_std(false).with_detach_std(false);
    let run = |dtype| {
        let tensor = |values: &[f64]| leaf(values, [1, 5]).cast(dtype).detach();
        let one = |value: f64| leaf(&[value], [1]).cast(dtype).detach();
        let live = tensor(&[9.0, 2.0, 1.0, 0.0, 0.0]).require_grad();
        let a = Side { logits: live.clone(), score: one(3.0), std: one(1.0) };
        let b = Side { logits: tensor(&[0.0, 1.0, 2.0, 9.0, 0.0]), score: one(3.5), std: one(1.0) };
        let values = fidelity::fidelity(a, b, &Levels::new([0, 1, 2, 3, 4]).unwrap(), &config).unwrap();
        let unlikely = 1.0 - numbers(values.prediction.clone())[0];
        assert!(unlikely < 1e-6, "{unlikely}");
        (numbers(values.loss.clone())[0], numbers(live.grad(&values.loss.backward()).unwrap()))
    };
    let (double, single) = (run(burn::tensor::DType::F64), run(burn::tensor::DType::F32));
    assert_close("loss", &[single.0], &[double.0], 1e-5);
    for (single, double) in single.1.iter().zip(&double.1) {
        assert!((single - double).abs() <= 1e-3 * double.abs() + 1e-9, "{single} instead of {double}");
    }
}
