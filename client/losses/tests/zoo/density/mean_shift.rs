//! Scores of outliers: reconstruction and mean shift. The loss `apre` is tested with the other losses for plans.

use burn::tensor::{DType, Device, Tensor, TensorData};
use synod_losses::LossError;
use synod_losses::density::mean_shift::{Config, Rows};
use synod_losses::density::{apre, mean_shift, mean_shift_queries, reconstruction_score};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn rows(values: &[f64]) -> Rows {
    Rows::new(values.to_vec(), 3).expect("complete rows of finite numbers")
}

/// Sorts all distances, the lower index first where they are equal.
fn naive_near(row: &[f64], data: &[f64], own: bool, k: usize) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = data
        .chunks(3)
        .enumerate()
        .map(|(index, other)| (row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum(), index))
        .collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    let near = order.iter().take(k).map(|&(_, index)| &data[index * 3..][..3]);
    let all: Vec<&[f64]> = near.chain(own.then_some(row)).collect();
    (0..3).map(|feature| all.iter().map(|row| row[feature]).sum::<f64>() / all.len() as f64).collect()
}

#[test]
fn passes_equal_a_naive_loop() {
    let (mut data, mut query) = (noise(30, 1), noise(12, 2));
    data[3..6].copy_from_slice(&[1.0, 1.0, 1.0]);
    data[9..12].copy_from_slice(&[1.0, 1.0, 1.0]);
    let config = Config::default().with_k(4).with_times(3);
    let passes = mean_shift(&rows(&data), &config).unwrap();
    let shifted = mean_shift_queries(&rows(&query), &rows(&data), &config).unwrap();
    for pass in &passes {
        query = query.chunks(3).flat_map(|row| naive_near(row, &data, true, 3)).collect();
        data = data.chunks(3).flat_map(|row| naive_near(row, &data, false, 4)).collect();
        assert_close("pass", pass.values(), &data, 1e-12);
    }
    assert_eq!(passes.len(), 3);
    assert_close("queries", shifted.values(), &query, 1e-12);
}

#[test]
fn one_neighbour_moves_nothing_and_all_neighbours_meet() {
    let data = rows(&noise(18, 3));
    let alone = mean_shift(&data, &Config::default().with_k(1)).unwrap();
    assert_eq!(alone[0].values(), data.values());
    let together = mean_shift(&data, &Config::default().with_k(6)).unwrap();
    let centre = &together[0].values()[..3];
    assert!(together[0].values().chunks(3).all(|row| row == centre));
    let moved: Vec<f64> = data.values().iter().map(|value| value + 8.0).collect();
    let config = Config::default().with_k(3).with_times(2);
    let (here, there) = (mean_shift(&data, &config).unwrap(), mean_shift(&rows(&moved), &config).unwrap());
    let expected: Vec<f64> = here[1].values().iter().map(|value| value + 8.0).collect();
    assert_close("translation", there[1].values(), &expected, 1e-12);
}

#[test]
fn what_has_no_neighbours_is_refused() {
    let data = rows(&noise(9, 4));
    let config = |k| Config::default().with_k(k);
    assert!(matches!(mean_shift(&data, &config(4)), Err(LossError::Value { input: "k", .. })));
    assert!(matches!(mean_shift_queries(&data, &data, &config(1)), Err(LossError::Value { input: "k", .. })));
    let narrow = Rows::new(vec![0.0; 4], 2).unwrap();
    assert!(matches!(mean_shift_queries(&narrow, &data, &config(2)), Err(LossError::Shape { .. })));
    assert!(matches!(Rows::new(vec![], 3), Err(LossError::EmptyBatch { .. })));
    assert!(matches!(Rows::new(vec![0.0; 4], 3), Err(LossError::Shape { .. })));
    assert!(matches!(Rows::new(vec![0.0; 4], 0), Err(LossError::Shape { .. })));
    assert!(matches!(Rows::new(vec![f64::NAN], 1), Err(LossError::NotFinite { .. })));
}

#[test]
fn reconstruction_is_the_squared_error_of_a_row() {
    let (recon, target) = (noise(6, 5), noise(6, 6));
    let of = |recon| reconstruction_score(recon, leaf(&target, [2, 3])).unwrap();
    let square = |row: usize| (row * 3..row * 3 + 3).map(|i| (recon[i] - target[i]).powi(2)).sum();
    assert_close("score", &numbers(of(leaf(&recon, [2, 3]))), &[square(0), square(1)], 1e-12);
    assert_gradient("gradient", &recon, [2, 3], 1e-7, |recon| of(recon).sum());
    assert!(matches!(reconstruction_score(leaf(&recon, [3, 2]), leaf(&target, [2, 3])), Err(LossError::Shape { .. })));
}

/// For a squared error `r` the best variance is `alpha r / beta`, and small variances keep their digits in f32.
#[test]
fn apre_has_its_least_value_at_the_right_variance_and_is_exact_for_small_ones() {
    let config = apre::Config::default().with_alpha(0.5).with_beta(2.0);
    let raw = |variance: f64| (variance - 1e-5).exp_m1().ln();
    let live = leaf(&[1.0, raw(0.25 * 4.0)], [1, 2]);
    let value = apre(live.clone(), leaf(&[3.0], [1, 1]), &config).unwrap();
    assert_close("slope", &numbers(live.grad(&value.backward()).unwrap())[1..], &[0.0], 1e-9);
    let single = |values: &[f64], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), DType::F32))
    };
    let value = apre(single(&[0.0, -11.0], [1, 2]), single(&[0.001], [1, 1]), &config).unwrap();
    let variance = (-11f64).exp().ln_1p() + 1e-5;
    assert_close("small", &numbers(value), &[0.5e-6 / variance + 2.0 * variance.ln()], 1e-6);
}
