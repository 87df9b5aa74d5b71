//! Weighted group sparsity: by its optimality conditions and laws.

use synod_losses::regulariser::wgsef::{Config, Groups, conjugate, prox, prox_step, shares, wgsef};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn groups(costs: &[f64]) -> Groups {
    // Every group has entries: entry i is in group i modulo their number.
    Groups::new((0..10).map(|entry| entry % costs.len()).collect(), costs.to_vec()).expect("the inputs are valid")
}

fn with(k: f64, lambda: f64) -> Config {
    Config::default().with_k(Some(k)).with_lambda(lambda)
}

fn value(weights: &[f64], groups: &Groups, config: &Config) -> f64 {
    numbers(wgsef(leaf(weights, [weights.len()]), groups, config).expect("the inputs are valid"))[0]
}

fn half_square(x: &[f64]) -> f64 {
    0.5 * x.iter().map(|x| x * x).sum::<f64>()
}

#[test]
fn a_budget_for_all_is_half_the_square() {
    let (w, groups) = (noise(10, 1), groups(&[1.0, 2.0, 0.5]));
    for k in [3.5, 100.0] {
        assert_close("value", &[value(&w, &groups, &with(k, 1.0))], &[half_square(&w)], 1e-12);
        let kept = prox(leaf(&w, [10]), &groups, &with(k, 3.0)).unwrap();
        let expected: Vec<f64> = w.iter().map(|w| w / 4.0).collect();
        assert_close("prox", &numbers(kept.weights), &expected, 1e-12);
    }
    // Also where only the groups that are not 0 fit.
    let sparse: Vec<f64> = w.iter().enumerate().map(|(entry, w)| if entry % 3 == 1 { 0.0 } else { *w }).collect();
    assert_close("value", &[value(&sparse, &groups, &with(1.6, 1.0))], &[half_square(&sparse)], 1e-12);
    assert_eq!(groups.zero_groups(&leaf(&sparse, [10])).unwrap(), 1);
}

#[test]
fn one_group_of_several_is_the_square_of_the_sum_of_norms() {
    let (w, groups) = (noise(10, 2), groups(&[1.0; 4]));
    let norm = |group: usize| (group..10).step_by(4).map(|entry| w[entry] * w[entry]).sum::<f64>().sqrt();
    let sum: f64 = (0..4).map(norm).sum();
    assert_close("value", &[value(&w, &groups, &with(1.0, 1.0))], &[0.5 * sum * sum], 1e-12);
}

#[test]
fn gradients_equal_finite_differences_and_those_of_zero_groups_are_zero() {
    let (mut w, groups) = (noise(10, 3), groups(&[1.0, 2.0, 0.5, 1.5, 3.0]));
    let config = with(2.2, 1.0);
    assert_gradient("w", &w, [10], 1e-6, |w| wgsef(w, &groups, &config).unwrap());
    (w[4], w[9]) = (0.0, 0.0);
    let at = leaf(&w, [10]);
    let slopes = numbers(at.grad(&wgsef(at.clone(), &groups, &config).unwrap().backward()).unwrap());
    assert_eq!((slopes[4], slopes[9]), (0.0, 0.0));
    assert!(slopes.iter().all(|slope| slope.is_finite()));
}

/// GS(w) + GS*(y) >= <w, y>, with equality at the gradient, and at `y = (t - x) / lambda` of a prox `x`.
#[test]
fn fenchel_young_holds_with_equality_at_the_prox() {
    for seed in 0..60 {
        let costs = [1.0, 0.5 + f64::from(seed % 7), 2.0, 1.0 + f64::from(seed % 3)];
        let (groups, lambda) = (groups(&costs), 0.1 * 1.3f64.powi(seed % 30));
        let config = with(0.2 + f64::from(seed % 11) * 0.4, lambda);
        let (t, other) = (noise(10, seed as u64 + 5), noise(10, seed as u64 + 500));
        let x = numbers(prox(leaf(&t, [10]), &groups, &config).unwrap().weights);
        let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let gap = |x: &[f64], y: &[f64]| {
            value(x, &groups, &config) + conjugate(&leaf(y, [10]), &groups, &config).unwrap() - product(x, y)
        };
        let y: Vec<f64> = t.iter().zip(&x).map(|(t, x)| (t - x) / lambda).collect();
        assert!(gap(&x, &y).abs() < 1e-9, "seed {seed}: {}", gap(&x, &y));
        assert!(gap(&t, &other) > -1e-12 && gap(&other, &y) > -1e-12);
        let u = shares(&leaf(&other, [10]), &groups, &config).unwrap();
        let slopes: Vec<f64> = other.iter().enumerate().map(|(entry, w)| w / u[entry % 4]).collect();
        assert!(gap(&other, &slopes).abs() < 1e-9);

        let cost = |x: &[f64]| {
            let moved: Vec<f64> = x.iter().zip(&t).map(|(x, t)| x - t).collect();
            lambda * value(x, &groups, &config) + half_square(&moved)
        };
        for scale in [1e-3, 0.1] {
            let near: Vec<f64> = x.iter().zip(&other).map(|(x, step)| x + scale * step).collect();
            assert!(cost(&x) <= cost(&near) + 1e-12, "seed {seed}");
        }
    }
}

