//! Extremes, too few samples, and options out of range.

use burn::tensor::Tensor;
use synod_losses::LossError;
use synod_losses::contrastive::{
    PatchMask, TemperatureNetwork, amcl_barlow, amcl_simclr, barlow_twins, easy_to_hard_mask, groco, hard_patches,
    hydra, info_nce, isogclr, isogclr_bimodal, masked_reconstruction, mixed_barlow_twins, noise_injection, nt_xent,
    pseudo_label_batches, robust_contrastive, scaled_negatives, simple_contrastive, soft_sort, target_anchored,
    tolerance, uniformity,
};

use super::{OF_PAIRS, assert_invalid, assert_refused, filled, ints, matrix, single, stack, vector};
use crate::support::{assert_close, leaf, numbers};

/// Value and gradient are finite.
fn assert_finite<const D: usize>(what: &str, input: &Tensor<D>, loss: Tensor<1>) {
    let gradient = input.grad(&loss.backward());
    let value = numbers(loss);
    assert!(value.iter().all(|value| value.is_finite()), "{what}: {value:?}");
    if let Some(gradient) = gradient {
        assert!(numbers(gradient).iter().all(|slope| slope.is_finite()), "{what}: gradient of {value:?}");
    }
}

#[test]
fn the_order_of_samples_does_not_matter() {
    for (name, _, loss) in OF_PAIRS {
        let (first, second) = (matrix([5, 3], 1), matrix([5, 3], 2));
        let back = numbers(loss(first.clone().flip([0]), second.clone().flip([0])).unwrap());
        assert_close(name, &back, &numbers(loss(first, second).unwrap()), 1e-12);
    }
}

#[test]
fn extremes_stay_finite() {
    let wild: Vec<f64> = (0..12).map(|index| if index % 3 == 0 { 1e3 } else { -1e3 }).collect();
    let spread: Vec<f64> = (0..12).map(|index| f64::from(index - 6) * 170.0).collect();
    for (name, rows_min, loss) in OF_PAIRS {
        for values in [&wild, &spread, &vec![0.0; 12], &vec![1.0; 12], &vec![1e-20; 12]] {
            let (first, second) = (single(values, [4, 3]), single(&wild, [4, 3]));
            assert_finite(name, &first, loss(first.clone(), second.clone()).unwrap());
            assert_finite(name, &second, loss(first.clone(), second.clone()).unwrap());
        }
        let fewest = single(&spread[..2 * rows_min], [rows_min, 2]);
        assert_finite(name, &fewest, loss(fewest.clone(), fewest.clone()).unwrap());
        let one_column = single(&spread[..rows_min], [rows_min, 1]);
        assert_finite(name, &one_column, loss(one_column.clone(), one_column.clone()).unwrap());
    }
}

#[test]
fn extremes_of_the_other_losses_stay_finite() {
    let device = filled([1, 1], 0.0).device();
    let z = Tensor::<3>::full([2, 3, 4], 1e3, &device).require_grad();
    let zeros = Tensor::<3>::zeros([2, 3, 4], &device).require_grad();
    for (first, second) in [(&z, &z), (&zeros, &z), (&zeros, &zeros)] {
        let network = TemperatureNetwork {
            w1: Tensor::full([2, 3, 8], 1e3, &device),
            b1: Tensor::zeros([2, 3], &device),
            w2: Tensor::full([2, 3], -1e3, &device),
            b2: Tensor::zeros([2], &device),
        };
        let config = amcl_simclr::Config::default().with_tau_min(1e-5).with_tau_max(2.0);
        let outcome = amcl_simclr::amcl_simclr(first.clone(), second.clone(), &network, &config).unwrap();
        assert_finite("amcl_simclr", first, outcome.values.mean());
        let parts = amcl_barlow::amcl_barlow(
            first.clone(),
            second.clone(),
            Tensor::full([2, 4, 4], -1e3, &device),
            &amcl_barlow::Config::default(),
        );
        assert_finite("amcl_barlow", first, parts.unwrap().loss(&amcl_barlow::Config::default()));
        let config = groco::Config::default().with_topk_neg(2).with_steepness(1e6).with_stop_grad(false);
        assert_finite("groco", first, groco::groco(first.clone(), &config).unwrap().mean());
    }
    // A positive at 1 and a negative at -1 the wrong way round, as hard as it gets.
    let scores = single(&[1.0, -1.0, 0.3, 0.3, -1.0], [1, 5]);
    let sorted = soft_sort(scores.clone(), 1e30).unwrap();
    assert_finite("soft_sort", &scores, sorted.permutation().sum() + sorted.values.sum());

    // Cold, with rows that point the same way: the exponents reach 1 / 0.001.
    let z = single(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], [3, 2]);
    let column = |value: f32| Tensor::<1>::full([3], value, &z.device());
    let state = isogclr::State { log_s: column(-1e30), tau: column(0.001), u: column(0.0) };
    let config = isogclr::Config::default().with_tau_min(0.001).with_tau_initial(0.001).with_tau_max(1.0);
    let step = isogclr::step(z.clone(), z.clone(), state, &config).unwrap();
    assert!(numbers(step.state.log_s).iter().all(|log_s| (log_s - 1000.0 - 0.8f64.ln()).abs() < 1e-2));
    assert_finite("isogclr", &z, step.values.mean());
    let side = || isogclr_bimodal::Side { s: column(0.0), b: column(0.0), u: column(0.0), tau: column(0.001) };
    let step = isogclr_bimodal::step(z.clone(), z.clone(), side(), side(), &isogclr_bimodal::Config::default());
    assert_finite("isogclr_bimodal", &z, step.unwrap().values.mean());
    let values = robust_contrastive::robust_contrastive(z.clone(), z.clone(), column(0.001), &Default::default());
    assert_finite("robust_contrastive", &z, values.unwrap().mean());
}

