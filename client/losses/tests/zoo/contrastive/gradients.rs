//! Central differences of every loss, for every input that gets a gradient.

use burn::tensor::Tensor;
use synod_losses::contrastive::{
    GateNetwork, PatchMask, TemperatureNetwork, amcl_barlow, amcl_simclr, amcl_simsiam, barlow_twins, groco,
    hard_patches, hydra, hydra_gate, info_nce, isogclr, isogclr_bimodal, masked_reconstruction, mixed_barlow_twins,
    nt_xent, robust_contrastive, scaled_negatives, simple_contrastive, soft_sort, target_anchored, tolerance,
    uniformity,
};

use super::{ints, matrix, stack, unit_matrix, vector};
use crate::support::{assert_gradient, noise, numbers};

/// Central differences with respect to each of `inputs` in turn.
fn check<const D: usize>(what: &str, inputs: &[Tensor<D>], loss: impl Fn(&[Tensor<D>]) -> Tensor<1>) {
    for (position, input) in inputs.iter().enumerate() {
        let (values, shape) = (numbers(input.clone()), input.dims());
        assert_gradient(&format!("{what}, input {position}"), &values, shape, 1e-6, |input| {
            let mut inputs = inputs.to_vec();
            inputs[position] = input;
            loss(&inputs)
        });
    }
}

#[test]
fn contrastive_losses() {
    let pair = [matrix([5, 3], 1), matrix([5, 3], 2)];
    check("nt_xent", &pair, |x| {
        let config = nt_xent::Config::default().with_temperature(0.3);
        nt_xent::nt_xent(x[0].clone(), x[1].clone(), &config).unwrap().mean()
    });
    for alpha in [1.0, 0.4] {
        check("info_nce", &pair, |x| {
            let config = info_nce::Config::default().with_alpha(alpha);
            info_nce::info_nce(x[0].clone(), x[1].clone(), &config).unwrap().mean()
        });
        check("simple_contrastive", &pair, |x| {
            let config = simple_contrastive::Config::default().with_alpha(alpha).with_lambda(0.7);
            simple_contrastive::simple_contrastive(x[0].clone(), x[1].clone(), &config).unwrap().mean()
        });
    }
    check("uniformity", &pair[..1], |x| uniformity::uniformity(x[0].clone(), &uniformity::Config::default()).unwrap());
    check("tolerance", &pair[..1], |x| tolerance::tolerance(x[0].clone(), ints(&[0, 1, 0, 2, 1])).unwrap().value);
    check("target_anchored", &pair, |x| {
        let config = target_anchored::Config::default().with_temperature(0.3).with_detach_target(false);
        target_anchored::target_anchored(x[0].clone(), x[1].clone(), &config).unwrap().mean()
    });
    let triple = [matrix([5, 3], 1), matrix([5, 3], 2), matrix([5, 3], 3)];
    let config = scaled_negatives::Config::default().with_temperature(0.4);
    check("in_batch", &triple, |x| {
        scaled_negatives::in_batch(x[0].clone(), x[1].clone(), x[2].clone(), &config).unwrap().mean()
    });
    check("bank", &pair[..1], |x| {
        let (reference, bank) = (matrix([5, 3], 4), matrix([7, 3], 5));
        let targets = ints(&[6, 0, 3, 3, 1]);
        scaled_negatives::bank(reference, x[0].clone(), bank, targets, &config).unwrap().mean()
    });
}

