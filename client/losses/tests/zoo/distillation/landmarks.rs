//! Distillation of coordinates.

use synod_losses::distillation::{landmark, landmark_assist, soft_landmarks};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

/// The official code's regions, with the teacher reflected to the student's side.
fn naive_assist(x: f64, y: f64, t: f64, config: &landmark_assist::Config) -> f64 {
    let sign = |value: f64| if value == 0.0 { 0.0 } else { value.signum() };
    let side = sign(x - y);
    let reflected = y + side * (t - y).abs();
    let boundary = y + side * config.boundary_fraction * (reflected - y).abs();
    let mut slope = 0.0;
    if sign(x - reflected) * sign(reflected - y) > 0.0 {
        slope += config.alpha;
    }
    if sign(reflected - x) * sign(x - boundary) >= 0.0 {
        slope += config.alpha_mi;
    }
    slope * (reflected - x).abs()
}

#[test]
fn assistance_equals_the_official_regions() {
    let (pred, target, teacher) = (noise(40, 1), noise(40, 2), noise(40, 3));
    let config = landmark_assist::Config::default();
    let of = |x: &[f64], y: &[f64], t: &[f64]| {
        numbers(landmark_assist(leaf(x, [4, 10]), leaf(y, [4, 10]), leaf(t, [4, 10]), &config).unwrap())
    };
    let expected: Vec<f64> = (0..4)
        .map(|row| (0..10).map(|i| row * 10 + i).map(|i| naive_assist(pred[i], target[i], teacher[i], &config)).sum())
        .map(|sum: f64| sum / 10.0)
        .collect();
    assert_close("assist", &of(&pred, &target, &teacher), &expected, 1e-12);
    let mirrored = |values: &[f64]| values.iter().zip(&target).map(|(x, y)| 2.0 * y - x).collect::<Vec<_>>();
    assert_close("student mirrored", &of(&mirrored(&pred), &target, &teacher), &expected, 1e-12);
    assert_close("teacher mirrored", &of(&pred, &target, &mirrored(&teacher)), &expected, 1e-12);
    assert_eq!(of(&target, &target, &teacher), [0.0; 4]);
    assert_eq!(of(&pred, &target, &target), [0.0; 4]);
}

#[test]
fn the_slope_of_assistance_has_three_regions() {
    for (x, slope) in [(0.14, 0.0), (0.16, 0.45), (0.99, 0.45), (1.01, 1.9), (2.0, 1.9)] {
        let live = leaf(&[x], [1, 1]);
        let config = landmark_assist::Config::default();
        let value = landmark_assist(live.clone(), leaf(&[0.0], [1, 1]), leaf(&[1.0], [1, 1]), &config).unwrap();
        assert_close("slope", &numbers(live.grad(&value.backward()).unwrap()), &[slope], 1e-12);
    }
}

#[test]
fn landmarks_weigh_a_main_term_and_two_teachers() {
    let (pred, target) = (noise(6, 4), noise(6, 5));
    let inputs = |pred, shift: f64| {
        let moved = |values: Vec<f64>| leaf(&values.iter().map(|x| x + shift).collect::<Vec<_>>(), [2, 3]);
        landmark::Inputs {
            pred,
            target: moved(target.clone()),
            tough: moved(noise(6, 6)),
            tolerant: moved(noise(6, 7)),
        }
    };
    let config = landmark::Config::default().with_tough_weight(0.5);
    let values = landmark(inputs(leaf(&pred, [2, 3]), 0.0), &config).unwrap();
    let main: Vec<f64> = (0..2)
        .map(|row| {
            let terms = (row * 3..row * 3 + 3).map(|i| {
                let (e, tau) = ((pred[i] - target[i]).abs(), (noise(6, 7)[i] - target[i]).abs());
                if e <= tau { 3.0 * e } else { e * e + 3.0 * tau - tau * tau }
            });
            2.0 * terms.sum::<f64>() / 3.0
        })
        .collect();
    assert_close("main", &numbers(values.main.clone()), &main, 1e-12);
    let tough = landmark_assist::Config::default();
    let alone =
        landmark_assist(leaf(&pred, [2, 3]), leaf(&target, [2, 3]), leaf(&noise(6, 6), [2, 3]), &tough).unwrap();
    assert_close("tough", &numbers(values.tough.clone()), &numbers(alone * 0.5), 1e-12);
    let moved: Vec<f64> = pred.iter().map(|x| x + 2.0).collect();
    let there = landmark(inputs(leaf(&moved, [2, 3]), 2.0), &config).unwrap().total();
    assert_close("translation", &numbers(there), &numbers(values.total()), 1e-12);
    assert_gradient("gradient", &pred, [2, 3], 1e-7, |pred| {
        landmark(inputs(pred, 0.0), &config).unwrap().total().sum()
    });
    let perfect = landmark(inputs(leaf(&target, [2, 3]), 0.0), &config).unwrap().total();
    assert_eq!(numbers(perfect), [0.0; 2]);
    assert!(matches!(landmark(inputs(leaf(&pred, [3, 2]), 0.0), &config), Err(LossError::Shape { .. })));
    assert!(config.with_boundary_fraction(1.0).validate().is_err());
}

#[test]
fn soft_landmarks_are_plausible_shapes() {
    let shapes = || soft_landmarks::Shapes {
        mean: leaf(&[1.0, 2.0, 3.0], [3]),
        components: leaf(&[0.6, 0.8, 0.0], [1, 3]),
        variances: leaf(&[0.25], [1]),
    };
    let config = soft_landmarks::Config::default().with_clip(2.0);
    let soft = soft_landmarks(leaf(&[1.5, 2.0, 9.0, 11.0, 12.0, 3.0], [2, 3]), shapes(), &config).unwrap();
    // Coordinates 0.3 and 14 along the component, the second kept within 2 standard deviations.
    assert_close("soft", &numbers(soft), &[1.18, 2.24, 3.0, 1.6, 2.8, 3.0], 1e-12);
    assert!(matches!(soft_landmarks(leaf(&[1.0], [1, 1]), shapes(), &config), Err(LossError::Shape { .. })));
}
