//! Laws that the cards of the papers claim.

use burn::tensor::{Gradients, Tensor};
use proptest::prelude::*;
use synod_losses::contrastive::{
    PatchMask, TemperatureNetwork, amcl_simclr, barlow_twins, easy_to_hard_mask, groco, hard_patches, hydra, info_nce,
    isogclr, mixed_barlow_twins, nt_xent, pseudo_label_batches, robust_contrastive, scaled_negatives,
    simple_contrastive, soft_sort, target_anchored, uniformity,
};

use super::{ints, matrix, mean, rows, stack, unit_matrix, vector};
use crate::support::{assert_close, leaf, noise, numbers};

/// The gradient of an input, zeros if it has none.
fn gradient<const D: usize>(input: &Tensor<D>, gradients: &Gradients) -> Vec<f64> {
    input.grad(gradients).map_or_else(|| vec![0.0; input.shape().num_elements()], numbers)
}

#[test]
fn all_negatives_are_the_plain_losses_and_fewer_never_cost_more() {
    let (anchors, keys) = (matrix([7, 4], 1), matrix([7, 4], 2));
    let info = |alpha: f64| {
        let config = info_nce::Config::default().with_alpha(alpha);
        numbers(info_nce::info_nce(anchors.clone(), keys.clone(), &config).unwrap())
    };
    let simple = |alpha: f64| {
        let config = simple_contrastive::Config::default().with_alpha(alpha);
        numbers(simple_contrastive::simple_contrastive(anchors.clone(), keys.clone(), &config).unwrap())
    };
    // As good as 1, but on the path of the hardest.
    let almost = 1.0 - 1e-9;
    assert_close("info_nce", &info(almost), &info(1.0), 1e-12);
    assert_close("simple", &simple(almost), &simple(1.0), 1e-12);
    assert!(info(0.3).iter().zip(info(1.0)).all(|(hard, plain)| *hard <= plain + 1e-12));
}

#[test]
fn a_cold_loss_is_the_hardest_negative_and_a_hot_one_the_mean() {
    let (anchors, keys) = (matrix([6, 4], 1), matrix([6, 4], 2));
    let at = |tau: f64| {
        let config = info_nce::Config::default().with_temperature(tau);
        mean(&numbers(info_nce::info_nce(anchors.clone(), keys.clone(), &config).unwrap()))
    };
    let unit = |z: &Tensor<2>| super::unit_rows(&rows(z.clone()));
    let (a, k) = (unit(&anchors), unit(&keys));
    let gaps = |i: usize| {
        let own = super::dot(&a[i], &k[i]);
        (0..6).filter(move |&j| j != i).map(|j| super::dot(&a[i], &k[j]) - own).collect::<Vec<f64>>()
    };
    let hardest: Vec<f64> = (0..6).map(|i| gaps(i).into_iter().fold(0.0, f64::max)).collect();
    assert_close("cold", &[0.001 * at(0.001)], &[mean(&hardest)], 1e-3);
    let means: Vec<f64> = (0..6).map(|i| mean(&gaps(i))).collect();
    assert_close("hot", &[1e4 * (at(1e4) - 6f64.ln())], &[5.0 / 6.0 * mean(&means)], 1e-4);
}

#[test]
fn penalties_of_an_anchor_add_up_to_one() {
    let penalty = info_nce::relative_penalty(matrix([5, 3], 1), matrix([5, 3], 2), &info_nce::Config::default());
    for row in rows(penalty.unwrap()) {
        assert_close("row", &[row.iter().sum()], &[1.0], 1e-12);
    }
}

#[test]
fn uniformity_is_zero_only_where_all_rows_coincide() {
    let config = uniformity::Config::default();
    let same = uniformity::uniformity(leaf(&[0.3, -0.4, 0.6, -0.8, 0.9, -1.2], [3, 2]), &config).unwrap();
    assert_close("same", &numbers(same), &[0.0], 1e-12);
    assert!(numbers(uniformity::uniformity(matrix([5, 3], 1), &config).unwrap())[0] < -0.1);
}

