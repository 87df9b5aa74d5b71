//! Betti matching against persistence by matrix reduction, Euler's formula, and the laws of its card.

use burn::tensor::Tensor;
use proptest::prelude::*;
use synod_losses::LossError;
use synod_losses::segmentation::betti::{
    betti_matching, betti_matching_error, dice_betti_matching,
    error::Config as ErrorConfig,
    loss::{Config, Levels, Matched},
};

use super::{mask, sigmoid};
use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

/// Logits of probabilities.
fn logits(probs: &[f64]) -> Vec<f64> {
    probs.iter().map(|p| (p / (1.0 - p)).ln()).collect()
}

fn compare(probs: &[f64], targets: &[f64], shape: [usize; 2], config: &Config) -> Matched {
    let shape = [1, shape[0], shape[1]];
    betti_matching(leaf(&logits(probs), shape), &leaf(targets, shape), config).expect("the images are valid")
}

fn value(probs: &[f64], targets: &[f64], shape: [usize; 2], config: &Config) -> f64 {
    numbers(compare(probs, targets, shape, config).values)[0]
}

/// Every configuration that changes the arithmetic.
fn configs() -> Vec<Config> {
    let mut configs = Vec::new();
    for filtration in [Levels::Superlevel, Levels::Sublevel, Levels::Bothlevel] {
        for relative in [false, true] {
            configs.push(Config::default().with_filtration(filtration).with_relative(relative));
        }
    }
    configs
}

/// Lengths of the bars of an image, superlevel, without the one that never dies: columns of the boundary matrix are
/// reduced one by one.
fn lengths_by_reduction(pixels: &[f64], [height, width]: [usize; 2]) -> [Vec<f64>; 2] {
    let at = |row: usize, column: usize| -pixels[row * width + column];
    // Cubes by corner and extent: [row, column, rows, columns] with extents 0 or 1.
    let mut cubes: Vec<([usize; 4], f64)> = Vec::new();
    for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
        for (rows, columns) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            if row + rows < height && column + columns < width {
                let time = [
                    at(row, column),
                    at(row + rows, column),
                    at(row, column + columns),
                    at(row + rows, column + columns),
                ]
                .into_iter()
                .fold(f64::NEG_INFINITY, f64::max);
                cubes.push(([row, column, rows, columns], time));
            }
        }
    }
    cubes.sort_by(|(a, s), (b, t)| s.total_cmp(t).then((a[2] + a[3]).cmp(&(b[2] + b[3]))));
    let index =
        |cube: [usize; 4]| cubes.iter().position(|(other, _)| *other == cube).expect("faces of cubes are cubes");
    let boundary = |[row, column, rows, columns]: [usize; 4]| -> Vec<usize> {
        let mut faces = Vec::new();
        if rows == 1 {
            faces.extend([index([row, column, 0, columns]), index([row + 1, column, 0, columns])]);
        }
        if columns == 1 {
            faces.extend([index([row, column, rows, 0]), index([row, column + 1, rows, 0])]);
        }
        faces
    };
    let mut reduced: Vec<Option<(usize, Vec<usize>)>> = vec![None; cubes.len()];
    let mut lengths = [Vec::new(), Vec::new()];
    for (position, (cube, time)) in cubes.iter().enumerate() {
        let mut column: std::collections::BTreeSet<usize> = boundary(*cube).into_iter().collect();
        while let Some(&low) = column.last() {
            let Some((_, other)) = &reduced[low] else { break };
            for entry in other {
                if !column.remove(entry) {
                    column.insert(*entry);
                }
            }
        }
        if let Some(&low) = column.last() {
            let ([.., rows, columns], birth) = cubes[low];
            if birth < *time {
                lengths[rows + columns].push(time - birth);
            }
            reduced[low] = Some((position, column.into_iter().collect()));
        }
    }
    lengths
}

/// A target of zeros has one bar, of no length, so that every other bar of the prediction is left over.
#[test]
fn bars_are_those_of_a_matrix_reduction() {
    for (seed, shape) in [(1, [5, 6]), (4, [7, 3]), (7, [1, 9]), (9, [6, 1]), (2, [1, 1]), (3, [2, 2])] {
        let pixels: Vec<f64> = noise(shape[0] * shape[1], seed).into_iter().map(sigmoid).collect();
        // Coarse values, so that there are ties.
        let coarse: Vec<f64> = pixels.iter().map(|p| (p * 4.0).round() / 5.0 + 0.1).collect();
        for pixels in [pixels, coarse] {
            let lengths = lengths_by_reduction(&pixels, shape);
            let brightest = pixels.iter().copied().fold(0.0, f64::max);
            let squares = |lengths: &[f64]| lengths.iter().map(|length| length * length).sum::<f64>();
            let expected = 2.0 * brightest * brightest + squares(&lengths[0]) + squares(&lengths[1]);
            let compared = compare(&pixels, &vec![0.0; pixels.len()], shape, &Config::default());
            assert_eq!(compared.counts.unmatched_pred, [lengths[0].len(), lengths[1].len()], "{shape:?}");
            assert_eq!((compared.counts.matched, compared.counts.unmatched_target), ([1, 0], [0, 0]));
            assert_close("loss", &numbers(compared.values), &[expected], 1e-9);
        }
    }
}

