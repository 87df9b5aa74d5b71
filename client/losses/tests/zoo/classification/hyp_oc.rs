//! One-class classification in the Poincaré ball.

use burn::tensor::{DType, Device, Int, Tensor};
use synod_losses::classification::hyp_oc::hyp_ce::{self, Hyperplanes, hyp_ce};
use synod_losses::classification::hyp_oc::hyp_pc::{self, Distance, hyp_pc};
use synod_losses::classification::hyp_oc::{hyp_oc, pseudo_negative, to_poincare, total};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex().autodiff())
}

fn planes(a: &[f64], p: &[f64], shape: [usize; 2]) -> Hyperplanes {
    Hyperplanes { a_vals: leaf(a, shape), p_vals: leaf(p, shape) }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The Möbius sum of the card.
fn mobius(x: &[f64], y: &[f64], c: f64) -> Vec<f64> {
    let (xy, xx, yy) = (dot(x, y), dot(x, x), dot(y, y));
    let denominator = 1.0 + 2.0 * c * xy + c * c * xx * yy + 1e-5;
    let entry = |(x, y): (&f64, &f64)| ((1.0 + 2.0 * c * xy + c * yy) * x + (1.0 - c * xx) * y) / denominator;
    x.iter().zip(y).map(entry).collect()
}

fn exp0(u: &[f64], c: f64) -> Vec<f64> {
    let n = dot(u, u).sqrt().max(1e-5) * c.sqrt();
    u.iter().map(|u| n.tanh() * u / n).collect()
}

#[test]
fn logits_equal_a_naive_loop_over_points_and_planes() {
    let c = 0.3;
    let (points, a, p): (Vec<f64>, _, _) = (noise(12, 1).iter().map(|x| x * 0.5).collect(), noise(9, 2), noise(9, 3));
    let mut expected = Vec::new();
    for y in points.chunks(3) {
        for (a, p) in a.chunks(3).zip(p.chunks(3)) {
            let offset = exp0(p, c);
            let shrinkage = 1.0 - c * dot(&offset, &offset);
            let normal: Vec<f64> = a.iter().map(|a| a * shrinkage).collect();
            let m = mobius(&offset.iter().map(|p| -p).collect::<Vec<_>>(), y, c);
            let length = dot(&normal, &normal).sqrt();
            let sine = 2.0 * c.sqrt() * dot(&m, &normal) / (length * (1.0 - c * dot(&m, &m)));
            expected.push(2.0 / shrinkage * length / c.sqrt() * sine.asinh());
        }
    }
    let found = hyp_ce::logits(leaf(&points, [4, 3]), planes(&a, &p, [3, 3]), c).unwrap();
    assert_close("logits", &numbers(found), &expected, 1e-10);

    let config = hyp_ce::Config::default().with_curvature(c);
    let loss = |points, a_vals, p_vals| {
        hyp_ce(points, labels(&[0, 1, 2, 1]), Hyperplanes { a_vals, p_vals }, &config).unwrap().mean()
    };
    let (points_at, a_at, p_at) = (|| leaf(&points, [4, 3]), || leaf(&a, [3, 3]), || leaf(&p, [3, 3]));
    assert_gradient("points", &points, [4, 3], 1e-6, |points| loss(points, a_at(), p_at()));
    assert_gradient("a_vals", &a, [3, 3], 1e-6, |a| loss(points_at(), a, p_at()));
    assert_gradient("p_vals", &p, [3, 3], 1e-6, |p| loss(points_at(), a_at(), p));
}

#[test]
fn laws_of_the_logits() {
    let (a, p) = (noise(8, 5), noise(8, 6));
    let at_offset: Vec<f64> = p.chunks(4).flat_map(|p| exp0(p, 0.1)).collect();
    let logits = numbers(hyp_ce::logits(leaf(&at_offset, [2, 4]), planes(&a, &p, [2, 4]), 0.1).unwrap());
    assert_close("at its offset", &[logits[0], logits[3]], &[0.0, 0.0], 1e-12);

    let points: Vec<f64> = noise(12, 7).iter().map(|x| x * 0.4).collect();
    let with = |a: &[f64], c: f64| numbers(hyp_ce::logits(leaf(&points, [3, 4]), planes(a, &p, [2, 4]), c).unwrap());
    let negated: Vec<f64> = with(&a.iter().map(|a| -a).collect::<Vec<_>>(), 0.1).iter().map(|logit| -logit).collect();
    assert_close("negated normals", &negated, &with(&a, 0.1), 1e-12);
    let euclidean: Vec<f64> = points
        .chunks(4)
        .flat_map(|y| a.chunks(4).zip(p.chunks(4)).map(move |(a, p)| 4.0 * (dot(y, a) - dot(p, a))))
        .collect();
    assert_close("small curvature", &with(&a, 1e-7), &euclidean, 1e-4);
    assert_eq!(with(&[0.0; 8], 0.1), [0.0; 6], "planes without a normal");
}

#[test]
fn pairs_equal_a_naive_loop_and_gradients_equal_finite_differences() {
    let points: Vec<f64> = noise(12, 8).iter().map(|x| x * 0.6).collect();
    for (distance, c) in [(Distance::Atan, 0.1), (Distance::Atanh, 0.4)] {
        let config = hyp_pc::Config::default().with_curvature(c).with_distance(distance);
        let expected: Vec<f64> = (0..2)
            .map(|pair| {
                let x: Vec<f64> = points[pair * 3..pair * 3 + 3].iter().map(|x| -x).collect();
                let difference = mobius(&x, &points[(pair + 2) * 3..(pair + 3) * 3], c);
                let t = dot(&difference, &difference).sqrt() * c.sqrt();
                if distance == Distance::Atan { t.atan() / c.sqrt() } else { t.atanh() / c.sqrt() }
            })
            .collect();
        assert_close("pairs", &numbers(hyp_pc(leaf(&points, [4, 3]), &config).unwrap()), &expected, 1e-10);
        assert_gradient("points", &points, [4, 3], 1e-6, |points| hyp_pc(points, &config).unwrap().mean());
    }
}

#[test]
fn laws_of_the_pairs() {
    let points = noise(8, 9).iter().map(|x| x * 0.3).collect::<Vec<_>>();
    let with = |distance, c| {
        let config = hyp_pc::Config::default().with_curvature(c).with_distance(distance);
        numbers(hyp_pc(leaf(&points, [4, 2]), &config).unwrap())
    };
    for (low, high) in with(Distance::Atan, 0.5).into_iter().zip(with(Distance::Atanh, 0.5)) {
        assert!(low <= high);
    }
    let euclidean: Vec<f64> = (0..2)
        .map(|pair| {
            let (x, y) = (&points[pair * 2..pair * 2 + 2], &points[pair * 2 + 4..pair * 2 + 6]);
            (dot(x, x) + dot(y, y) - 2.0 * dot(x, y)).sqrt()
        })
        .collect();
    assert_close("small curvature", &with(Distance::Atan, 1e-4), &euclidean, 1e-4);

    let same = leaf(&[0.3, 0.1, 0.3, 0.1], [2, 2]);
    let value = hyp_pc(same.clone(), &hyp_pc::Config::default()).unwrap();
    assert_eq!(numbers(value.clone()), [0.0]);
    assert_eq!(numbers(same.grad(&value.backward()).unwrap()), [0.0; 4]);
}

#[test]
fn points_stay_in_the_ball_and_zero_features_are_the_base_point() {
    let config = to_poincare::Config::default().with_curvature(1.0).with_clip_r(0.0);
    let far = [3.0, 4.0, 1e3, -1e3, 1e-9, 0.0];
    let points = numbers(to_poincare(leaf(&far, [3, 2]), leaf(&[0.0; 2], [2]), &config).unwrap());
    assert_close("by hand", &points[..2], &[0.5994, 0.7992], 1e-9);
    assert!(points.chunks(2).all(|point| dot(point, point).sqrt() <= 0.999 + 1e-12));
    let base = [0.4, -0.2];
    let points = numbers(to_poincare(leaf(&[0.0; 2], [1, 2]), leaf(&base, [2]), &config).unwrap());
    assert_close("base", &points, &exp0(&base, 1.0), 1e-4);
}

#[test]
fn the_map_is_differentiated_and_its_metric_scales_gradients_only() {
    let (features, base) = (noise(6, 11), [0.3, -0.5, 0.2]);
    let plain = to_poincare::Config::default().with_riemannian(false);
    let loss = |features, base| to_poincare(features, base, &plain).unwrap().square().sum();
    assert_gradient("features", &features, [2, 3], 1e-6, |features| loss(features, leaf(&base, [3])));
    assert_gradient("base", &base, [3], 1e-6, |base| loss(leaf(&features, [2, 3]), base));

    let run = |config: &to_poincare::Config| {
        let at = leaf(&features, [2, 3]);
        let points = to_poincare(at.clone(), leaf(&base, [3]), config).unwrap();
        (numbers(points.clone()), numbers(at.grad(&points.sum().backward()).unwrap()))
    };
    let ((points, slopes), (same, scaled)) = (run(&plain), run(&to_poincare::Config::default()));
    assert_eq!(points, same);
    for ((point, slopes), scaled) in points.chunks(3).zip(slopes.chunks(3)).zip(scaled.chunks(3)) {
        let metric = (1.0 - 0.1 * dot(point, point)).powi(2) / 4.0;
        let expected: Vec<f64> = slopes.iter().map(|slope| slope * metric).collect();
        assert_close("scaled", scaled, &expected, 1e-10);
    }
}

#[test]
fn the_total_is_the_sum_of_its_parts() {
    let (features, a, p) = (noise(16, 12), noise(4, 13), noise(4, 14));
    let config = total::Config::default();
    let parts = hyp_oc(leaf(&features, [8, 2]), leaf(&[0.1, 0.0], [2]), planes(&a, &p, [2, 2]), &config).unwrap();
    let map = to_poincare::Config::default();
    let points = to_poincare(leaf(&features, [8, 2]), leaf(&[0.1, 0.0], [2]), &map).unwrap();
    let genuine = hyp_pc(points.clone().slice([0..4, 0..2]), &hyp_pc::Config::default()).unwrap();
    let classes = labels(&[0, 0, 0, 0, 1, 1, 1, 1]);
    let all = hyp_ce(points, classes, planes(&a, &p, [2, 2]), &hyp_ce::Config::default()).unwrap();
    assert_close("hyp_pc", &numbers(parts.hyp_pc.clone()), &numbers(genuine.mean()), 1e-12);
    assert_close("hyp_ce", &numbers(parts.hyp_ce.clone()), &numbers(all.mean()), 1e-12);
    let sum = numbers(parts.hyp_ce.clone())[0] + numbers(parts.hyp_pc.clone())[0];
    assert_close("total", &numbers(parts.total()), &[sum], 1e-12);
}

#[test]
fn extremes_stay_finite_in_single_precision() {
    let single = |values: &[f64], shape: [usize; 2]| leaf(values, shape).cast(DType::F32).detach().require_grad();
    let features = single(&[1e3, -1e3, 0.0, 0.0, 1e-20, 0.0, 5.0, 5.0], [4, 2]);
    for clip_r in [0.0, 2.0] {
        let planes = Hyperplanes { a_vals: single(&[1e3, 0.0, 0.0, 0.0], [2, 2]), p_vals: single(&[1e3; 4], [2, 2]) };
        let config = total::Config::default().with_clip_r(clip_r).with_distance(Distance::Atanh);
        let base = Tensor::zeros([2], (&features.device(), DType::F32));
        let loss = hyp_oc(features.clone(), base, planes, &config).unwrap().total();
        let gradient = numbers(features.grad(&loss.backward()).unwrap());
        assert!(numbers(loss)[0].is_finite() && gradient.iter().all(|slope| slope.is_finite()), "{gradient:?}");
    }
}

#[test]
fn pseudo_negatives_surround_the_moving_mean_without_gradient() {
    let batch = leaf(&[1.0, 2.0, 3.0, 6.0], [2, 2]);
    let config = pseudo_negative::Config::default().with_alpha(0.25).with_variance(4.0);
    let gauss = leaf(&[0.5, 0.0, -1.0, 1.0], [2, 2]);
    let draw = pseudo_negative(batch.clone(), leaf(&[4.0, 0.0], [2]), gauss, &config).unwrap();
    assert_eq!(numbers(draw.next_previous_mean), [2.0, 4.0]);
    assert_eq!(numbers(draw.sampling_mean), [2.5, 3.0]);
    assert_eq!(numbers(draw.samples.clone()), [3.5, 3.0, 0.5, 5.0]);
    assert!(batch.grad(&draw.samples.sum().backward()).is_none());
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |error: LossError, tensor: &str| {
        assert!(matches!(&error, LossError::Shape { tensor: found, .. } if *found == tensor), "{error}");
    };
    refused(hyp_pc(leaf(&[0.0; 3], [3, 1]), &hyp_pc::Config::default()).unwrap_err(), "points");
    let map = to_poincare::Config::default();
    refused(to_poincare(leaf(&[0.0; 2], [1, 2]), leaf(&[0.0], [1]), &map).unwrap_err(), "base");
    let narrow = || planes(&[1.0; 2], &[0.0; 2], [2, 1]);
    refused(hyp_ce::logits(leaf(&[0.0; 2], [1, 2]), narrow(), 0.1).unwrap_err(), "a_vals");
    let config = total::Config::default();
    let zero = || leaf(&[0.0], [1]);
    refused(hyp_oc(leaf(&[0.0; 6], [6, 1]), zero(), narrow(), &config).unwrap_err(), "features");
    let one = planes(&[1.0], &[0.0], [1, 1]);
    refused(hyp_oc(leaf(&[0.0; 4], [4, 1]), zero(), one, &config).unwrap_err(), "a_vals");
    let config = pseudo_negative::Config::default();
    refused(
        pseudo_negative(zero().reshape([1, 1]), leaf(&[0.0; 2], [2]), zero().reshape([1, 1]), &config).unwrap_err(),
        "previous_mean",
    );
    assert!(config.with_alpha(1.5).validate().is_err());
    assert!(pseudo_negative::Config::default().with_variance(0.0).validate().is_err());
    assert!(hyp_ce::Config::default().with_curvature(0.0).validate().is_err());
    assert!(total::Config::default().with_clip_r(-1.0).validate().is_err());
}