#[test]
fn nt_xent_of_equal_embeddings_one_pair_and_scaled_rows() {
    let config = nt_xent::Config::default();
    let (z1, z2) = (matrix([4, 3], 1), matrix([4, 3], 2));
    let same = leaf(&[1.0; 12], [4, 3]);
    let values = numbers(nt_xent::nt_xent(same.clone(), same, &config).unwrap());
    assert_close("same", &values, &[7f64.ln(); 8], 1e-12);

    let (a, b) = (matrix([1, 3], 1), matrix([1, 3], 2));
    let values = nt_xent::nt_xent(a.clone(), b, &config).unwrap();
    assert_eq!(numbers(values.clone()), [0.0, 0.0]);
    assert_eq!(gradient(&a, &values.mean().backward()), [0.0; 3]);

    let plain = numbers(nt_xent::nt_xent(z1.clone(), z2.clone(), &config).unwrap());
    let scaled = z1.clone() * leaf::<2>(&[0.5, 2.0, 7.0, 1.0], [4, 1]);
    assert_close("scaled", &numbers(nt_xent::nt_xent(scaled, z2.clone(), &config).unwrap()), &plain, 1e-12);

    let anchored = target_anchored::Config::default().with_temperature(0.1).with_detach_target(false);
    let found = numbers(target_anchored::target_anchored(z1.clone(), z2.clone(), &anchored).unwrap());
    assert_close("target_anchored", &found, &plain, 1e-12);
    let swapped = numbers(target_anchored::target_anchored(z2, z1, &anchored).unwrap());
    assert_close("swapped", &[mean(&swapped)], &[mean(&plain)], 1e-12);
}

#[test]
fn detached_targets_and_banks_get_no_gradient() {
    let (target, composed) = (matrix([3, 4], 1), matrix([3, 4], 2));
    let values =
        target_anchored::target_anchored(target.clone(), composed.clone(), &target_anchored::Config::default());
    let slopes = values.unwrap().mean().backward();
    assert_eq!(gradient(&target, &slopes), [0.0; 12]);
    assert!(gradient(&composed, &slopes).iter().any(|slope| slope.abs() > 1e-3));

    let (reference, text, bank) = (matrix([3, 4], 1), matrix([3, 4], 2), matrix([5, 4], 3));
    let config = scaled_negatives::Config::default().with_temperature(0.3);
    let values = scaled_negatives::bank(reference.clone(), text.clone(), bank.clone(), ints(&[0, 4, 2]), &config);
    let slopes = values.unwrap().mean().backward();
    assert_eq!(gradient(&reference, &slopes), [0.0; 12]);
    assert_eq!(gradient(&bank, &slopes), [0.0; 20]);
    assert!(gradient(&text, &slopes).iter().any(|slope| slope.abs() > 1e-3));
}

#[test]
fn a_bank_of_the_targets_is_the_batch_and_more_rows_never_help() {
    let (reference, text, target) = (matrix([3, 4], 1), matrix([3, 4], 2), matrix([3, 4], 3));
    let config = scaled_negatives::Config::default().with_temperature(0.2);
    let bank = |rows: Tensor<2>, targets: &[i64]| {
        numbers(scaled_negatives::bank(reference.clone(), text.clone(), rows, ints(targets), &config).unwrap())
    };
    let in_batch = scaled_negatives::in_batch(reference.clone(), text.clone(), target.clone(), &config).unwrap();
    let of_targets = bank(target.clone(), &[0, 1, 2]);
    assert_close("in_batch", &numbers(in_batch), &of_targets, 1e-12);
    let larger = bank(Tensor::cat(vec![matrix([2, 4], 4), target.clone()], 0), &[2, 3, 4]);
    assert!(larger.iter().zip(&of_targets).all(|(larger, smaller)| larger >= smaller));
    let sampled = scaled_negatives::bank_sampled(
        reference.clone(),
        text.clone(),
        target,
        ints(&[0, 1, 2]),
        ints(&[2, 1, 0, 2, 1, 0]).reshape([3, 2]),
        &config,
    );
    assert_close("all others", &numbers(sampled.unwrap()), &of_targets, 1e-12);
    assert_eq!(bank(matrix([1, 4], 5), &[0, 0, 0]), [0.0; 3]);
}

#[test]
fn barlow_twins_does_not_see_order_sign_or_scale() {
    let (z1, z2) = (matrix([6, 3], 1), matrix([6, 3], 2));
    let config = barlow_twins::Config::default();
    let loss =
        |z1: &Tensor<2>, z2: &Tensor<2>| numbers(barlow_twins::barlow_twins(z1.clone(), z2.clone(), &config).unwrap());
    let plain = loss(&z1, &z2);
    assert_close("swapped", &loss(&z2, &z1), &plain, 1e-12);
    let signs = leaf::<2>(&[1.0, -1.0, -1.0], [1, 3]);
    assert_close("signs", &loss(&(z1.clone() * signs.clone()), &(z2.clone() * signs)), &plain, 1e-12);
    let moved = z1.clone() * leaf::<2>(&[0.5, 1.5, 1.0], [1, 3]) + leaf::<2>(&[3.0, -2.0, 0.5], [1, 3]);
    assert_close("moved", &loss(&moved, &z2), &plain, 1e-3);
    assert_close("sample order", &loss(&z1.flip([0]), &z2.flip([0])), &plain, 1e-12);
}