#[test]
fn correlation_losses() {
    let pair = [matrix([5, 3], 1), matrix([5, 3], 2)];
    check("barlow_twins", &pair, |x| {
        let config = barlow_twins::Config::default().with_lambda(0.3);
        barlow_twins::barlow_twins(x[0].clone(), x[1].clone(), &config).unwrap()
    });
    let triple = [matrix([5, 3], 1), matrix([5, 3], 2), matrix([5, 3], 3)];
    for variant in [mixed_barlow_twins::Variant::Cifar, mixed_barlow_twins::Variant::Imagenet] {
        check("mixed_barlow_twins", &triple, |x| {
            let config = mixed_barlow_twins::Config::default().with_lambda(0.3).with_variant(variant);
            let [z1, z2, mixed] = [0, 1, 2].map(|index: usize| x[index].clone());
            let inputs = mixed_barlow_twins::Inputs { z1, z2, mixed, permutation: &[2, 0, 1, 4, 3], mix_coef: 0.3 };
            mixed_barlow_twins::mixed_barlow_twins(inputs, &config).unwrap().loss()
        });
    }
    let heads = [stack([2, 4, 3], 1), stack([2, 4, 3], 2), stack([2, 3, 3], 3)];
    check("amcl_barlow", &heads, |x| {
        let config = amcl_barlow::Config::default().with_lambda(0.3).with_tau_min(0.3).with_tau_max(2.0);
        amcl_barlow::amcl_barlow(x[0].clone(), x[1].clone(), x[2].clone(), &config).unwrap().loss(&config)
    });
}

#[test]
fn losses_with_a_temperature_for_each_pair() {
    let inputs = [stack([2, 3, 4], 1), stack([2, 3, 4], 2), stack([2, 5, 8], 3)];
    let outputs = [matrix([2, 5], 4), matrix([2, 5], 5)];
    let loss = |x: &[Tensor<3>], o: &[Tensor<2>], b2: Tensor<1>| {
        let network = TemperatureNetwork { w1: x[2].clone(), b1: o[0].clone(), w2: o[1].clone(), b2 };
        let config = amcl_simclr::Config::default().with_tau_min(0.3).with_tau_max(2.0);
        amcl_simclr::amcl_simclr(x[0].clone(), x[1].clone(), &network, &config).unwrap().values.mean()
    };
    let b2 = vector(&[0.1, -0.2]);
    check("amcl_simclr", &inputs, |x| loss(x, &outputs, b2.clone()));
    check("amcl_simclr network", &outputs, |o| loss(&inputs, o, b2.clone()));
    check("amcl_simclr bias", &[b2], |b| loss(&inputs, &outputs, b[0].clone()));

    let loss = |x: &[Tensor<3>], t: &[Tensor<2>]| {
        let tensors = amcl_simsiam::Inputs {
            p1: x[0].clone(),
            p2: x[1].clone(),
            h1: stack([2, 3, 4], 6),
            h2: stack([2, 3, 4], 7),
            t1: t[0].clone(),
            t2: t[1].clone(),
        };
        amcl_simsiam::amcl_simsiam(tensors, &amcl_simsiam::Config::default()).unwrap().mean()
    };
    let logits = [matrix([2, 3], 8), matrix([2, 3], 9)];
    check("amcl_simsiam", &inputs[..2], |x| loss(x, &logits));
    check("amcl_simsiam temperatures", &logits, |t| loss(&inputs, t));
}

/// The surrogates of iSogCLR have constant weights, so that central differences see only `S`: the law with `gamma = 1`
/// checks their gradients. The exact objective has no constants.
#[test]
fn the_robust_objective() {
    let pair = [unit_matrix([4, 3], 1), unit_matrix([4, 3], 2)];
    let loss = |x: &[Tensor<2>], tau: Tensor<1>| {
        let config = robust_contrastive::Config::default();
        robust_contrastive::robust_contrastive(x[0].clone(), x[1].clone(), tau, &config).unwrap().mean()
    };
    let tau = vector(&[0.3, 0.5, 0.9, 0.4]);
    check("robust_contrastive", &pair, |x| loss(x, tau.clone()));
    check("robust_contrastive temperatures", &[tau], |tau| loss(&pair, tau[0].clone()));
}

