//! Losses with mixed embeddings.

use burn::tensor::{Int, Tensor};
use synod_losses::LossError;
use synod_losses::metric::metrix::{
    Mixed,
    contrastive::{self, metrix_contrastive},
    mixed_labels,
    multi_similarity::{self, metrix_multi_similarity},
    proxy_anchor::{self, metrix_proxy_anchor},
};

use super::{distance, indices, labels, unit};
use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const SHAPE: [usize; 2] = [5, 3];
const CLASSES: [i64; 5] = [0, 1, 0, 2, 1];
const TRIPLETS: [[i64; 3]; 4] = [[0, 2, 1], [0, 0, 3], [1, 4, 0], [3, 3, 4]];

/// Any of the three, with what it does not take left out.
fn all(at: &Tensor<2>, triplets: &Tensor<2, Int>, mix: f64, weight: f64) -> [Mixed; 3] {
    let labels = labels(&CLASSES);
    let pairs = match triplets.dims() {
        [0, _] => indices::<2>(&[]),
        [rows, _] => triplets.clone().slice([0..rows, 1..3]),
    };
    let proxies = leaf(&noise(9, 30), [3, 3]);
    let inputs = proxy_anchor::Inputs { embeddings: at.clone(), labels: labels.clone(), proxies, pairs };
    let sharp = multi_similarity::Config::default().with_beta(2.0).with_gamma(7.0).with_margin(0.4);
    [
        metrix_contrastive(
            at,
            &labels,
            triplets,
            mix,
            &contrastive::Config::default().with_margin(1.1).with_weight(weight),
        ),
        metrix_multi_similarity(at, &labels, triplets, mix, &sharp.with_weight(weight)),
        metrix_proxy_anchor(&inputs, mix, &proxy_anchor::Config::default().with_alpha(4.0).with_weight(weight)),
    ]
    .map(Result::unwrap)
}

#[test]
fn gradients_equal_differences() {
    for which in 0..3 {
        assert_gradient(&format!("loss {which}"), &noise(15, 9), SHAPE, 1e-6, |at| {
            all(&at, &indices(&TRIPLETS), 0.3, 0.7)[which].loss.clone()
        });
    }
}

#[test]
fn without_weight_or_triplets_the_loss_is_the_clean_one() {
    let at = leaf(&noise(15, 9), SHAPE);
    for mixed in all(&at, &indices(&TRIPLETS), 0.3, 0.0) {
        assert_eq!(numbers(mixed.loss), numbers(mixed.clean));
        assert!(numbers(mixed.mixed)[0] > 0.0);
    }
    for mixed in all(&at, &indices::<3>(&[]), 0.3, 1.0) {
        assert_eq!((numbers(mixed.loss), numbers(mixed.mixed)), (numbers(mixed.clean), vec![0.0]));
    }
}

#[test]
fn the_order_of_triplets_does_not_matter_nor_exchanging_what_is_mixed() {
    let at = leaf(&noise(15, 9), SHAPE);
    let mut backwards = TRIPLETS;
    backwards.reverse();
    let exchanged = TRIPLETS.map(|[a, i, j]| [a, j, i]);
    let found = all(&at, &indices(&TRIPLETS), 0.3, 0.4).map(|mixed| numbers(mixed.loss)[0]);
    let back = all(&at, &indices(&backwards), 0.3, 0.4).map(|mixed| numbers(mixed.loss)[0]);
    assert_close("order", &back, &found, 1e-12);
    let other = all(&at, &indices(&exchanged), 0.7, 0.4).map(|mixed| numbers(mixed.loss)[0]);
    assert_close("exchanged", &other[1..], &found[1..], 1e-12);
}

#[test]
fn nothing_but_the_positive_mixed_in_gives_the_mean_distance_to_it() {
    let values = noise(15, 9);
    let rows: Vec<Vec<f64>> = values.chunks(3).map(unit).collect();
    let triplets = [[0, 2, 1], [1, 4, 0]];
    let mixed = &all(&leaf(&values, SHAPE), &indices(&triplets), 1.0, 1.0)[0];
    let expected = f64::midpoint(distance(&rows[0], &rows[2]), distance(&rows[1], &rows[4]));
    assert_close("mean", &numbers(mixed.mixed.clone()), &[expected], 1e-9);
    let labels = mixed_labels(&labels(&CLASSES), &indices(&TRIPLETS), 0.3, &leaf(&[0.0], [1, 1]));
    assert_close("labels", &numbers(labels), &[0.3; 4], 1e-12);
}

/// The sums of each anchor, by hand.
#[test]
fn mixed_multi_similarity_equals_a_loop() {
    let values = noise(15, 9);
    let rows: Vec<&[f64]> = values.chunks(3).collect();
    let mut sums = std::collections::BTreeMap::new();
    for [a, i, j] in TRIPLETS.map(|triplet| triplet.map(|row| row as usize)) {
        let mixed: Vec<f64> = rows[i].iter().zip(rows[j]).map(|(x, y)| 0.3 * x + 0.7 * y).collect();
        let beyond = super::cosine(rows[a], &mixed) - 0.4;
        let sum = sums.entry(a).or_insert((0.0, 0.0));
        sum.0 += 0.3 * (-2.0 * beyond).exp();
        sum.1 += 0.7 * (7.0 * beyond).exp();
    }
    let total: f64 = sums.values().map(|(near, far)| near.ln_1p() / 2.0 + far.ln_1p() / 7.0).sum();
    let found = all(&leaf(&values, SHAPE), &indices(&TRIPLETS), 0.3, 1.0)[1].mixed.clone();
    assert_close("mixed", &numbers(found), &[total / sums.len() as f64], 1e-10);
}

#[test]
fn what_cannot_be_mixed_is_refused() {
    let (at, config) = (|| leaf(&noise(15, 9), SHAPE), contrastive::Config::default());
    for mix in [-0.1, 1.1, f64::NAN] {
        let refused = metrix_contrastive(&at(), &labels(&CLASSES), &indices(&TRIPLETS), mix, &config);
        assert!(matches!(refused, Err(LossError::Config { .. })));
    }
    let refused = metrix_contrastive(&at(), &labels(&CLASSES), &indices(&[[0, 1]]), 0.5, &config);
    assert!(matches!(refused, Err(LossError::Shape { tensor: "triplets", .. })));
    let refused = metrix_contrastive(&leaf(&[1.0], [1, 1]), &labels(&[0]), &indices::<3>(&[]), 0.5, &config);
    assert!(matches!(refused, Err(LossError::Shape { tensor: "embeddings", .. })));
}
