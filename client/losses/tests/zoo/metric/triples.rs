//! Losses on triples and prototypes.

use burn::tensor::Tensor;
use synod_losses::LossError;
use synod_losses::metric::{
    adaptive_triplet::{self, Triples, adaptive_triplet},
    proto_triplet::{self, proto_triplet},
    prototypes,
    triplet::{self, triplet},
    triplet_with_spread::{self, triplet_with_spread},
};

use super::{distance, labels, moved, unit};
use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const SHAPE: [usize; 2] = [5, 3];

/// With one of the three as given and the others fixed.
fn triples(which: usize, at: Tensor<2>) -> Triples {
    let mut rows = [1, 2, 3].map(|seed| leaf(&noise(15, seed * 4), SHAPE));
    rows[which] = at;
    let [anchor, positive, negative] = rows;
    Triples { anchor, positive, negative }
}

fn rows(seed: u64) -> Vec<Vec<f64>> {
    noise(15, seed * 4).chunks(3).map(<[f64]>::to_vec).collect()
}

#[test]
fn triplet_equals_a_loop_and_its_gradients_differences() {
    let config = triplet::Config::default().with_margin(0.7);
    let expected: Vec<f64> = (0..5)
        .map(|row| {
            let [a, p, n] = [1, 2, 3].map(|seed| unit(&rows(seed)[row]));
            (distance(&a, &p).powi(2) - distance(&a, &n).powi(2) + 0.7).max(0.0)
        })
        .collect();
    assert!(expected.contains(&0.0) && expected.iter().any(|value| *value > 0.0), "both sides of the margin");
    let values = triplet(triples(0, leaf(&noise(15, 4), SHAPE)), &config).unwrap();
    assert_close("values", &numbers(values), &expected, 1e-10);
    for which in 0..3 {
        assert_gradient("gradient", &noise(15, (which as u64 + 1) * 4), SHAPE, 1e-6, |at| {
            triplet(triples(which, at), &config).unwrap().mean()
        });
    }
}

#[test]
fn adaptive_triplet_equals_a_loop_and_its_gradients_differences() {
    let config = adaptive_triplet::Config::default();
    let expected: Vec<f64> = (0..5)
        .map(|row| {
            let [a, p, n] = [1, 2, 3].map(|seed| rows(seed)[row].clone());
            let (near, far, between) = (distance(&a, &p), distance(&a, &n), distance(&p, &n));
            let margin = |exponent: f64| 1.0 + 2.0 / (exponent.exp() + 1e-6);
            near - f64::midpoint(far, between) + margin(4.0 * near) + margin(4.0 - 4.0 * far)
        })
        .collect();
    let found = adaptive_triplet(&triples(0, leaf(&noise(15, 4), SHAPE)), &config).unwrap();
    assert_close("values", &numbers(found.values), &expected, 1e-9);
    for which in 0..3 {
        let at = noise(15, (which as u64 + 1) * 4);
        assert_gradient("values", &at, SHAPE, 1e-4, |at| {
            adaptive_triplet(&triples(which, at), &config).unwrap().values.mean()
        });
        let config = triplet_with_spread::Config::default().with_w_cov(0.3).with_w_triplet(0.0).with_w_var(0.8);
        assert_gradient("spread", &at, SHAPE, 1e-6, |at| {
            triplet_with_spread(&triples(which, at), &config).unwrap().loss
        });
    }
}

#[test]
fn with_margins_detached_a_small_step_brings_positives_nearer() {
    let config = adaptive_triplet::Config::default().with_detach_margin(true);
    let unit_rows = |seed: u64| rows(seed).iter().flat_map(|row| unit(row)).collect::<Vec<_>>();
    let leaves = [1, 2, 3].map(|seed| leaf(&unit_rows(seed), SHAPE));
    let [anchor, positive, negative] = leaves.clone();
    let gradients =
        adaptive_triplet(&Triples { anchor, positive, negative }, &config).unwrap().values.mean().backward();
    let stepped = leaves.map(|rows| {
        let step = rows.grad(&gradients).unwrap();
        numbers(rows).into_iter().zip(numbers(step)).map(|(value, slope)| value - 1e-3 * slope).collect::<Vec<_>>()
    });
    for row in 0..5 {
        let near = |values: [&[f64]; 2]| distance(&values[0][row * 3..row * 3 + 3], &values[1][row * 3..row * 3 + 3]);
        let before = near([&unit_rows(1), &unit_rows(2)]);
        assert!(near([&stepped[0], &stepped[1]]) < before, "row {row}");
    }
}