#[test]
fn gradients_equal_differences_and_reach_births_and_deaths_only() {
    for config in configs() {
        for targets in [mask(30, 3), noise(30, 8).into_iter().map(sigmoid).collect()] {
            assert_gradient(&format!("{config:?}"), &noise(30, 5), [1, 5, 6], 1e-6, |at| {
                betti_matching(at, &leaf(&targets, [1, 5, 6]), &config).unwrap().values
            });
        }
    }
    // A ramp has one bar, born at its end.
    let at = leaf(&[-1.0, 0.0, 1.0, 2.0], [1, 1, 4]);
    let loss = betti_matching(at.clone(), &leaf(&[0.0; 4], [1, 1, 4]), &Config::default()).unwrap().values;
    let gradient = numbers(at.grad(&loss.backward()).unwrap());
    assert!(gradient[..3] == [0.0; 3] && gradient[3] > 0.0, "{gradient:?}");
}

#[test]
fn a_batch_is_its_images_one_by_one() {
    let (at, targets, shape) = (noise(60, 2), mask(60, 4), [2, 5, 6]);
    let config = Config::default().with_filtration(Levels::Bothlevel);
    let together = betti_matching(leaf(&at, shape), &leaf(&targets, shape), &config).unwrap();
    let alone = [0, 30].map(|start| {
        let image = |values: &[f64]| leaf(&values[start..start + 30], [1, 5, 6]);
        betti_matching(image(&at), &image(&targets), &config).unwrap()
    });
    let values: Vec<f64> = alone.iter().flat_map(|matched| numbers(matched.values.clone())).collect();
    assert_close("values", &numbers(together.values), &values, 1e-12);
    let matched = [0, 1].map(|dimension| alone.iter().map(|alone| alone.counts.matched[dimension]).sum::<usize>());
    assert_eq!(together.counts.matched, matched);
}

/// Betti numbers of a mask: components by filling, loops by Euler's formula.
fn betti_numbers(mask: &[f64], [height, width]: [usize; 2]) -> [i64; 2] {
    let on = |row: usize, column: usize| mask[row * width + column] == 1.0;
    let mut seen = vec![false; mask.len()];
    let (mut components, mut euler) = (0, 0);
    for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
        let (down, right) = (row + 1 < height && on(row + 1, column), column + 1 < width && on(row, column + 1));
        if !on(row, column) {
            continue;
        }
        let face = down && right && on(row + 1, column + 1);
        euler += 1 - i64::from(down) - i64::from(right) + i64::from(face);
        let mut front = vec![(row, column)];
        components += i64::from(!seen[row * width + column]);
        while let Some((row, column)) = front.pop() {
            if row >= height || column >= width || !on(row, column) || seen[row * width + column] {
                continue;
            }
            seen[row * width + column] = true;
            front.extend([
                (row + 1, column),
                (row, column + 1),
                (row.wrapping_sub(1), column),
                (row, column.wrapping_sub(1)),
            ]);
        }
    }
    [components, components - euler]
}

/// Two images of the same shape with pixels from `levels`.
fn any_images(pixel: impl Strategy<Value = f64> + Clone) -> impl Strategy<Value = ([usize; 2], Vec<f64>, Vec<f64>)> {
    (1usize..7, 1usize..7).prop_flat_map(move |(height, width)| {
        let image = || prop::collection::vec(pixel.clone(), height * width);
        (Just([height, width]), image(), image())
    })
}