#[test]
fn mixing_is_nothing_without_scale_or_for_a_mix_of_one() {
    let (z1, z2) = (matrix([5, 3], 1), matrix([5, 3], 2));
    let parts = |mixed: Tensor<2>, mix_coef: f64, config: mixed_barlow_twins::Config| {
        let inputs = mixed_barlow_twins::Inputs {
            z1: z1.clone(),
            z2: z2.clone(),
            mixed,
            permutation: &[1, 2, 3, 4, 0],
            mix_coef,
        };
        let parts = mixed_barlow_twins::mixed_barlow_twins(inputs, &config).unwrap();
        (numbers(parts.barlow_twins)[0], numbers(parts.mixing)[0])
    };
    let config = mixed_barlow_twins::Config::default().with_lambda(0.0051);
    let (plain, off) = parts(matrix([5, 3], 3), 0.4, config.clone().with_mix_scale(0.0));
    assert_eq!(off, 0.0);
    assert_eq!(parts(z1.clone(), 1.0, config.clone()).1, 0.0);
    let imagenet = config.with_variant(mixed_barlow_twins::Variant::Imagenet);
    assert!(parts(z1.clone(), 1.0, imagenet).1 > 0.0);

    // Its correlation is (B - 1) / B times that of plain Barlow Twins.
    let exact = barlow_twins::Config::default().with_eps(0.0);
    let c = barlow_twins::cross_correlation(z1.clone(), z2.clone(), &exact).unwrap();
    let mut expected = 0.0;
    for (i, row) in rows(c * 0.8).iter().enumerate() {
        expected +=
            row.iter().enumerate().map(|(j, c)| if i == j { (c - 1.0).powi(2) } else { 0.0051 * c * c }).sum::<f64>();
    }
    assert_close("scaled", &[plain], &[expected], 1e-12);
}

fn simclr(z1: &Tensor<3>, z2: &Tensor<3>, w2: f64, config: &amcl_simclr::Config) -> Vec<f64> {
    let [heads, _, dim] = z1.dims();
    let network = TemperatureNetwork {
        w1: stack([heads, 3, 2 * dim], 7),
        b1: leaf(&vec![0.1; heads * 3], [heads, 3]),
        w2: leaf(&vec![w2; heads * 3], [heads, 3]),
        b2: vector(&vec![0.2; heads]),
    };
    numbers(amcl_simclr::amcl_simclr(z1.clone(), z2.clone(), &network, config).expect("the views are valid").values)
}

#[test]
fn adaptive_temperatures_keep_their_laws() {
    let (z1, z2) = (stack([2, 4, 3], 1), stack([2, 4, 3], 2));
    let config = amcl_simclr::Config::default();
    let values = simclr(&z1, &z2, 0.4, &config);
    assert_close("swapped", &[mean(&simclr(&z2, &z1, 0.4, &config))], &[mean(&values)], 1e-12);

    let scaled = simclr(&(z1.clone() * 3.0), &(z2.clone() * 0.5), 0.0, &config);
    assert_close("scaled", &scaled, &simclr(&z1, &z2, 0.0, &config), 1e-12);

    // A fixed temperature leaves the difference to the hardest negative, the limit of t NT-Xent without the positive.
    let fixed = config.with_tau_min(0.5).with_tau_max(0.5).with_beta(5.0);
    let head = |z: &Tensor<3>| z.clone().narrow(0, 0, 1);
    let of_one = simclr(&head(&z1), &head(&z2), 0.4, &fixed);
    let all = Tensor::cat(vec![head(&z1), head(&z2)], 1).squeeze_dim::<2>(0);
    let z = super::unit_rows(&rows(all));
    let gap = |i: usize| {
        let own = super::dot(&z[i], &z[(i + 4) % 8]);
        let others = (0..8).filter(|j| j % 4 != i % 4).map(|j| super::dot(&z[i], &z[j]));
        (others.fold(f64::NEG_INFINITY, f64::max) - own) / 0.5
    };
    assert_close("fixed", &of_one, &(0..8).map(gap).collect::<Vec<_>>(), 1e-12);
}

