//! Losses over all pairs of a batch.

use burn::tensor::{DType, Int, Tensor};
use synod_losses::metric::{
    contrastive::{self, contrastive},
    icnn::{self, Labelled, icnn},
    multi_similarity::{self, multi_similarity},
    proxy_anchor::{self, proxy_anchor},
};
use synod_losses::{LossError, metric};

use super::{cosine, distance, labels, moved, unit};
use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const SHAPE: [usize; 2] = [6, 3];
const CLASSES: [i64; 6] = [0, 1, 0, 2, 1, 0];

fn rows(values: &[f64]) -> Vec<&[f64]> {
    values.chunks(3).collect()
}

fn mean_of_positive(values: impl Iterator<Item = f64>) -> f64 {
    let positive: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    positive.iter().sum::<f64>() / positive.len().max(1) as f64
}

fn pairs() -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..6).flat_map(|i| (0..6).map(move |j| (i, j))).filter(|(i, j)| i != j)
}

#[test]
fn contrastive_equals_a_loop_and_its_gradient_differences() {
    let config = contrastive::Config::default().with_margin(1.2);
    let values = noise(18, 1);
    let loss = |at: Tensor<2>| contrastive(at, &labels(&CLASSES), &config).unwrap();
    let rows: Vec<Vec<f64>> = rows(&values).into_iter().map(unit).collect();
    let near = pairs().filter(|&(i, j)| CLASSES[i] == CLASSES[j]).map(|(i, j)| distance(&rows[i], &rows[j]));
    let far =
        pairs().filter(|&(i, j)| CLASSES[i] != CLASSES[j]).map(|(i, j)| (1.2 - distance(&rows[i], &rows[j])).max(0.0));
    assert_close(
        "value",
        &numbers(loss(leaf(&values, SHAPE))),
        &[mean_of_positive(near) + mean_of_positive(far)],
        1e-9,
    );
    assert_gradient("gradient", &values, SHAPE, 1e-6, loss);
}

#[test]
fn multi_similarity_equals_a_loop_and_its_gradient_differences() {
    let config = multi_similarity::Config::default().with_gamma(9.0);
    let values = noise(18, 2);
    let rows = rows(&values);
    let expected: Vec<f64> = (0..6)
        .map(|anchor| {
            let sum = |same: bool, factor: f64| -> f64 {
                let others = pairs().filter(|&(i, j)| i == anchor && (CLASSES[i] == CLASSES[j]) == same);
                others.map(|(i, j)| (factor * (cosine(rows[i], rows[j]) - 0.5)).exp()).sum()
            };
            sum(true, -2.0).ln_1p() / 2.0 + sum(false, 9.0).ln_1p() / 9.0
        })
        .collect();
    let loss = |at: Tensor<2>| multi_similarity(at, &labels(&CLASSES), &config).unwrap();
    assert_close("values", &numbers(loss(leaf(&values, SHAPE))), &expected, 1e-9);
    assert_gradient("gradient", &values, SHAPE, 1e-6, |at| loss(at).mean());
}

#[test]
fn proxy_anchor_equals_a_loop_and_its_gradients_differences() {
    let config = proxy_anchor::Config::default().with_alpha(3.0);
    let (values, proxies) = (noise(18, 3), noise(12, 8));
    let (samples, of_classes) = (rows(&values), rows(&proxies));
    let mut expected = 0.0;
    for (class, proxy) in of_classes.iter().enumerate() {
        let sum = |same: bool| -> f64 {
            let of_kind = samples.iter().zip(CLASSES).filter(|(_, label)| (*label == class as i64) == same);
            let sign = if same { -1.0 } else { 1.0 };
            of_kind.map(|(row, _)| (3.0 * (sign * cosine(row, proxy) + 0.1)).exp()).sum()
        };
        expected += sum(true).ln_1p() / 3.0 + sum(false).ln_1p() / 4.0;
    }
    let loss = |at: Tensor<2>, proxies: Tensor<2>| proxy_anchor(at, &labels(&CLASSES), proxies, &config).unwrap();
    let proxy_leaf = || leaf(&proxies, [4, 3]);
    assert_close("value", &numbers(loss(leaf(&values, SHAPE), proxy_leaf())), &[expected], 1e-9);
    assert_gradient("embeddings", &values, SHAPE, 1e-6, |at| loss(at, proxy_leaf()));
    assert_gradient("proxies", &proxies, [4, 3], 1e-6, |at| loss(leaf(&values, SHAPE), at));
}