/// So few values that ties are everywhere.
fn few() -> impl Strategy<Value = f64> + Clone {
    (1u8..8).prop_map(|level| f64::from(level) / 8.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_images_lack_nothing_and_either_may_be_the_target((shape, left, right) in any_images(few())) {
        let tensor = |image: &[f64]| leaf(image, [1, shape[0], shape[1]]);
        // The same bits on both sides, for ties to be ties.
        let probs = |logits: &[f64]| tensor(&logits.iter().map(|&logit| sigmoid(logit)).collect::<Vec<_>>());
        for config in configs() {
            let compare = |left: &[f64], right: &[f64]| betti_matching(tensor(left), &probs(right), &config).unwrap();
            prop_assert_eq!(numbers(compare(&left, &left).values), [0.0]);
            let (there, back) = (compare(&left, &right), compare(&right, &left));
            assert_close("either way", &numbers(there.values), &numbers(back.values), 1e-12);
            prop_assert_eq!(there.counts.matched, back.counts.matched);
            prop_assert_eq!(there.counts.unmatched_pred, back.counts.unmatched_target);
        }
    }

    #[test]
    fn scaling_and_shifting_act_as_claimed((shape, left, right) in any_images(0.1..0.9f64)) {
        let change = |image: &[f64], by: fn(f64) -> f64| image.iter().map(|&pixel| by(pixel)).collect::<Vec<_>>();
        let of = |by: fn(f64) -> f64, config: &Config| value(&change(&left, by), &change(&right, by), shape, config);
        let config = Config::default();
        assert_close("half", &[of(|pixel| pixel / 2.0, &config)], &[of(|pixel| pixel, &config) / 4.0], 1e-9);
        let loops = config.with_dimensions([1]);
        assert_close("shifted", &[of(|pixel| pixel + 0.05, &loops)], &[of(|pixel| pixel, &loops)], 1e-9);
    }

    #[test]
    fn the_error_is_at_least_the_difference_of_betti_numbers((shape, left, right) in any_images(few())) {
        let masks = [&left, &right].map(|image| image.iter().map(|&p| f64::from(u8::from(p >= 0.5))).collect::<Vec<_>>());
        let [mut of_left, mut of_right] = [&masks[0], &masks[1]].map(|mask| betti_numbers(mask, shape));
        // An empty image has one bar, of no length, that never dies.
        of_left[0] = of_left[0].max(1);
        of_right[0] = of_right[0].max(1);
        let tensor = |image: &[f64]| leaf(image, [1, shape[0], shape[1]]);
        let errors = betti_matching_error(&tensor(&left), &tensor(&right), &ErrorConfig::default()).unwrap();
        for dimension in 0..2 {
            let bars = |matched: usize, rest: usize| (matched + rest) as i64;
            let matched = errors.counts.matched[dimension];
            prop_assert_eq!(bars(matched, errors.counts.unmatched_pred[dimension]), of_left[dimension]);
            prop_assert_eq!(bars(matched, errors.counts.unmatched_target[dimension]), of_right[dimension]);
        }
        let least = (of_left[0] - of_right[0]).abs() + (of_left[1] - of_right[1]).abs();
        prop_assert!(errors.error >= least as f64);
    }
}

#[test]
fn an_empty_image_costs_its_lost_component_twice() {
    let full = leaf(&[1.0; 9], [1, 3, 3]);
    let errors = betti_matching_error(&(full.clone() * 0.0), &full, &ErrorConfig::default()).unwrap();
    assert_eq!((errors.error, errors.counts.matched), (2.0, [1, 0]));
}

#[test]
fn a_ring_is_found_where_it_is() {
    let ring = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let soft = ring.map(|pixel| if pixel == 1.0 { 0.9 } else { 0.2 });
    let compared = compare(&soft, &ring, [3, 3], &Config::default());
    assert_eq!((compared.counts.matched, compared.counts.unmatched_pred), ([1, 1], [0, 0]));
    let expected = 2.0 * 0.1f64.powi(2) + 2.0 * (0.1f64.powi(2) + 0.2f64.powi(2));
    assert_close("loss", &numbers(compared.values), &[expected], 1e-9);
}

#[test]
fn extreme_logits_are_finite_and_broken_inputs_refused() {
    let shape = [1, 3, 4];
    let at = leaf(&noise(12, 1).iter().map(|value| value * 1e3).collect::<Vec<_>>(), shape);
    let together = dice_betti_matching(at.clone(), &leaf(&mask(12, 2), shape), &Default::default()).unwrap();
    let gradient = numbers(at.grad(&together.loss.backward()).unwrap());
    assert!(numbers(together.loss)[0].is_finite() && gradient.iter().all(|slope| slope.is_finite()));

    let refused =
        |logits: Tensor<3>, targets: Tensor<3>| betti_matching(logits, &targets, &Config::default()).unwrap_err();
    let good = || leaf(&[0.5; 12], shape);
    assert!(matches!(refused(good() * f64::NAN, good()), LossError::NotFinite { tensor: "logits", .. }));
    let error = refused(good(), good() * 3.0);
    assert!(error.to_string().contains("is 1.5 at flat position 0"), "{error}");
    assert!(matches!(refused(good(), leaf(&[0.5; 12], [1, 4, 3])), LossError::Shape { tensor: "target", .. }));
    assert!(matches!(refused(good().slice(0..0), good().slice(0..0)), LossError::EmptyBatch { .. }));
}
