//! Gradients of maps.

use burn::tensor::Tensor;
use synod_losses::LossError;
use synod_losses::regression::maps::map_gradient::{self, Direction};
use synod_losses::regression::maps::{map_generator, map_gradient as gradient};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

/// Magnitude and direction of one map, cell by cell.
fn naive(p: &[f64], t: &[f64], mask: &[f64], [height, width]: [usize; 2], direction: Direction) -> (f64, f64) {
    let slope = |map: &[f64], y: usize, x: usize| {
        let one = |at: &dyn Fn(usize) -> f64, i: usize, size: usize| match i {
            0 => at(1) - at(0),
            _ if i == size - 1 => at(i) - at(i - 1),
            _ => (at(i + 1) - at(i - 1)) / 2.0,
        };
        (one(&|x| map[y * width + x], x, width), one(&|y| map[y * width + x], y, height))
    };
    let (mut magnitude, mut turned) = (0.0, 0.0);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let ((px, py), (tx, ty)) = (slope(p, y, x), slope(t, y, x));
        let (sp, st) = (px * px + py * py, tx * tx + ty * ty);
        let (mp, mt) = ((sp + 1e-8).sqrt(), (st + 1e-8).sqrt());
        let w = mask[y * width + x];
        magnitude += w * (mp - mt).abs();
        if sp > 1e-12 && st > 1e-12 {
            let along = px * tx + py * ty;
            turned += w * match direction {
                Direction::Cosine => 1.0 - along / (mp * mt),
                Direction::Angle => (py * tx - px * ty).atan2(along).abs() / std::f64::consts::PI,
            };
        }
    }
    let kept: f64 = mask.iter().sum();
    (magnitude / kept, turned / kept)
}

#[test]
fn magnitude_and_direction_equal_a_naive_loop() {
    for ([height, width], direction) in [
        ([4, 5], Direction::Cosine),
        ([5, 4], Direction::Angle),
        ([2, 2], Direction::Cosine),
        ([2, 3], Direction::Angle),
    ] {
        let cells = height * width;
        // Waves alone would have the same direction everywhere.
        let rough = |seed| noise(cells, seed).into_iter().map(|x| x.powi(3)).collect::<Vec<f64>>();
        let (p, mut t) = (rough(1), rough(2));
        t[..2].fill(0.5);
        let mask: Vec<f64> = (0..cells).map(|cell| f64::from(cell % 3 != 1)).collect();
        let config = map_gradient::Config::default().with_direction(direction).with_lambda_dir(0.5);
        let of = |p| {
            let mask = leaf(&mask, [1, height, width]).detach();
            gradient(p, leaf(&t, [1, height, width]), Some(mask), &config).unwrap()
        };
        let (magnitude, turned) = naive(&p, &t, &mask, [height, width], direction);
        let values = of(leaf(&p, [1, height, width]));
        assert_close("magnitude", &numbers(values.magnitude), &[magnitude], 1e-9);
        assert_close("direction", &numbers(values.direction), &[turned], 1e-9);
        assert_close("total", &numbers(values.total), &[magnitude + 0.5 * turned], 1e-9);
        assert_gradient(&format!("{height} {width} {direction:?}"), &p, [1, height, width], 1e-6, |p| of(p).total);
    }
}

#[test]
fn maps_are_compared_up_to_a_constant_and_directions_up_to_a_factor() {
    let (p, t) = (noise(24, 3), noise(24, 4));
    for (direction, opposite) in [(Direction::Cosine, 2.0), (Direction::Angle, 1.0)] {
        let config = map_gradient::Config::default().with_direction(direction);
        let of = |p: Tensor<3>, t: Tensor<3>| gradient(p, t, None, &config).unwrap();
        let (p, t) = (leaf(&p, [2, 3, 4]), leaf(&t, [2, 3, 4]));
        let plain = of(p.clone(), t.clone());
        let turned = of(p.clone().swap_dims(1, 2), t.clone().swap_dims(1, 2));
        assert_close("transposed", &numbers(turned.total), &numbers(plain.total.clone()), 1e-12);
        let moved = of(p.clone() + 5.0, t.clone() - 3.0);
        assert_close("moved", &numbers(moved.total), &numbers(plain.total), 1e-9);
        let doubled = of(p * 2.0, t.clone());
        assert_close("doubled", &numbers(doubled.direction), &numbers(plain.direction), 1e-6);
        assert_close("opposite", &numbers(of(t.clone().neg(), t).direction), &[opposite], 1e-5);
    }
}

#[test]
fn flat_and_fully_masked_maps_stay_finite() {
    for direction in [Direction::Cosine, Direction::Angle] {
        let config = map_gradient::Config::default().with_direction(direction);
        let flat = || leaf(&[0.3; 6], [1, 2, 3]).cast(burn::tensor::DType::F32);
        let live = flat().detach().require_grad();
        let values = gradient(live.clone(), flat() * 1e3, None, &config).unwrap();
        let slopes = numbers(live.grad(&values.total.clone().backward()).unwrap());
        assert!(slopes.iter().all(|slope| slope.is_finite()) && numbers(values.total)[0] == 0.0);
        let masked = gradient(flat(), flat(), Some(flat() * 0.0), &config).unwrap();
        assert_eq!(numbers(masked.total), [0.0]);
    }
}

#[test]
fn the_generator_adds_the_discriminator_and_the_absolute_error() {
    let (p, t, logits) = (noise(12, 5), noise(12, 6), noise(5, 7));
    let of = |p, logits| {
        map_generator(p, leaf(&t, [2, 2, 3]), None, logits, &map_generator::Config::default().with_lambda_l1(10.0))
            .unwrap()
    };
    let values = of(leaf(&p, [2, 2, 3]), leaf(&logits, [5]));
    let adversarial = logits.iter().map(|d| (-d).exp().ln_1p()).sum::<f64>() / 5.0;
    let absolute = p.iter().zip(&t).map(|(p, t)| (p - t).abs()).sum::<f64>() / 12.0;
    assert_close("adversarial", &numbers(values.adversarial), &[adversarial], 1e-9);
    assert_close("absolute", &numbers(values.absolute), &[absolute], 1e-9);
    let gradient = numbers(values.gradient.total)[0];
    assert_close("total", &numbers(values.total), &[adversarial + 10.0 * absolute + gradient], 1e-9);
    assert_gradient("p", &p, [2, 2, 3], 1e-6, |p| of(p, leaf(&logits, [5])).total);
    assert_gradient("logits", &logits, [5], 1e-7, |logits| of(leaf(&p, [2, 2, 3]), logits).total);
}

#[test]
fn thin_and_uneven_maps_are_refused() {
    let map = |shape: [usize; 3]| leaf(&noise(shape.iter().product(), 1), shape);
    let refused = |p, t, mask| gradient(p, t, mask, &Default::default()).unwrap_err();
    assert!(matches!(refused(map([1, 1, 3]), map([1, 1, 3]), None), LossError::Shape { tensor: "prediction", .. }));
    assert!(matches!(refused(map([1, 2, 3]), map([1, 3, 2]), None), LossError::Shape { tensor: "target", .. }));
    let mask = Some(map([1, 2, 2]));
    assert!(matches!(refused(map([1, 2, 3]), map([1, 2, 3]), mask), LossError::Shape { tensor: "mask", .. }));
    assert!(matches!(refused(map([0, 2, 3]), map([0, 2, 3]), None), LossError::EmptyBatch { .. }));
}