/// Small steps of the embeddings change the weights too little to matter if their temperatures are large.
#[test]
fn surrogates_have_the_gradient_of_their_similarities() {
    let column = |value: f64| vector(&[value; 4]);
    let pair = [unit_matrix([4, 3], 1), unit_matrix([4, 3], 2)];
    let hot = 1e7;
    check("isogclr", &pair, |x| {
        let state = isogclr::State { log_s: column(0.2), tau: column(hot), u: column(0.0) };
        let step = isogclr::step(x[0].clone(), x[1].clone(), state, &isogclr::Config::default());
        step.unwrap().values.mean()
    });
    check("isogclr_bimodal", &pair, |x| {
        let side = || isogclr_bimodal::Side { s: column(0.5), b: column(1.0), u: column(0.0), tau: column(hot) };
        let config = isogclr_bimodal::Config::default();
        isogclr_bimodal::step(x[0].clone(), x[1].clone(), side(), side(), &config).unwrap().values.mean()
    });
}

#[test]
fn sorting() {
    for n in [1, 4, 5] {
        let upstream = stack([2, n, n], 3);
        check("soft_sort", &[matrix([2, n], 1)], |x| {
            let sorted = soft_sort(x[0].clone(), 2.0).unwrap();
            (sorted.permutation() * upstream.clone()).sum() + sorted.values.square().sum()
        });
    }
    for positive_views in [0, 2] {
        check("groco", &[stack([3, 4, 3], 1)], |x| {
            let config = groco::Config::default().with_topk_neg(2).with_stop_grad(false);
            groco::groco(x[0].clone(), &config.with_n_pos_views(positive_views)).unwrap().mean()
        });
    }
}

#[test]
fn gated_pairs() {
    let inputs = [matrix([5, 3], 1), matrix([5, 3], 2), matrix([5, 3], 3)];
    for filter in [hydra::Filter::SubspaceCosine, hydra::Filter::GatedDot] {
        for reduction in [hydra::Scope::Pairs, hydra::Scope::Anchors] {
            let config = hydra::Config::default().with_filter(filter).with_reduction(reduction).with_gate_penalty(0.4);
            check("hydra", &inputs, |x| {
                let (y1, y2) = (ints(&[0, 1, 2, 1, 0]), ints(&[1, 2, 0, 1, 0]));
                let [z1, z2, gate_logits] = [0, 1, 2].map(|index: usize| x[index].clone());
                hydra::hydra(hydra::Inputs { z1, z2, gate_logits, y1, y2 }, &config).unwrap()
            });
        }
    }
    let matrices = [matrix([3, 4], 1), matrix([5, 4], 2), matrix([6, 5], 3)];
    let upstream = matrix([4, 6], 4);
    check("hydra_gate", &matrices, |x| {
        let network = GateNetwork {
            label_embedding: x[0].clone(),
            bn1_w: vector(&noise(4, 5)),
            bn1_b: vector(&noise(4, 6)),
            w1: x[1].clone(),
            b1: vector(&noise(5, 7)),
            bn2_w: vector(&noise(5, 8)),
            bn2_b: vector(&noise(5, 9)),
            w2: x[2].clone(),
            b2: vector(&noise(6, 10)),
        };
        let logits = hydra_gate(&network, ints(&[0, 1, 2, 2]), ints(&[1, 1, 0, 2])).unwrap();
        (logits * upstream.clone()).sum()
    });
}

#[test]
fn masked_patches() {
    let mask = PatchMask::new(&[true, false, true, true, true, false, true, true], 4).unwrap();
    for norm_pix in [true, false] {
        check("masked_reconstruction", &[stack([2, 4, 3], 1)], |x| {
            let config = masked_reconstruction::Config::default().with_norm_pix(norm_pix);
            let values =
                masked_reconstruction::masked_reconstruction(x[0].clone(), stack([2, 4, 3], 2), &mask, &config);
            values.unwrap().mean()
        });
    }
    for form in [hard_patches::Form::Relative, hard_patches::Form::Absolute] {
        check("hard_patches", &[matrix([2, 4], 1)], |x| {
            let config = hard_patches::Config::default().with_form(form);
            hard_patches::hard_patches(x[0].clone(), matrix([2, 4], 2), &config).unwrap()
        });
    }
}