/// In single precision the mean of a constant column is not always the constant.
#[test]
fn constant_columns_count_as_zeros() {
    let z: Vec<f64> = (0..7).flat_map(|row| [123.456, f64::from(row * row)]).collect();
    let z = single(&z, [7, 2]);
    let c = barlow_twins::cross_correlation(z.clone(), z.clone(), &barlow_twins::Config::default()).unwrap();
    assert_eq!(numbers(c)[..3], [0.0; 3]);
    let parts = mixed_barlow_twins::mixed_barlow_twins(
        mixed_barlow_twins::Inputs {
            z1: z.clone(),
            z2: z.clone(),
            mixed: z.clone(),
            permutation: &[0, 1, 2, 3, 4, 5, 6],
            mix_coef: 0.5,
        },
        &mixed_barlow_twins::Config::default(),
    );
    let gradient = numbers(z.grad(&parts.unwrap().loss().backward()).unwrap());
    assert!(gradient.chunks(2).all(|row| row[0] == 0.0), "{gradient:?}");
}

#[test]
fn without_positives_or_negatives_hydra_is_zero() {
    let z = matrix([3, 2], 1);
    let loss = |y1: &[i64], y2: &[i64]| {
        let inputs = hydra::Inputs { z1: z.clone(), z2: z.clone(), gate_logits: z.clone(), y1: ints(y1), y2: ints(y2) };
        hydra::hydra(inputs, &hydra::Config::default()).unwrap()
    };
    for loss in [loss(&[0, 1, 2], &[7, 8, 9]), loss(&[4, 4, 4], &[4, 4, 4])] {
        assert_eq!(numbers(loss.clone()), [0.0]);
        assert_eq!(numbers(z.grad(&loss.backward()).unwrap()), [0.0; 6]);
    }
}

#[test]
fn too_few_samples_and_other_shapes_are_refused() {
    for (name, rows_min, loss) in OF_PAIRS {
        let of_rows = |rows: usize| loss(filled([rows, 3], 1.0), filled([rows, 3], 1.0));
        assert!(of_rows(rows_min).is_ok(), "{name}");
        assert_refused(name, of_rows(rows_min - 1));
        assert_refused(name, of_rows(0));
        if name != "uniformity" {
            assert_refused(name, loss(filled([3, 3], 1.0), filled([4, 3], 1.0)));
            assert_refused(name, loss(filled([3, 3], 1.0), filled([3, 2], 1.0)));
        }
    }
    assert_refused("tolerance", tolerance::tolerance(matrix([3, 2], 1), ints(&[0, 1])));
    assert_refused("tolerance", tolerance::tolerance(matrix([1, 2], 1), ints(&[0])));
    assert_refused("one view", groco::groco(stack([1, 4, 3], 1), &groco::Config::default().with_topk_neg(1)));
    assert_refused("too many negatives", groco::groco(stack([2, 4, 3], 1), &groco::Config::default().with_topk_neg(4)));
    let config = groco::Config::default().with_topk_neg(1).with_n_pos_views(3);
    assert_refused("too many positives", groco::groco(stack([2, 4, 3], 1), &config));
    let absolute = hard_patches::Config::default().with_form(hard_patches::Form::Absolute);
    assert_refused("one patch", hard_patches::hard_patches(matrix([3, 1], 1), matrix([3, 1], 2), &absolute));
    let column = || vector(&[0.5, 0.5, 0.5]);
    let state = isogclr::State { log_s: column(), tau: column(), u: vector(&[0.0]) };
    assert_refused("isogclr", isogclr::step(matrix([3, 2], 1), matrix([3, 2], 2), state, &Default::default()));
}

