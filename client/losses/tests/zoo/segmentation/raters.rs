//! Distances between sets of masks.

use burn::tensor::{DType, Tensor};
use synod_losses::LossError;
use synod_losses::segmentation::raters::{
    energy_distance,
    frechet::{self, frechet},
    hard_ged,
    pulaski::{self, Distance, Latents, pulaski},
    sinkhorn::{self, sinkhorn},
    soft_ged,
};

use super::{mask, sigmoid};
use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const LOGITS: [usize; 3] = [2, 3, 5];
const RATERS: [usize; 3] = [2, 2, 5];

type Loss = fn(Tensor<3>, &Tensor<3>) -> Result<Tensor<1>, LossError>;

/// `blur` wide enough for the last step to be near the fixed point, whose gradient the loss has.
const LOSSES: [(&str, Loss); 3] = [
    ("energy", |logits, raters| energy_distance(logits, raters, &Default::default())),
    ("sinkhorn", |logits, raters| {
        sinkhorn(logits, raters, &sinkhorn::Config::default().with_blur(2.0).with_scaling(0.97).with_diameter(5.0))
    }),
    ("soft", |logits, raters| soft_ged(logits, raters, &Default::default())),
];

#[test]
fn gradients_equal_differences() {
    for (name, loss) in LOSSES {
        assert_gradient(name, &noise(30, 3), LOGITS, 2e-4, |at| loss(at, &leaf(&mask(20, 1), RATERS)).unwrap().mean());
    }
}

#[test]
fn energy_and_overlaps_equal_loops() {
    let (logits, raters) = (noise(30, 3), mask(20, 1));
    let sets = |image: usize| -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let x = logits[image * 15..][..15].chunks(5).map(|row| row.iter().map(|&logit| sigmoid(logit)).collect());
        (x.collect(), raters[image * 10..][..10].chunks(5).map(<[f64]>::to_vec).collect())
    };
    let mean = |left: &[Vec<f64>], right: &[Vec<f64>], d: &dyn Fn(&[f64], &[f64]) -> f64| {
        let sum: f64 = left.iter().flat_map(|a| right.iter().map(move |b| (a, b))).map(|(a, b)| d(a, b)).sum();
        sum / (left.len() * right.len()) as f64
    };
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().max(1e-8).sqrt();
    let overlap = |a: &[f64], b: &[f64]| {
        let both: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        1.0 - (both + 1e-6) / (a.iter().sum::<f64>() + b.iter().sum::<f64>() - both + 1e-6)
    };
    for (index, d, factor) in [(0, &distance as &dyn Fn(&[f64], &[f64]) -> f64, 0.5), (2, &overlap, 1.0)] {
        let expected: Vec<f64> = (0..2)
            .map(|image| {
                let (x, y) = sets(image);
                factor * (2.0 * mean(&x, &y, d) - mean(&x, &x, d) - mean(&y, &y, d))
            })
            .collect();
        let (name, loss) = LOSSES[index];
        assert_close(name, &numbers(loss(leaf(&logits, LOGITS), &leaf(&raters, RATERS)).unwrap()), &expected, 1e-9);
    }
}

/// Equal sets have no distance, and the order within a set does not matter.
#[test]
fn equal_sets_have_no_distance_in_any_order() {
    let masks = mask(30, 1);
    let certain: Vec<f64> = masks.iter().map(|mask| (mask - 0.5) * 2e3).collect();
    let reversed: Vec<f64> = certain.chunks(15).flat_map(|image| image.chunks(5).rev()).flatten().copied().collect();
    let mixed: Vec<f64> = noise(30, 3).chunks(15).flat_map(|image| image.chunks(5).rev()).flatten().copied().collect();
    for (name, loss) in LOSSES {
        let of = |logits: &[f64]| numbers(loss(leaf(logits, LOGITS), &leaf(&masks, LOGITS)).unwrap());
        assert_close(name, &of(&certain), &[0.0; 2], 1e-5);
        assert_close(name, &of(&reversed), &[0.0; 2], 1e-5);
        assert_close(name, &of(&mixed), &of(&noise(30, 3)), 1e-9);
    }
}