/// All of them, on an equal footing.
type Loss = fn(Tensor<2>, &Tensor<1, Int>) -> Result<Tensor<1>, LossError>;

const LOSSES: [(&str, Loss); 4] = [
    ("contrastive", |at, labels| contrastive(at, labels, &contrastive::Config::default())),
    ("multi_similarity", |at, labels| Ok(multi_similarity(at, labels, &multi_similarity::Config::default())?.mean())),
    ("proxy_anchor", |at, labels| {
        let proxies = Tensor::ones([3, at.dims()[1]], (&at.device(), at.dtype()));
        proxy_anchor(at, labels, proxies, &proxy_anchor::Config::default())
    }),
    ("icnn", |rows, labels| {
        Ok(icnn(Labelled { rows, labels: labels.clone() }, None, &icnn::Config::default().with_k(2))?.loss)
    }),
];

#[test]
fn the_order_of_samples_and_turning_them_change_nothing() {
    let values = noise(18, 4);
    let reversed: Vec<f64> = values.chunks(3).rev().flatten().copied().collect();
    let back: Vec<i64> = CLASSES.iter().rev().copied().collect();
    for (name, loss) in LOSSES {
        let value = |values: &[f64], classes: &[i64]| numbers(loss(leaf(values, SHAPE), &labels(classes)).unwrap());
        assert_close(name, &value(&reversed, &back), &value(&values, &CLASSES), 1e-10);
        if name != "proxy_anchor" {
            let by = if name == "icnn" { 3.0 } else { 0.0 };
            assert_close(name, &value(&moved(&values, 3, by), &CLASSES), &value(&values, &CLASSES), 1e-7);
        }
    }
}

/// Coinciding rows, one class, as many classes as samples, one sample, large and vanishing rows, in single precision.
#[test]
fn degenerate_batches_have_finite_values_and_gradients() {
    let mut same = [1.0, -2.0, 0.5].repeat(6);
    let huge: Vec<f64> = noise(18, 5).iter().map(|value| value * 1e3).collect();
    let batches = [
        (same.clone(), vec![0; 6]),
        (same.clone(), vec![0, 1, 2, 0, 1, 2]),
        (huge, CLASSES.to_vec()),
        (vec![0.0; 18], CLASSES.to_vec()),
        (noise(9, 1), vec![0, 1, 2]),
        (noise(3, 1), vec![1]),
    ];
    for (name, loss) in LOSSES {
        for (values, classes) in &batches {
            let at = leaf(values, [classes.len(), 3]).cast(DType::F32).detach().require_grad();
            let Ok(value) = loss(at.clone(), &labels(classes)) else {
                assert!(name == "icnn" && classes.len() < 3, "{name} refuses {classes:?}");
                continue;
            };
            let gradient = at.grad(&value.backward()).map_or_else(Vec::new, numbers);
            let finite = numbers(value)[0].is_finite() && gradient.iter().all(|slope| slope.is_finite());
            assert!(finite, "{name} of {values:?} with {classes:?}: {gradient:?}");
        }
    }
    // The third row moves away: only pairs with it are at a distance.
    same[6..9].copy_from_slice(&[-1.0, 2.0, -0.5]);
    let value = contrastive(leaf(&same, SHAPE), &labels(&[0; 6]), &contrastive::Config::default()).unwrap();
    assert_close("coinciding pairs do not count", &numbers(value), &[2.0], 1e-9);
}

#[test]
fn other_shapes_are_refused() {
    for (name, loss) in LOSSES {
        let refused = loss(leaf(&noise(18, 0), SHAPE), &labels(&[0; 5]));
        assert!(matches!(refused, Err(LossError::Shape { tensor: "labels", .. })), "{name}: {refused:?}");
        let empty = loss(leaf(&[0.0; 3], [1, 3]).slice([0..0, 0..3]), &labels(&[0]).slice(0..0));
        assert!(matches!(empty, Err(LossError::EmptyBatch { .. })), "{name}: {empty:?}");
    }
    let narrow = proxy_anchor(leaf(&[1.0; 3], [1, 3]), &labels(&[0]), leaf(&[1.0; 2], [1, 2]), &Default::default());
    assert!(matches!(narrow, Err(LossError::Shape { tensor: "proxies", .. })));
}