#[test]
fn a_larger_lambda_leaves_no_more_groups_than_the_budget() {
    let groups = groups(&[1.0; 5]);
    let t: Vec<f64> = (0..10).map(|entry| 1.0 + 0.2 * (entry % 5) as f64).collect();
    let alive = |lambda: f64| {
        let kept = prox(leaf(&t, [10]), &groups, &with(2.0, lambda)).unwrap();
        let zero = groups.zero_groups(&kept.weights).unwrap();
        assert_eq!(zero, kept.shares.iter().filter(|share| **share == 0.0).count());
        5 - zero
    };
    let counts: Vec<usize> = [0.1, 1.0, 10.0, 100.0, 1e4].map(alive).to_vec();
    assert!(counts.is_sorted_by(|left, right| left >= right) && counts[0] == 5 && counts[4] == 2, "{counts:?}");
}

#[test]
fn value_scales_and_falls_with_the_budget_and_a_step_is_a_prox() {
    let (w, grad, groups) = (noise(10, 8), noise(10, 9), groups(&[1.0, 2.0, 0.5]));
    let by_budget: Vec<f64> = [0.3, 1.0, 2.0, 3.5].map(|k| value(&w, &groups, &with(k, 1.0))).to_vec();
    assert!(by_budget.is_sorted_by(|left, right| left >= right) && by_budget[3] >= half_square(&w) - 1e-12);
    let tripled: Vec<f64> = w.iter().map(|w| w * 3.0).collect();
    assert_close("scale", &[value(&tripled, &groups, &with(1.0, 1.0))], &[9.0 * by_budget[1]], 1e-12);
    let default = value(&w, &groups, &Config::default());
    assert_close("default budget", &[default], &[value(&w, &groups, &with(0.3 * 3.5, 1.0))], 1e-12);

    let step = prox_step(leaf(&w, [10]), leaf(&grad, [10]), 0.1, &groups, &with(1.0, 30.0)).unwrap();
    let t: Vec<f64> = w.iter().zip(&grad).map(|(w, grad)| w - 0.1 * grad).collect();
    let by_hand = prox(leaf(&t, [10]), &groups, &with(1.0, 3.0)).unwrap();
    assert_close("step", &numbers(step.weights), &numbers(by_hand.weights), 1e-12);
}

#[test]
fn what_does_not_fit_is_refused() {
    for (group_of, costs) in
        [(vec![0, 2], vec![1.0, 1.0]), (vec![0, 0], vec![1.0, 1.0]), (vec![0], vec![0.0]), (vec![0], vec![f64::NAN])]
    {
        assert!(matches!(Groups::new(group_of, costs), Err(LossError::Value { .. })));
    }
    assert!(matches!(Groups::new(Vec::new(), Vec::new()), Err(LossError::EmptyBatch { .. })));
    let groups = groups(&[1.0]);
    let config = Config::default();
    assert!(matches!(wgsef(leaf(&[1.0], [1]), &groups, &config), Err(LossError::Shape { tensor: "w", .. })));
    let broken = leaf(&[f64::INFINITY; 10], [10]);
    assert!(matches!(prox(broken, &groups, &config), Err(LossError::NotFinite { .. })));
    let zeros = || leaf(&[0.0; 10], [10]);
    assert!(matches!(prox_step(zeros(), zeros(), 0.0, &groups, &config), Err(LossError::Value { input: "lr", .. })));
    assert!(matches!(
        prox_step(zeros(), leaf(&[0.0], [1]), 0.1, &groups, &config),
        Err(LossError::Shape { tensor: "grad", .. })
    ));
    assert!(with(0.0, 1.0).validate().is_err() && with(1.0, 0.0).validate().is_err() && config.validate().is_ok());
    assert_eq!(value(&[0.0; 10], &groups, &with(0.1, 1.0)), 0.0);
}
