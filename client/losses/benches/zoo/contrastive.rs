//! Losses on embeddings of several views.

use burn::tensor::{Int, Tensor};
use synod_losses::contrastive::{
    PatchMask, TemperatureNetwork, amcl_barlow, amcl_simclr, amcl_simsiam, barlow_twins, groco, hard_patches, hydra,
    info_nce, isogclr, isogclr_bimodal, masked_reconstruction, mixed_barlow_twins, nt_xent, pseudo_label_batches,
    robust_contrastive, scaled_negatives, simple_contrastive, target_anchored, tolerance, uniformity,
};

use crate::{Case, device, labels, normal};

/// Samples and values of an embedding.
const EMBEDDINGS: [[usize; 2]; 2] = [[32, 128], [512, 128]];

pub(crate) fn cases() -> Vec<Case> {
    EMBEDDINGS.into_iter().flat_map(of_size).collect()
}

fn of_size(size: [usize; 2]) -> Vec<Case> {
    let [batch, width] = size;
    let device = device();
    let other = || constant(size);
    let heads = move |rows: usize, columns: usize| constant([rows, columns]).reshape([1, rows, columns]);
    let classes = labels(batch, 10);
    let column = |value: f64| Tensor::<1>::full([batch], value, &device);
    let negatives = labels(batch * 16, batch).reshape([batch, 16]);
    let targets = Tensor::<1, Int>::arange(0..batch as i64, &device);
    let permutation: Vec<usize> = (0..batch).rev().collect();
    let network = TemperatureNetwork {
        w1: heads(128, 2 * width),
        b1: constant([1, 128]),
        w2: constant([1, 128]),
        b2: Tensor::zeros([1], &device),
    };

    let mut cases =
        vec![
            of_pair("nt_xent", size, |a, b| Ok(nt_xent::nt_xent(a, b, &Default::default())?.mean())),
            of_pair("info_nce", size, |a, b| Ok(info_nce::info_nce(a, b, &Default::default())?.mean())),
            of_pair("info_nce, hardest tenth", size, |a, b| {
                Ok(info_nce::info_nce(a, b, &info_nce::Config::default().with_alpha(0.1))?.mean())
            }),
            of_pair("simple_contrastive", size, |a, b| {
                Ok(simple_contrastive::simple_contrastive(a, b, &Default::default())?.mean())
            }),
            of_pair("barlow_twins", size, |a, b| barlow_twins::barlow_twins(a, b, &Default::default())),
            of_pair("mixed_barlow_twins", size, move |z1, z2| {
                let inputs =
                    mixed_barlow_twins::Inputs { mixed: z1.clone(), z1, z2, permutation: &permutation, mix_coef: 0.4 };
                Ok(mixed_barlow_twins::mixed_barlow_twins(inputs, &Default::default())?.loss())
            }),
            of_pair("scaled_negatives, in the batch", size, |a, b| {
                Ok(scaled_negatives::in_batch(a.clone(), a, b, &Default::default())?.mean())
            }),
            of_pair("target_anchored", size, |a, b| {
                Ok(target_anchored::target_anchored(b, a, &Default::default())?.mean())
            }),
            of_pair("uniformity", size, |a, _| uniformity::uniformity(a, &Default::default())),
            of_pair("hard_patches", size, |a, b| hard_patches::hard_patches(a, b, &Default::default())),
        ];
    let (bank, reference) = (constant([4096, width]), other());
    let (all, rows) = (bank.clone(), reference.clone());
    let index = targets.clone();
    cases.push(of_pair("scaled_negatives, bank of 4096", size, move |text, _| {
        let (rows, all, index) = (rows.clone(), all.clone(), index.clone());
        Ok(scaled_negatives::bank(rows, text, all, index, &Default::default())?.mean())
    }));
    cases.push(of_pair("scaled_negatives, 16 of the bank", size, move |text, _| {
        let (rows, all, index) = (reference.clone(), bank.clone(), targets.clone());
        let values = scaled_negatives::bank_sampled(rows, text, all, index, negatives.clone(), &Default::default());
        Ok(values?.mean())
    }));
    let of_classes = classes.clone();
    cases.push(of_pair("tolerance", size, move |a, _| Ok(tolerance::tolerance(a, of_classes.clone())?.value)));
    let gates = other();
    cases.push(of_pair("hydra", size, move |z1, z2| {
        let (y1, y2) = (classes.clone(), classes.clone());
        hydra::hydra(hydra::Inputs { z1, z2, gate_logits: gates.clone(), y1, y2 }, &Default::default())
    }));
    cases.push(of_pair("amcl_simclr", size, move |z1, z2| {
        let [z1, z2] = [z1, z2].map(Tensor::unsqueeze::<3>);
        Ok(amcl_simclr::amcl_simclr(z1, z2, &network, &Default::default())?.values.mean())
    }));
    let logits = Tensor::<2>::zeros([1, batch], &device);
    cases.push(of_pair("amcl_simsiam", size, move |p1, p2| {
        let [p1, p2] = [p1, p2].map(Tensor::unsqueeze::<3>);
        let (h1, h2, t1, t2) = (p1.clone(), p2.clone(), logits.clone(), logits.clone());
        let inputs = amcl_simsiam::Inputs { p1, p2, h1, h2, t1, t2 };
        Ok(amcl_simsiam::amcl_simsiam(inputs, &Default::default())?.mean())
    }));
    let logits = heads(width, width);
    cases.push(of_pair("amcl_barlow", size, move |z1, z2| {
        let config = amcl_barlow::Config::default();
        let [z1, z2] = [z1, z2].map(Tensor::unsqueeze::<3>);
        Ok(amcl_barlow::amcl_barlow(z1, z2, logits.clone(), &config)?.loss(&config))
    }));
    let state = isogclr::State { log_s: column(0.0), tau: column(0.1), u: column(0.0) };
    cases.push(of_pair("isogclr", size, move |z1, z2| {
        Ok(isogclr::step(z1 / 12.0, z2 / 12.0, state.clone(), &Default::default())?.values.mean())
    }));
    let side = isogclr_bimodal::Side { s: column(1.0), b: column(0.0), u: column(0.0), tau: column(0.1) };
    cases.push(of_pair("isogclr_bimodal", size, move |image, text| {
        let (of_image, of_text) = (side.clone(), side.clone());
        let step = isogclr_bimodal::step(image / 12.0, text / 12.0, of_image, of_text, &Default::default());
        Ok(step?.values.mean())
    }));
    let tau = column(0.1);
    cases.push(of_pair("robust_contrastive", size, move |z1, z2| {
        Ok(robust_contrastive::robust_contrastive(z1 / 12.0, z2 / 12.0, tau.clone(), &Default::default())?.mean())
    }));
    cases.push(of_pair("groco", size, |a, b| {
        Ok(groco::groco(Tensor::stack(vec![a, b], 0), &Default::default())?.mean())
    }));
    // Sixteen patches of a sample, three quarters masked.
    let masked: Vec<bool> = (0..batch * 16).map(|patch| patch % 4 != 0).collect();
    let mask = PatchMask::new(&masked, 16).expect("three quarters of the patches are masked");
    let target = constant([batch * 16, width]).reshape([batch, 16, width]);
    cases.push(Case::new("masked_reconstruction", size, normal([batch, 16, width]), move |pred| {
        let values = masked_reconstruction::masked_reconstruction(pred, target.clone(), &mask, &Default::default());
        Ok(values?.mean())
    }));
    let clusters: Vec<u64> = (0..batch * 64).map(|sample| (sample * 7 % 64) as u64).collect();
    cases.push(Case::forward("pseudo_label_batches", size, move || {
        let order = pseudo_label_batches::pseudo_label_batches(&clusters, &Default::default());
        std::hint::black_box(order.expect("there are clusters"));
    }));
    cases
}

/// A loss of two matrices, the second a constant: one forward pass, and a backward pass to the first.
fn of_pair(
    name: &'static str,
    size: [usize; 2],
    loss: impl Fn(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, synod_losses::LossError> + 'static,
) -> Case {
    let other = constant(size);
    Case::new(name, size, normal(size), move |first| loss(first, other.clone()))
}

/// Standard normal numbers that record nothing.
fn constant(shape: [usize; 2]) -> Tensor<2> {
    normal(shape).set_require_grad(false)
}
