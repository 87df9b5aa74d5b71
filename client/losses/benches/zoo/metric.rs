//! Losses on embeddings of 128 values, with labels, triples or proxies.

use burn::tensor::{Int, Tensor};
use synod_losses::metric::{
    adaptive_triplet::{Triples, adaptive_triplet},
    contrastive,
    icnn::{Labelled, icnn},
    metrix::{contrastive::metrix_contrastive, multi_similarity::metrix_multi_similarity, proxy_anchor},
    multi_similarity, proto_triplet, proxy_anchor as plain_proxy_anchor, triplet, triplet_with_spread,
};

use crate::{Case, device, labels, normal};

const WIDTH: usize = 128;
const CLASSES: usize = 10;

pub(crate) fn cases() -> Vec<Case> {
    [32, 512].into_iter().flat_map(of_batch).collect()
}

fn of_batch(batch: usize) -> Vec<Case> {
    let (size, embeddings) = ([batch, WIDTH], || normal([batch, WIDTH]));
    let (classes, proxies, others) = (labels(batch, CLASSES), normal([CLASSES, WIDTH]), normal([batch, WIDTH]));
    let labels = || classes.clone();
    let triples = move |anchor: Tensor<2>| {
        let negative = others.clone();
        Triples { positive: negative.clone().neg(), anchor, negative }
    };
    // Each sample is mixed with the next, whose class is another.
    let next: Vec<i64> = (0..batch as i64).flat_map(|row| [row, row, (row + 1) % batch as i64]).collect();
    let mixed = Tensor::<1, Int>::from_data(next.as_slice(), &device()).reshape([batch, 3]);
    vec![
        Case::new("contrastive", size, embeddings(), {
            let labels = labels();
            move |at| contrastive(at, &labels, &Default::default())
        }),
        Case::new("multi_similarity", size, embeddings(), {
            let labels = labels();
            move |at| Ok(multi_similarity(at, &labels, &Default::default())?.mean())
        }),
        Case::new("proxy_anchor", size, embeddings(), {
            let (labels, proxies) = (labels(), proxies.clone());
            move |at| plain_proxy_anchor(at, &labels, proxies.clone(), &Default::default())
        }),
        Case::new("icnn", size, embeddings(), {
            let labels = labels();
            move |rows| Ok(icnn(Labelled { rows, labels: labels.clone() }, None, &Default::default())?.loss)
        }),
        Case::new("proto_triplet", size, embeddings(), {
            let (labels, proxies) = (labels(), proxies.clone());
            move |at| Ok(proto_triplet(&at, labels.clone(), &proxies, &Default::default())?.mean())
        }),
        Case::new("triplet", size, embeddings(), {
            let triples = triples.clone();
            move |at| Ok(triplet(triples(at), &Default::default())?.mean())
        }),
        Case::new("adaptive_triplet", size, embeddings(), {
            let triples = triples.clone();
            move |at| Ok(adaptive_triplet(&triples(at), &Default::default())?.values.mean())
        }),
        Case::new("triplet_with_spread", size, embeddings(), move |at| {
            Ok(triplet_with_spread(&triples(at), &Default::default())?.loss)
        }),
        Case::new("metrix_contrastive", size, embeddings(), {
            let (labels, mixed) = (labels(), mixed.clone());
            move |at| Ok(metrix_contrastive(&at, &labels, &mixed, 0.5, &Default::default())?.loss)
        }),
        Case::new("metrix_multi_similarity", size, embeddings(), {
            let (labels, mixed) = (labels(), mixed.clone());
            move |at| Ok(metrix_multi_similarity(&at, &labels, &mixed, 0.5, &Default::default())?.loss)
        }),
        Case::new("metrix_proxy_anchor", size, embeddings(), move |embeddings| {
            let (labels, proxies) = (classes.clone(), proxies.clone());
            let pairs = mixed.clone().slice([0..batch, 1..3]);
            let inputs = proxy_anchor::Inputs { embeddings, labels, proxies, pairs };
            Ok(proxy_anchor::metrix_proxy_anchor(&inputs, 0.5, &Default::default())?.loss)
        }),
    ]
}
