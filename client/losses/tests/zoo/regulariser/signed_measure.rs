//! Signed measures of two fields on a graph.

use burn::tensor::Tensor;
use synod_losses::regulariser::signed_measure::{Config, Kind, Point, signed_measure, signed_measure_loss};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const KINDS: [Kind; 2] = [Kind::Hilbert0, Kind::Euler];

/// A 3x3 grid with the diagonal of its first square, so that there are cycles.
const EDGES: [[usize; 2]; 13] =
    [[0, 1], [1, 2], [3, 4], [4, 5], [6, 7], [7, 8], [0, 3], [3, 6], [1, 4], [4, 7], [2, 5], [5, 8], [0, 4]];

fn points(values: &[f64], edges: &[[usize; 2]], kind: Kind) -> Vec<Point> {
    let config = Config::default().with_kind(kind);
    signed_measure(&leaf(values, [values.len() / 2, 2]), edges, &config).expect("the inputs are valid")
}

/// Components and Euler number of what is present at a place, by walking the graph.
fn present(values: &[f64], edges: &[[usize; 2]], x: f64, y: f64) -> (i64, i64) {
    let here: Vec<bool> = values.chunks(2).map(|pair| pair[0] <= x && pair[1] <= y).collect();
    let inside: Vec<&[usize; 2]> = edges.iter().filter(|[from, to]| here[*from] && here[*to]).collect();
    let mut part: Vec<usize> = (0..here.len()).collect();
    for _ in 0..here.len() {
        for [from, to] in &inside {
            let lower = part[*from].min(part[*to]);
            (part[*from], part[*to]) = (lower, lower);
        }
    }
    let vertices = here.iter().filter(|here| **here).count() as i64;
    let components = (0..here.len()).filter(|&vertex| here[vertex] && part[vertex] == vertex).count() as i64;
    (components, vertices - inside.len() as i64)
}

#[test]
fn the_measure_below_a_place_is_what_is_present_there() {
    for seed in 0..6 {
        // Rounded values, so that some are equal.
        let values: Vec<f64> = noise(18, seed).iter().map(|v| (v * 2.0).round() / 2.0).collect();
        for kind in KINDS {
            let points = points(&values, &EDGES, kind);
            assert!(points.iter().all(|point| point.multiplicity != 0));
            let at = |point: &Point| (values[2 * point.x], values[2 * point.y + 1]);
            assert!(points.windows(2).all(|pair| at(&pair[0]) <= at(&pair[1])), "sorted");
            for (&x, &y) in values.iter().step_by(2).flat_map(|x| values[1..].iter().step_by(2).map(move |y| (x, y))) {
                let below = points.iter().filter(|point| at(point).0 <= x && at(point).1 <= y);
                let (components, euler) = present(&values, &EDGES, x, y);
                let expected = if kind == Kind::Euler { euler } else { components };
                assert_eq!(below.map(|point| point.multiplicity).sum::<i64>(), expected, "{kind:?} at {x}, {y}");
            }
        }
    }
}

#[test]
fn totals_trees_and_diagonals() {
    let values = noise(18, 9);
    let total = |kind| points(&values, &EDGES, kind).iter().map(|point| point.multiplicity).sum::<i64>();
    assert_eq!((total(Kind::Hilbert0), total(Kind::Euler)), (1, 9 - 13));
    let path: Vec<[usize; 2]> = (0..8).map(|vertex| [vertex, vertex + 1]).collect();
    assert_eq!(points(&values, &path, Kind::Hilbert0), points(&values, &path, Kind::Euler));
    let equal: Vec<f64> = values.chunks(2).flat_map(|pair| [pair[0], pair[0]]).collect();
    assert!(points(&equal, &EDGES, Kind::Hilbert0).iter().all(|point| point.x == point.y));
    assert_eq!(points(&values, &[], Kind::Hilbert0).iter().map(|point| point.multiplicity).sum::<i64>(), 9);
}

#[test]
fn gradients_equal_finite_differences_and_translation_changes_nothing() {
    let (values, centres, target) = (noise(18, 10), noise(8, 11), noise(4, 12));
    for kind in KINDS {
        let config = Config::default().with_kind(kind).with_sigma(0.8);
        let loss = |values: Tensor<2>, centres: &[f64]| {
            let centres = leaf(centres, [4, 2]);
            signed_measure_loss(&values, &EDGES, &centres, leaf(&target, [4]), &config).unwrap().loss
        };
        assert_gradient(&format!("{kind:?}"), &values, [9, 2], 1e-5, |values| loss(values, &centres));
        let moved = |values: &[f64]| values.iter().map(|value| value + 2.5).collect::<Vec<_>>();
        let there = loss(leaf(&moved(&values), [9, 2]), &moved(&centres));
        assert_close("translation", &numbers(there), &numbers(loss(leaf(&values, [9, 2]), &centres)), 1e-9);
        let relabelled: Vec<f64> = values.chunks(2).rev().flatten().copied().collect();
        let edges = EDGES.map(|edge| edge.map(|vertex| 8 - vertex));
        let again = signed_measure_loss(
            &leaf(&relabelled, [9, 2]),
            &edges,
            &leaf(&centres, [4, 2]),
            leaf(&target, [4]),
            &config,
        );
        assert_close("names", &numbers(again.unwrap().loss), &numbers(loss(leaf(&values, [9, 2]), &centres)), 1e-9);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = Config::default();
    let values = || leaf(&[0.0, 1.0, 1.0, 0.0], [2, 2]);
    for edge in [[0, 2], [1, 1], [usize::MAX, 0]] {
        assert!(matches!(signed_measure(&values(), &[edge], &config), Err(LossError::Value { .. })));
    }
    assert!(matches!(signed_measure(&leaf(&[0.0; 3], [1, 3]), &[], &config), Err(LossError::Shape { .. })));
    let empty = values().slice([0..0, 0..2]);
    assert!(matches!(signed_measure(&empty, &[], &config), Err(LossError::EmptyBatch { .. })));
    let broken = leaf(&[f64::NAN, 0.0], [1, 2]);
    assert!(matches!(signed_measure(&broken, &[], &config), Err(LossError::NotFinite { .. })));
    let many = leaf(&vec![0.0; (1 << 16) + 2], [(1 << 15) + 1, 2]);
    assert!(matches!(signed_measure(&many, &[], &config), Err(LossError::Value { .. })));
    assert!(signed_measure(&many, &[], &config.clone().with_kind(Kind::Euler)).is_ok());
    let short = signed_measure_loss(&values(), &[], &leaf(&[0.0; 2], [1, 2]), leaf(&[0.0; 2], [2]), &config);
    assert!(matches!(short, Err(LossError::Shape { tensor: "target", .. })));
    assert!(config.with_sigma(0.0).validate().is_err());
}