#[test]
fn isogclr_has_twice_the_gradient_of_the_robust_objective() {
    let batch = 4;
    let (z1, z2) = (unit_matrix([batch, 3], 1), unit_matrix([batch, 3], 2));
    let tau = vector(&[0.2, 0.4, 0.7, 1.0]);
    let config = isogclr::Config::default().with_gamma(1.0).with_rho(1.2).with_beta_u(0.5).with_grad_clip(1e9);
    let state = || isogclr::State { log_s: vector(&[0.0; 4]), tau: tau.clone(), u: vector(&[0.0; 4]) };
    let step = isogclr::step(z1.clone(), z2.clone(), state(), &config).unwrap();
    let surrogate = step.values.mean().backward();
    let robust = robust_contrastive::robust_contrastive(
        z1.clone(),
        z2.clone(),
        tau.clone(),
        &robust_contrastive::Config::default().with_rho(1.2),
    );
    let robust = robust.unwrap().mean().backward();
    for z in [&z1, &z2] {
        let twice: Vec<f64> = gradient(z, &robust).iter().map(|slope| 2.0 * slope).collect();
        assert_close("gradient", &gradient(z, &surrogate), &twice, 1e-10);
    }
    let of_tau: Vec<f64> = gradient(&tau, &robust).iter().map(|slope| batch as f64 * slope).collect();
    assert_close("temperature", &numbers(step.tau_gradient), &of_tau, 1e-10);
    assert_eq!(gradient(&tau, &surrogate), [0.0; 4], "temperatures get no gradient from the surrogate");

    let larger = isogclr::step(z1, z2, state(), &config.clone().with_rho(2.0)).unwrap();
    let larger = numbers(larger.state.tau);
    assert!(larger.iter().zip(numbers(step.state.tau)).all(|(larger, tau)| *larger <= tau));
    assert!(larger.iter().all(|tau| (0.05..=1.0).contains(tau)));
}

#[test]
fn soft_permutations_are_doubly_stochastic_and_harden() {
    let scores = matrix([3, 5], 2);
    let permutation = soft_sort(scores, 2.0).unwrap().permutation();
    let ones = vec![1.0; 15];
    assert_close("rows", &numbers(permutation.clone().sum_dim(2)), &ones, 1e-12);
    assert_close("columns", &numbers(permutation.sum_dim(1)), &ones, 1e-12);
    let hard = soft_sort(leaf(&[0.0, 1.0, 2.0, 3.0], [1, 4]), 1e5).unwrap().permutation();
    let identity = [1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1.];
    assert_close("hard", &numbers(hard), &identity, 1e-4);
}

#[test]
fn groco_with_one_negative_is_one_comparison() {
    let views = stack([2, 4, 3], 1);
    let config = groco::Config::default().with_topk_neg(1).with_steepness(1.7);
    let z: Vec<_> = (0..2).map(|v| super::unit_rows(&rows(views.clone().narrow(0, v, 1).squeeze_dim(0)))).collect();
    let value = |v: usize, i: usize| {
        let negatives = (0..4).filter(|&j| j != i).map(|j| super::dot(&z[v][i], &z[v][j]));
        let gap = super::dot(&z[v][i], &z[1 - v][i]) - negatives.fold(f64::NEG_INFINITY, f64::max);
        -((1.7 * gap).atan() / std::f64::consts::PI + 0.5).ln()
    };
    let expected: Vec<f64> = (0..8).map(|anchor| value(anchor / 4, anchor % 4)).collect();
    assert_close("groco", &numbers(groco::groco(views.clone(), &config).unwrap()), &expected, 1e-12);

    let deep = groco::Config::default().with_topk_neg(3);
    let plain = numbers(groco::groco(views.clone(), &deep).unwrap());
    let permuted = numbers(groco::groco(views.clone().flip([1]) * 2.5, &deep).unwrap());
    let back: Vec<f64> = permuted.chunks(4).flat_map(|view| view.iter().rev().copied()).collect();
    assert_close("permuted and scaled", &back, &plain, 1e-12);
}