#[test]
fn on_masks_the_soft_distance_is_the_hard_one() {
    let certain: Vec<f64> = mask(30, 2).iter().map(|mask| (mask - 0.5) * 2e3).collect();
    let soft = soft_ged(leaf(&certain, LOGITS), &leaf(&mask(20, 1), RATERS), &Default::default()).unwrap();
    let hard = hard_ged(leaf(&certain, LOGITS), &leaf(&mask(20, 1), RATERS)).unwrap();
    assert_close("hard", &numbers(soft), &numbers(hard), 1e-5);
    let empty = hard_ged(leaf(&[-9.0; 30], LOGITS), &leaf(&[0.0; 20], RATERS)).unwrap();
    assert_eq!(numbers(empty), [0.0; 2]);
}

#[test]
fn one_sample_and_one_rater_are_compared_directly() {
    let (at, to) = (|| leaf(&[50.0, -50.0, 50.0], [1, 1, 3]), leaf(&[0.0, 0.0, 1.0], [1, 1, 3]));
    let energy = energy_distance(at(), &to, &Default::default()).unwrap();
    assert_close("energy", &numbers(energy), &[1.0 - 1e-4], 1e-9);
    let moved = sinkhorn(at(), &to, &Default::default()).unwrap();
    assert_close("sinkhorn", &numbers(moved), &[0.5], 1e-9);
    let same = at();
    let moved = sinkhorn(same.clone(), &leaf(&[1.0, 0.0, 1.0], [1, 1, 3]), &Default::default()).unwrap();
    assert_close("coinciding", &numbers(moved.clone()), &[0.0], 1e-9);
    assert_close("no gradient", &numbers(same.grad(&moved.backward()).unwrap()), &[0.0; 3], 1e-9);
}

#[test]
fn extreme_logits_stay_finite() {
    for level in [0.0, 1e3] {
        let logits: Vec<f64> = noise(30, 3).iter().map(|value| value * level).collect();
        for (name, loss) in LOSSES
            .into_iter()
            .chain([("sharp", (|logits, raters| sinkhorn(logits, raters, &Default::default())) as Loss)])
        {
            let at = leaf(&logits, LOGITS).cast(DType::F32).detach().require_grad();
            let value = loss(at.clone(), &leaf(&mask(20, 1), RATERS).cast(DType::F32)).unwrap().sum();
            let gradient = numbers(at.grad(&value.backward()).unwrap());
            assert!(gradient.iter().all(|slope| slope.is_finite()), "{name} at {level}: {gradient:?}");
        }
    }
}

