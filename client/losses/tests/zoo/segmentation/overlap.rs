//! Overlaps, voxel by voxel and in projection.

use burn::tensor::{DType, Tensor};
use synod_losses::LossError;
use synod_losses::segmentation::{
    bev_dice::{self, bev_dice},
    dice::{self, dice},
    focal_tversky::{self, focal_tversky},
    mip::{self, Axis, Projections, mip},
    tversky::{self, tversky},
};

use super::{mask, sigmoid};
use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const SHAPE: [usize; 3] = [2, 3, 4];
const VOLUME: [usize; 5] = [2, 1, 2, 3, 2];

/// Sums of `p t`, `(1 - p) t` and `p (1 - t)`.
fn sums(logits: &[f64], targets: &[f64]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for (&logit, &t) in logits.iter().zip(targets) {
        let p = sigmoid(logit);
        sums[0] += p * t;
        sums[1] += (1.0 - p) * t;
        sums[2] += p * (1.0 - t);
    }
    sums
}

fn index(logits: &[f64], targets: &[f64], alpha: f64, smooth: f64) -> f64 {
    let [both, missed, wrong] = sums(logits, targets);
    (both + smooth) / (both + alpha * missed + (1.0 - alpha) * wrong + smooth)
}

/// The three losses per sample, with what a loop says.
type PerSample = (&'static str, fn(Tensor<3>, Tensor<3>) -> Result<Tensor<1>, LossError>, fn(&[f64], &[f64]) -> f64);

const PER_SAMPLE: [PerSample; 3] = [
    (
        "dice",
        |logits, targets| dice(logits, targets, &dice::Config::default()),
        |logits, targets| {
            let [both, missed, wrong] = sums(logits, targets);
            1.0 - (2.0 * both + 1.0) / (2.0 * both + missed + wrong + 1.0)
        },
    ),
    (
        "tversky",
        |logits, targets| tversky(logits, targets, &tversky::Config::default()),
        |logits, targets| 1.0 - index(logits, targets, 0.7, 1.0),
    ),
    (
        "focal tversky",
        |logits, targets| focal_tversky(logits, targets, &focal_tversky::Config::default()),
        |logits, targets| (1.0 - index(logits, targets, 0.7, 1.0)).powf(0.75),
    ),
];

#[test]
fn overlaps_equal_loops_and_their_gradients_differences() {
    let (logits, targets) = (noise(24, 3), mask(24, 5));
    for (name, loss, naive) in PER_SAMPLE {
        let expected: Vec<f64> = logits.chunks(12).zip(targets.chunks(12)).map(|(x, t)| naive(x, t)).collect();
        let at = |logits: Tensor<3>| loss(logits, leaf(&targets, SHAPE)).unwrap();
        assert_close(name, &numbers(at(leaf(&logits, SHAPE))), &expected, 1e-10);
        assert_gradient(name, &logits, SHAPE, 1e-7, |logits| at(logits).mean());
        let back = |values: &[f64]| leaf(&values.chunks(12).rev().flatten().copied().collect::<Vec<_>>(), SHAPE);
        let reversed = numbers(loss(back(&logits), back(&targets)).unwrap());
        assert_close(name, &reversed, &[expected[1], expected[0]], 1e-10);
    }
}

/// Perfect, opposite and undecided predictions of full, empty and mixed masks, in single precision.
#[test]
fn certain_and_empty_masks_have_finite_values_and_gradients() {
    for (level, targets) in [1e3, -1e3, 30.0]
        .into_iter()
        .flat_map(|level| [vec![0.0; 24], vec![1.0; 24], mask(24, 5)].map(|targets| (level, targets)))
    {
        let logits: Vec<f64> = targets.iter().map(|target| (target - 0.5) * level).collect();
        let at = || leaf(&logits, SHAPE).cast(DType::F32).detach().require_grad();
        let masks = || leaf(&targets, SHAPE).cast(DType::F32).detach();
        for (name, loss, _) in PER_SAMPLE {
            let leaf = at();
            let values = loss(leaf.clone(), masks()).unwrap();
            let gradient = numbers(leaf.grad(&values.clone().sum().backward()).unwrap());
            assert!(gradient.iter().all(|slope| slope.is_finite()), "{name} at {level}: {gradient:?}");
            let perfect = level > 0.0;
            for value in numbers(values) {
                assert!((0.0..=1.0).contains(&value) && (!perfect || value < 1e-4), "{name} at {level}: {value}");
            }
        }
        let leaf = at();
        let volume = mip(
            &leaf.clone().reshape([1, 1, 2, 3, 4]),
            masks().reshape([1, 2, 3, 4]),
            &Default::default(),
            &every_axis(1),
        );
        let value = volume.unwrap().loss;
        let gradient = numbers(leaf.grad(&value.backward()).unwrap());
        assert!(gradient.iter().all(|slope| slope.is_finite()), "mip at {level}: {gradient:?}");
    }
}

#[test]
fn shapes_that_differ_and_empty_ones_are_refused() {
    for (name, loss, _) in PER_SAMPLE {
        let at = |shape: [usize; 3]| {
            leaf(&vec![0.0; shape.iter().product::<usize>().max(1)][..shape.iter().product()], shape)
        };
        assert!(matches!(loss(at(SHAPE), at([2, 4, 3])), Err(LossError::Shape { tensor: "targets", .. })), "{name}");
        let empty = leaf(&[0.0], [1, 1, 1]).slice([0..0, 0..1, 0..1]);
        assert!(matches!(loss(empty.clone(), empty), Err(LossError::EmptyBatch { .. })), "{name}");
        let nothing = leaf(&[0.0], [1, 1, 1]).slice([0..1, 0..0, 0..1]);
        assert!(matches!(loss(nothing.clone(), nothing), Err(LossError::Shape { tensor: "logits", .. })), "{name}");
    }
}

#[test]
fn dice_of_a_batch_is_that_of_all_pixels_of_a_class() {
    let shape = [2, 2, 2, 3];
    let (logits, targets) = (noise(24, 1), mask(24, 2));
    let of_class = |values: &[f64], class: usize| -> Vec<f64> {
        values.chunks(12).flat_map(|image| image[class * 6..class * 6 + 6].to_vec()).collect()
    };
    let expected: Vec<f64> = (0..2)
        .map(|class| {
            let [both, missed, wrong] = sums(&of_class(&logits, class), &of_class(&targets, class));
            (2.0 * both + 1.0) / (2.0 * both + missed + wrong + 1.0)
        })
        .collect();
    let config = bev_dice::Config::default();
    let overlap = bev_dice(leaf(&logits, shape), leaf(&targets, shape), &config).unwrap();
    assert_close("classes", &numbers(overlap.per_class), &expected, 1e-10);
    assert_close("loss", &numbers(overlap.loss), &[1.0 - f64::midpoint(expected[0], expected[1])], 1e-10);
    assert_gradient("gradient", &logits, shape, 1e-7, |at| bev_dice(at, leaf(&targets, shape), &config).unwrap().loss);
    // Beyond the clamp a pixel has no say.
    let at = leaf(&[30.0, -30.0, 0.0], [1, 1, 1, 3]);
    let loss = bev_dice(at.clone(), leaf(&[0.0, 1.0, 1.0], [1, 1, 1, 3]), &config).unwrap().loss;
    let gradient = numbers(at.grad(&loss.backward()).unwrap());
    assert!(gradient[0] == 0.0 && gradient[1] == 0.0 && gradient[2] < 0.0, "{gradient:?}");
}

fn every_axis(outputs: usize) -> mip::Config {
    mip::Config::default().with_axis(Axis::Multi).with_ratios([1.0, 0.5][..outputs].to_vec())
}

#[test]
fn projections_equal_a_loop_and_their_gradients_differences() {
    let (logits, targets) = (noise(24, 3), mask(12, 4));
    let power = |logits: &[f64], targets: &[f64]| (1.0 - index(logits, targets, 0.7, 1.0)).powf(0.75);
    let largest = |values: &[f64], axis: usize| -> Vec<f64> {
        // depth 2, height 3, width 2
        let at = |d: usize, h: usize, w: usize| values[d * 6 + h * 2 + w];
        let over = |rows: usize, columns: usize, depth: usize, at: &dyn Fn(usize, usize, usize) -> f64| {
            let ray = |row, column| (0..depth).map(|index| at(row, column, index)).fold(f64::NEG_INFINITY, f64::max);
            (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| ray(r, c)).collect()
        };
        match axis {
            0 => over(3, 2, 2, &|h, w, d| at(d, h, w)),
            1 => over(2, 2, 3, &|d, w, h| at(d, h, w)),
            _ => over(2, 3, 2, &|d, h, w| at(d, h, w)),
        }
    };
    let mut expected = [0.0; 2];
    for (volume, ratio) in logits.chunks(12).zip([1.0, 0.5]) {
        expected[0] += ratio * power(volume, &targets);
        expected[1] += (0..3).map(|axis| ratio * power(&largest(volume, axis), &largest(&targets, axis))).sum::<f64>();
    }
    let compared =
        |at: Tensor<5>| mip(&at, leaf(&targets, [1, 2, 3, 2]), &Projections::default(), &every_axis(2)).unwrap();
    let found = compared(leaf(&logits, VOLUME));
    assert_close("segmentation", &numbers(found.segmentation), &expected[..1], 1e-10);
    assert_close("mip", &numbers(found.mip), &expected[1..], 1e-10);
    assert_close("loss", &numbers(found.loss), &[0.7 * expected[0] + 0.3 * expected[1]], 1e-10);
    assert_gradient("gradient", &logits, VOLUME, 1e-6, |at| compared(at).loss);
}

#[test]
fn only_the_largest_voxel_of_a_ray_has_a_gradient_shared_among_equals() {
    let config = mip::Config::default().with_w_seg(0.0);
    let gradient = |logits: &[f64]| {
        let at = leaf(logits, [1, 1, 3, 1, 2]);
        let loss = mip(&at, leaf(&mask(6, 4), [1, 3, 1, 2]), &Projections::default(), &config).unwrap().loss;
        numbers(at.grad(&loss.backward()).unwrap())
    };
    let slopes = gradient(&[0.1, 0.4, 0.3, 0.2, 0.2, 0.3]);
    assert!(slopes.iter().map(|slope| *slope != 0.0).eq([false, true, true, false, false, false]), "{slopes:?}");
    let shared = gradient(&[0.3, 0.4, 0.3, 0.2, 0.2, 0.3]);
    assert_close("shares", &[shared[0], shared[2]], &[slopes[2] / 2.0, slopes[2] / 2.0], 1e-12);
}

#[test]
fn given_projections_replace_those_of_the_patch_and_other_shapes_are_refused() {
    let (logits, targets) = (|| leaf(&noise(12, 3), [1, 1, 2, 3, 2]), || leaf(&mask(12, 4), [1, 2, 3, 2]));
    let config = mip::Config::default();
    let with = |z: Tensor<3>| mip(&logits(), targets(), &Projections { z: Some(z), ..Projections::default() }, &config);
    let own = targets().max_dim(1).reshape([1, 3, 2]);
    let plain = numbers(mip(&logits(), targets(), &Projections::default(), &config).unwrap().loss);
    assert_close("its own", &numbers(with(own.clone()).unwrap().loss), &plain, 1e-12);
    let other = numbers(with(own.neg() + 1.0).unwrap().loss);
    assert!((other[0] - plain[0]).abs() > 1e-3, "{other:?} {plain:?}");
    assert!(matches!(with(leaf(&[1.0; 4], [1, 2, 2])), Err(LossError::Shape { tensor: "target_mip_z", .. })));
    let refused = mip(&logits(), targets(), &Projections::default(), &config.with_ratios([1.0, 1.0]));
    assert!(matches!(refused, Err(LossError::Shape { tensor: "logits", .. })));
}