#[test]
fn open_gates_and_own_classes_are_supervised_contrast() {
    let (z1, z2, y) = (matrix([5, 3], 1), matrix([5, 3], 2), ints(&[0, 1, 0, 2, 1]));
    let loss = |filter, gate: f64| {
        let gate_logits = leaf(&[gate; 15], [5, 3]);
        let (z1, z2, y1, y2) = (z1.clone(), z2.clone(), y.clone(), y.clone());
        let inputs = hydra::Inputs { z1, z2, gate_logits, y1, y2 };
        numbers(hydra::hydra(inputs, &hydra::Config::default().with_filter(filter)).unwrap())
    };
    let open = loss(hydra::Filter::SubspaceCosine, 50.0);
    assert_close("filters agree", &loss(hydra::Filter::GatedDot, 50.0), &open, 1e-12);
    assert_close("a common factor", &loss(hydra::Filter::SubspaceCosine, -1.0), &open, 1e-12);
    assert!(loss(hydra::Filter::GatedDot, -1.0)[0] > 0.0);
}

#[test]
fn hard_patches_see_order_only() {
    let (predicted, losses) = (matrix([2, 5], 1), matrix([2, 5], 2));
    let config = hard_patches::Config::default();
    let loss = |predicted: &Tensor<2>, losses: Tensor<2>| {
        hard_patches::hard_patches(predicted.clone(), losses, &config).unwrap()
    };
    let plain = loss(&predicted, losses.clone());
    let value = numbers(plain.clone());
    for row in gradient(&predicted, &plain.backward()).chunks(5) {
        assert_close("balance", &[row.iter().sum()], &[0.0], 1e-12);
    }
    assert_close("growing", &numbers(loss(&predicted, losses.clone().exp())), &value, 1e-12);
    let shifted = predicted.clone() + leaf::<2>(&[3.0, -2.0], [2, 1]);
    assert_close("shifted", &numbers(loss(&shifted, losses.clone())), &value, 1e-9);
    let undecided = numbers(loss(&leaf(&[0.0; 10], [2, 5]), losses));
    assert_close("undecided", &undecided, &[-(0.5f64 + 1e-6).ln()], 1e-12);
    let flat = loss(&predicted, leaf(&[0.4; 10], [2, 5]));
    assert_eq!(numbers(flat.clone()), [0.0]);
    assert_eq!(gradient(&predicted, &flat.backward()), [0.0; 10]);
}

#[test]
fn masks_have_their_size_and_hold_the_hardest() {
    let (predicted, noise) = (noise(32, 1), noise(32, 2));
    for epoch in [0, 100, 199] {
        let config = easy_to_hard_mask::Config::default();
        let chosen = easy_to_hard_mask::easy_to_hard_mask(&predicted, &noise, 16, epoch, &config).unwrap();
        assert_eq!((chosen.visible, chosen.hard), (4, 12 * (epoch + 1) / 400));
        for (mask, predicted) in chosen.mask.to_mask().chunks(16).zip(predicted.chunks(16)) {
            assert_eq!(mask.iter().filter(|&&masked| masked).count(), 12);
            let easier = |patch: usize| predicted.iter().filter(|&&other| other > predicted[patch]).count();
            assert!((0..16).filter(|&patch| easier(patch) < chosen.hard).all(|patch| mask[patch]));
        }
    }
    assert_eq!(easy_to_hard_mask::ema_decay(0), 0.999);
    assert_eq!(easy_to_hard_mask::ema_decay(100), 0.9999);
    let mask = [true, false, false, true];
    assert_eq!(PatchMask::new(&mask, 2).unwrap().to_mask(), mask);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn orders_are_permutations_and_even_clusters_never_repeat(
        clusters in prop::collection::vec(0..5u64, 1..60), batch_size in 1usize..7, each in 1usize..9,
    ) {
        let config = pseudo_label_batches::Config::default().with_batch_size(batch_size);
        let batches = pseudo_label_batches::pseudo_label_batches(&clusters, &config).unwrap();
        let mut sorted = batches.order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..clusters.len()).collect::<Vec<_>>());
        prop_assert_eq!(batches.full_batches, clusters.len() / batch_size);
        let mut repeats = 0;
        for batch in batches.order.chunks_exact(batch_size) {
            for (place, &sample) in batch.iter().enumerate() {
                repeats += usize::from(batch[..place].iter().any(|&other| clusters[other] == clusters[sample]));
            }
        }
        prop_assert_eq!(batches.repeats, repeats);

        let even: Vec<u64> = (0..each * batch_size).map(|sample| (sample % batch_size) as u64).collect();
        prop_assert_eq!(pseudo_label_batches::pseudo_label_batches(&even, &config).unwrap().repeats, 0);
    }
}