#[test]
fn masks_must_be_whole_and_even() {
    assert_refused("empty", PatchMask::new(&[], 4));
    assert_refused("part of a sample", PatchMask::new(&[true, false, true], 2));
    assert_refused("nothing masked", PatchMask::new(&[false; 4], 2));
    assert_refused("uneven", PatchMask::new(&[true, false, true, true], 2));
    let mask = PatchMask::new(&[true, false, true, false], 2).unwrap();
    let config = masked_reconstruction::Config::default();
    let reconstruct = |shape: [usize; 3], config| {
        masked_reconstruction::masked_reconstruction(stack(shape, 1), stack(shape, 2), &mask, config)
    };
    assert!(reconstruct([2, 2, 2], &config).is_ok());
    assert_refused("more patches", reconstruct([2, 3, 2], &config));
    assert_refused("one value", reconstruct([2, 2, 1], &config));
    assert!(reconstruct([2, 2, 1], &masked_reconstruction::Config::default().with_norm_pix(false)).is_ok());
    let config = easy_to_hard_mask::Config::default().with_total_epochs(3);
    let mask = |predicted: &[f64], noise: &[f64], epoch| {
        easy_to_hard_mask::easy_to_hard_mask(predicted, noise, 4, epoch, &config)
    };
    assert!(mask(&[0.0; 8], &[0.0; 8], 2).is_ok());
    assert!(matches!(mask(&[0.0; 8], &[0.0; 8], 3), Err(LossError::Config { source, .. }) if source.option == "epoch"));
    assert!(matches!(mask(&[f64::NAN; 4], &[0.0; 4], 0), Err(LossError::NotFinite { position: 0, .. })));
    assert_refused("part of a sample", mask(&[0.0; 6], &[0.0; 6], 0));
    assert_refused("other noise", mask(&[0.0; 8], &[0.0; 4], 0));
}