#[test]
fn frechet_sees_mean_and_covariance_and_no_order() {
    let config = frechet::Config::default();
    let rows = noise(60, 4);
    let shifted: Vec<f64> = rows.iter().map(|value| value + 0.5).collect();
    let of = |rows: &[f64], raters: &[f64]| {
        numbers(frechet(leaf(rows, [5, 12]), &leaf(raters, [5, 12]), &config).unwrap())[0]
    };
    assert_close("shifted", &[of(&shifted, &rows)], &[3.0], 1e-9);
    assert_close("equal", &[of(&rows, &rows)], &[0.0], 1e-9);
    let reversed: Vec<f64> = rows.chunks(12).rev().flatten().copied().collect();
    assert_close("reversed", &[of(&reversed, &noise(60, 9))], &[of(&rows, &noise(60, 9))], 1e-9);
    assert_close("either way", &[of(&noise(60, 9), &rows)], &[of(&rows, &noise(60, 9))], 1e-9);
    // One column: the distance of two Gaussians is (m - M)^2 + (s - S)^2.
    let narrow = frechet(leaf(&[1.0, 3.0], [2, 1]), &leaf(&[0.0, 6.0], [2, 1]), &config).unwrap();
    assert_close("one column", &numbers(narrow), &[1.0 + (3.0 * 2f64.sqrt() - 2f64.sqrt()).powi(2)], 1e-9);
    assert_gradient("gradient", &noise(12, 2), [4, 3], 1e-5, |at| {
        frechet(at, &leaf(&noise(15, 7), [5, 3]), &config).unwrap()
    });
    for alike in [vec![0.0; 6], vec![2.0; 6]] {
        let at = leaf(&alike, [3, 2]);
        let value = frechet(at.clone(), &leaf(&alike, [3, 2]), &config).unwrap();
        assert_eq!(numbers(at.grad(&value.backward()).unwrap()), [0.0; 6]);
    }
    let refused = frechet(leaf(&[1.0, 2.0], [1, 2]), &leaf(&[1.0; 4], [2, 2]), &config);
    assert!(matches!(refused, Err(LossError::Shape { tensor: "pred_features", .. })));
    let refused = frechet(leaf(&[f64::NAN, 2.0], [2, 1]), &leaf(&[1.0; 4], [4, 1]), &config);
    assert!(matches!(refused, Err(LossError::NotFinite { .. })));
}

#[test]
fn the_whole_objective_adds_a_divergence_that_is_none_for_equal_gaussians() {
    let latents = |seed: [u64; 4]| {
        let [q_mean, q_logvar, p_mean, p_logvar] = seed.map(|seed| leaf(&noise(6, seed), [2, 3]));
        Latents { q_mean, q_logvar, p_mean, p_logvar }
    };
    for distance in [Distance::EnergyMmd, Distance::Sinkhorn, Distance::SoftGed] {
        let config = pulaski::Config::default().with_distance(distance).with_w_dist(0.5).with_w_latent(2.0);
        let of = |latents| pulaski(leaf(&noise(30, 3), LOGITS), &leaf(&mask(20, 1), RATERS), latents, &config).unwrap();
        let equal = of(latents([1, 2, 1, 2]));
        assert_close("equal", &numbers(equal.latent_kl), &[0.0], 1e-12);
        assert_close("loss", &numbers(equal.loss), &[0.5 * numbers(equal.distance)[0]], 1e-12);
        let apart = of(latents([1, 2, 3, 4]));
        assert!(numbers(apart.latent_kl.clone())[0] > 0.0);
        let sum = 0.5 * numbers(apart.distance)[0] + 2.0 * numbers(apart.latent_kl)[0];
        assert_close("loss", &numbers(apart.loss), &[sum], 1e-12);
    }
    for which in 0..4 {
        assert_gradient("latents", &noise(6, which as u64), [2, 3], 1e-6, |at| {
            let mut latents = latents([0, 1, 2, 3]);
            *[&mut latents.q_mean, &mut latents.q_logvar, &mut latents.p_mean, &mut latents.p_logvar][which] = at;
            pulaski(leaf(&noise(30, 3), LOGITS), &leaf(&mask(20, 1), RATERS), latents, &Default::default())
                .unwrap()
                .loss
        });
    }
}

#[test]
fn sets_that_do_not_fit_are_refused() {
    for (name, loss) in LOSSES {
        let refused = loss(leaf(&noise(30, 3), LOGITS), &leaf(&mask(12, 1), [2, 2, 3]));
        assert!(matches!(refused, Err(LossError::Shape { tensor: "raters", .. })), "{name}");
        let none = loss(leaf(&noise(30, 3), LOGITS), &leaf(&mask(20, 1), RATERS).slice([0..2, 0..0, 0..5]));
        assert!(matches!(none, Err(LossError::Shape { tensor: "raters", .. })), "{name}");
        let empty = loss(leaf(&noise(30, 3), LOGITS).slice(0..0), &leaf(&mask(20, 1), RATERS).slice(0..0));
        assert!(matches!(empty, Err(LossError::EmptyBatch { .. })), "{name}");
    }
}