#[test]
fn moving_and_scaling_act_on_the_spread_as_claimed() {
    let spread = |values: &[f64]| {
        let rows = || leaf(values, SHAPE);
        triplet_with_spread(&Triples { anchor: rows(), positive: rows(), negative: rows() }, &Default::default())
            .unwrap()
    };
    let values = noise(15, 2);
    let scaled = |by: f64| values.iter().map(|value| value * by).collect::<Vec<_>>();
    let moved_away: Vec<f64> = values.iter().map(|value| value + 5.0).collect();
    let covariance = numbers(spread(&values).covariance)[0];
    assert!(covariance > 0.0);
    assert_close("scaled", &numbers(spread(&scaled(2.0)).covariance), &[16.0 * covariance], 1e-10);
    assert_close("moved", &numbers(spread(&moved_away).covariance), &[covariance], 1e-10);
    assert_eq!(numbers(spread(&scaled(50.0)).variance), [0.0]);
}

#[test]
fn coinciding_and_far_rows_have_finite_gradients() {
    let losses: [fn(Triples) -> Tensor<1>; 3] = [
        |triples| adaptive_triplet(&triples, &Default::default()).unwrap().values.mean(),
        |triples| triplet_with_spread(&triples, &Default::default()).unwrap().loss,
        |triples| triplet(triples, &Default::default()).unwrap().mean(),
    ];
    for (level, loss) in [0.0, 1.0, 1e3].into_iter().flat_map(|level| losses.map(|loss| (level, loss))) {
        let at = leaf(&noise(15, 1).iter().map(|value| value * level).collect::<Vec<_>>(), SHAPE)
            .cast(burn::tensor::DType::F32)
            .detach()
            .require_grad();
        let value = loss(Triples { anchor: at.clone(), positive: at.clone(), negative: at.clone().neg() });
        let gradient = numbers(at.grad(&value.backward()).unwrap());
        assert!(numbers(value)[0].is_finite() && gradient.iter().all(|slope| slope.is_finite()), "at {level}");
    }
    let one = || leaf(&[1.0, 2.0], [1, 2]);
    let single = Triples { anchor: one(), positive: one(), negative: one() };
    assert!(matches!(triplet_with_spread(&single, &Default::default()), Err(LossError::Shape { .. })));
    let other = Triples { negative: leaf(&[1.0], [1, 1]), ..single };
    assert!(matches!(triplet(other, &Default::default()), Err(LossError::Shape { tensor: "negative", .. })));
}

const CLASSES: [i64; 5] = [0, 2, 1, 0, 2];

#[test]
fn proto_triplet_equals_a_loop_and_its_gradients_differences() {
    let config = proto_triplet::Config::default();
    let (query, protos) = (noise(15, 3), noise(9, 6));
    let of_class = |class: usize| &protos[class * 3..class * 3 + 3];
    let expected: Vec<f64> = query
        .chunks(3)
        .zip(CLASSES)
        .map(|(row, label)| {
            let to = |class: usize| (distance(row, of_class(class)).powi(2) + 1e-6).sqrt();
            let rival = (0..3).filter(|class| *class != label as usize).map(to).fold(f64::INFINITY, f64::min);
            (to(label as usize) - rival + 0.5).max(0.0)
        })
        .collect();
    let loss = |query: Tensor<2>, protos: Tensor<2>, margin: f64| {
        proto_triplet(&query, labels(&CLASSES), &protos, &config.clone().with_margin(margin)).unwrap()
    };
    let (of_query, of_protos) = (|| leaf(&query, SHAPE), || leaf(&protos, [3, 3]));
    assert_close("values", &numbers(loss(of_query(), of_protos(), 0.5)), &expected, 1e-10);
    assert_gradient("query", &query, SHAPE, 1e-6, |at| loss(at, of_protos(), 0.5).mean());
    assert_gradient("prototypes", &protos, [3, 3], 1e-6, |at| loss(of_query(), at, 0.5).mean());
    let turned = loss(leaf(&moved(&query, 3, 40.0), SHAPE), leaf(&moved(&protos, 3, 40.0), [3, 3]), 0.5);
    assert_close("moved", &numbers(turned), &expected, 1e-8);
    let wider = numbers(loss(of_query(), of_protos(), 0.9));
    assert!(wider.iter().zip(&expected).all(|(wide, narrow)| wide >= narrow));
}

#[test]
fn prototypes_are_means_and_one_class_has_no_rival() {
    let means = prototypes(leaf(&[1.0, 3.0, 7.0], [3, 1]), &labels(&[0, 0, 2]), 3).unwrap();
    assert_close("means", &numbers(means), &[2.0, 0.0, 7.0], 1e-12);
    let alone = proto_triplet(&leaf(&[1.0], [1, 1]), labels(&[0]), &leaf(&[1.0], [1, 1]), &Default::default());
    assert!(matches!(alone, Err(LossError::Shape { tensor: "prototypes", .. })));
}