#[test]
fn indices_and_permutations_are_checked_on_the_host() {
    assert!(scaled_negatives::check_negatives(&[0, 1], &[1, 2, 0, 2], 3).is_ok());
    assert!(scaled_negatives::check_negatives(&[0, 1], &[], 3).is_ok());
    let error = scaled_negatives::check_negatives(&[0, 1], &[1, 2, 0, 1], 3).unwrap_err();
    assert!(matches!(error, LossError::Config { .. }), "{error}");
    assert!(matches!(scaled_negatives::check_negatives(&[0, 3], &[], 3), Err(LossError::Label { label: 3, .. })));
    assert!(matches!(scaled_negatives::check_negatives(&[0], &[-1], 3), Err(LossError::Label { label: -1, .. })));
    assert_refused("uneven", scaled_negatives::check_negatives(&[0, 1], &[2, 2, 2], 3));
    let mix = |permutation: &[usize], mix_coef: f64| {
        let z = || matrix([3, 2], 1);
        let inputs = mixed_barlow_twins::Inputs { z1: z(), z2: z(), mixed: z(), permutation, mix_coef };
        mixed_barlow_twins::mixed_barlow_twins(inputs, &mixed_barlow_twins::Config::default())
    };
    assert!(mix(&[2, 0, 1], 1.0).is_ok());
    for (permutation, mix_coef, option) in [
        (&[0, 1][..], 0.5, "permutation"),
        (&[0, 1, 3], 0.5, "permutation"),
        (&[0, 1, 1], 0.5, "permutation"),
        (&[0, 1, 2], 1.1, "mix_coef"),
        (&[0, 1, 2], f64::NAN, "mix_coef"),
    ] {
        let error = mix(permutation, mix_coef).unwrap_err();
        assert!(matches!(&error, LossError::Config { source, .. } if source.option == option), "{error}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_invalid("temperature", nt_xent::Config::default().with_temperature(temperature));
        assert_invalid("temperature", info_nce::Config::default().with_temperature(temperature));
        assert_invalid("temperature", scaled_negatives::Config::default().with_temperature(temperature));
        assert_invalid("temperature", target_anchored::Config::default().with_temperature(temperature));
        assert_invalid("lambda", simple_contrastive::Config::default().with_lambda(temperature));
        assert_invalid("t", uniformity::Config::default().with_t(temperature));
        assert_invalid("lambda", mixed_barlow_twins::Config::default().with_lambda(temperature));
        assert_invalid("steepness", groco::Config::default().with_steepness(temperature));
        assert_invalid("scale", hydra::Config::default().with_scale(temperature));
        assert_invalid("tau_min", amcl_simclr::Config::default().with_tau_min(temperature).with_tau_max(2.0));
        assert_invalid(
            "tau_min",
            isogclr::Config::default().with_tau_min(temperature).with_tau_initial(0.1).with_tau_max(1.0),
        );
        assert_invalid("eta", isogclr_bimodal::Config::default().with_eta(temperature));
        assert!(soft_sort(matrix([1, 2], 1), temperature).is_err());
    }
    assert_invalid("alpha", info_nce::Config::default().with_alpha(0.0));
    assert_invalid("alpha", info_nce::Config::default().with_alpha(1.1));
    assert_invalid("alpha", simple_contrastive::Config::default().with_alpha(f64::NAN));
    assert_invalid("lambda", barlow_twins::Config::default().with_lambda(-1.0));
    assert_invalid("eps", barlow_twins::Config::default().with_eps(-1.0));
    assert_invalid("mix_scale", mixed_barlow_twins::Config::default().with_mix_scale(-1.0));
    assert_invalid("beta", amcl_barlow::Config::default().with_beta(-1.0));
    assert_invalid("tau_max", amcl_barlow::Config::default().with_tau_min(1.0).with_tau_max(0.5));
    assert_invalid("lambda", amcl_barlow::Config::default().with_lambda(0.0));
    assert_invalid("gamma", isogclr::Config::default().with_gamma(0.0));
    assert_invalid("rho", isogclr::Config::default().with_rho(f64::NAN));
    assert_invalid("beta_u", isogclr::Config::default().with_beta_u(1.5).with_grad_clip(3.0));
    assert_invalid("grad_clip", isogclr_bimodal::Config::default().with_beta_u(0.5).with_grad_clip(0.0));
    assert_invalid("rho", robust_contrastive::Config::default().with_rho(f64::INFINITY));
    assert_invalid("topk_neg", groco::Config::default().with_topk_neg(0));
    assert_invalid("n_pos_views", groco::Config::default().with_n_pos_views(1));
    assert_invalid("gate_penalty", hydra::Config::default().with_gate_penalty(-0.1));
    assert_invalid("noise_scale", noise_injection::Config::default().with_noise_scale(-0.1));
    assert_invalid("batch_size", pseudo_label_batches::Config::default().with_batch_size(0));
    assert_invalid("mask_ratio", easy_to_hard_mask::Config::default().with_mask_ratio(1.0));
    assert_invalid("total_epochs", easy_to_hard_mask::Config::default().with_total_epochs(0));
}

#[test]
fn no_clusters_no_batches() {
    assert_refused("clusters", pseudo_label_batches::pseudo_label_batches(&[], &Default::default()));
    let config = pseudo_label_batches::Config::default().with_batch_size(usize::MAX);
    let batches = pseudo_label_batches::pseudo_label_batches(&[u64::MAX, 0], &config).unwrap();
    assert_eq!((batches.order, batches.full_batches, batches.repeats), (vec![1, 0], 0, 0));
}

#[test]
fn noise_is_scaled_by_row() {
    let noisy = noise_injection::inject_noise(
        leaf(&[1.0, 2.0, 3.0, 4.0], [2, 2]),
        vector(&[0.0, 1.0]),
        leaf(&[5.0, 6.0, -2.0, 8.0], [2, 2]),
        &noise_injection::Config::default(),
    );
    assert_eq!(numbers(noisy.unwrap()), [1.0, 2.0, 2.0, 8.0]);
    let refused =
        noise_injection::inject_noise(matrix([2, 2], 1), vector(&[0.0]), matrix([2, 2], 2), &Default::default());
    assert_refused("uniform", refused);
}