/// The definition, one row at a time.
fn icnn_by_hand(values: &[f64], classes: &[i64], width: usize, k: usize) -> f64 {
    let rows: Vec<&[f64]> = values.chunks(width).collect();
    let count = rows.len();
    let (k, short) = if k + 2 >= count { (count - 2, true) } else { (k, false) };
    let (mut intra, mut same_rows, mut same_total) = (0.0, 0.0, 0.0);
    let mut far: Vec<Vec<f64>> = Vec::new();
    for i in 0..count {
        let mut order: Vec<(f64, usize)> =
            (0..count).map(|j| ((distance(rows[i], rows[j]).powi(2) + 1e-6).sqrt(), j)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let window = &order[1..k + 2];
        let other = |j: usize| classes[j] != classes[i];
        let near = window.iter().find(|(_, j)| other(*j)).map(|(d, _)| *d);
        let shares: Vec<f64> = window[..k].iter().map(|(d, _)| near.map_or(0.0, |near| d / (near + 1e-7))).collect();
        let largest = shares.iter().copied().fold(1.0, f64::max);
        let same: Vec<f64> = window[..k].iter().map(|(_, j)| f64::from(u8::from(!other(*j)))).collect();
        let sum: f64 = same.iter().sum();
        intra += shares.iter().zip(&same).map(|(share, same)| share / largest * same / (sum + 1e-7)).sum::<f64>();
        same_rows += f64::from(u8::from(sum > 0.0));
        same_total += sum;
        far.push(window[..k].iter().map(|(d, j)| if other(*j) { *d } else { 0.0 }).collect());
    }
    let largest = far.iter().flatten().copied().fold(0.0, f64::max);
    let mut inter = 0.0;
    let mut other_rows = 0.0;
    for row in &far {
        let count = row.iter().filter(|d| **d > 0.0).count() as f64;
        inter += row.iter().map(|d| d / (largest + 1e-7) / (count + 1e-7)).sum::<f64>();
        other_rows += f64::from(u8::from(count > 0.0));
    }
    let inter = if largest == 0.0 { 1.0 } else { inter / (other_rows + 1e-7) };
    let gamma = if short { 1.0 } else { same_total / (k * count) as f64 };
    let intra = 1.0 - intra / (same_rows + 1e-7);
    -f64::midpoint(f64::midpoint(intra, inter), gamma).ln()
}

#[test]
fn icnn_equals_a_loop_and_its_gradient_differences() {
    let (values, classes) = (noise(30, 7), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    for k in [1, 3, 7, 50] {
        let config = icnn::Config::default().with_k(k);
        let loss = |rows: Tensor<2>| icnn(Labelled { rows, labels: labels(&classes) }, None, &config).unwrap().loss;
        let expected = icnn_by_hand(&values, &classes, 3, k);
        assert_close(&format!("k = {k}"), &numbers(loss(leaf(&values, [10, 3]))), &[expected], 1e-9);
        assert_gradient(&format!("k = {k}"), &values, [10, 3], 1e-5, loss);
    }
}

#[test]
fn separated_classes_score_one_and_small_sets_are_refused() {
    let values: Vec<f64> = noise(24, 1).iter().enumerate().map(|(i, v)| v / 100.0 + (i / 12) as f64 * 50.0).collect();
    let at = leaf(&values, [8, 3]);
    let classes = [0, 0, 0, 0, 1, 1, 1, 1];
    let config = icnn::Config::default().with_k(1);
    let scored = icnn(Labelled { rows: at.clone(), labels: labels(&classes) }, None, &config).unwrap();
    assert_close("loss", &numbers(scored.loss.clone()), &[0.0], 1e-9);
    assert_close("gradient", &numbers(at.grad(&scored.loss.backward()).unwrap()), &[0.0; 24], 1e-9);

    let two = || Labelled { rows: leaf(&[0.0, 1.0], [2, 1]), labels: labels(&[0, 1]) };
    assert!(matches!(icnn(two(), None, &config), Err(LossError::Shape { .. })));
    let three = || Labelled { rows: leaf(&[0.0, 1.0, 2.0], [3, 1]), labels: labels(&[0, 1, 0]) };
    assert!(icnn(three(), None, &config).is_ok());
    assert!(matches!(icnn(three(), None, &config.with_ipc(3)), Err(LossError::Shape { .. })));
    let infinite = Labelled { rows: leaf(&[0.0, f64::NAN, 2.0], [3, 1]), labels: labels(&[0, 1, 0]) };
    let refused = metric::icnn(infinite, None, &icnn::Config::default());
    assert!(matches!(refused, Err(LossError::NotFinite { position: 1, .. })));
}
