//! Losses on masks of 64 by 64 pixels, or volumes of as many voxels.

use burn::tensor::Tensor;
use synod_losses::segmentation::betti::{betti_matching, dice_betti_matching};
use synod_losses::segmentation::raters::{
    energy_distance, frechet,
    pulaski::{Latents, pulaski},
    sinkhorn, soft_ged,
};
use synod_losses::segmentation::{bev_dice, dice, focal_tversky, mip, tversky};

use crate::{Case, device, normal};

const PIXELS: usize = 64 * 64;
const IMAGE: [usize; 3] = [1, 64, 64];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [1, 32].into_iter().flat_map(overlaps).collect();
    cases.extend(topology());
    cases.extend(raters(8));
    cases
}

/// A mask of `shape` with stripes.
fn mask<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let pixels: Vec<f32> = (0..shape.iter().product()).map(|index| f32::from(u8::from(index % 13 < 5))).collect();
    Tensor::<1>::from_data(pixels.as_slice(), &device()).reshape(shape)
}

fn overlaps(batch: usize) -> Vec<Case> {
    let (size, shape) = ([batch, PIXELS], [batch, 64, 64]);
    let targets = mask(shape);
    let volume = [batch, 16, 16, 16];
    vec![
        Case::new("dice", size, normal(shape), {
            let targets = targets.clone();
            move |at| Ok(dice(at, targets.clone(), &Default::default())?.mean())
        }),
        Case::new("tversky", size, normal(shape), {
            let targets = targets.clone();
            move |at| Ok(tversky(at, targets.clone(), &Default::default())?.mean())
        }),
        Case::new("focal_tversky", size, normal(shape), {
            let targets = targets.clone();
            move |at| Ok(focal_tversky(at, targets.clone(), &Default::default())?.mean())
        }),
        Case::new("bev_dice", size, normal([batch, 1, 64, 64]), move |at| {
            Ok(bev_dice(at, targets.clone().unsqueeze_dim(1), &Default::default())?.loss)
        }),
        Case::new("mip", size, normal([1, batch, 16, 16, 16]), move |at| {
            Ok(mip(&at, mask(volume), &Default::default(), &Default::default())?.loss)
        }),
    ]
}

fn topology() -> Vec<Case> {
    let targets = mask(IMAGE);
    vec![
        Case::new("betti_matching", [1, PIXELS], normal(IMAGE), {
            let targets = targets.clone();
            move |at| Ok(betti_matching(at, &targets, &Default::default())?.values)
        }),
        Case::new("dice_betti_matching", [1, PIXELS], normal(IMAGE), move |at| {
            Ok(dice_betti_matching(at, &targets, &Default::default())?.loss)
        }),
    ]
}

/// Four samples and three raters of each image.
fn raters(batch: usize) -> Vec<Case> {
    let (size, shape) = ([batch, PIXELS], [batch, 4, PIXELS]);
    let drawn = mask([batch, 3, PIXELS]);
    vec![
        Case::new("energy_distance", size, normal(shape), {
            let drawn = drawn.clone();
            move |at| Ok(energy_distance(at, &drawn, &Default::default())?.mean())
        }),
        Case::new("sinkhorn", size, normal(shape), {
            let drawn = drawn.clone();
            move |at| Ok(sinkhorn(at, &drawn, &Default::default())?.mean())
        }),
        Case::new("soft_ged", size, normal(shape), {
            let drawn = drawn.clone();
            move |at| Ok(soft_ged(at, &drawn, &Default::default())?.mean())
        }),
        Case::new("pulaski", size, normal(shape), move |at| {
            let zeros = || Tensor::zeros([batch, 6], &device());
            let latents = Latents { q_mean: zeros(), q_logvar: zeros(), p_mean: zeros(), p_logvar: zeros() };
            Ok(pulaski(at, &drawn, latents, &Default::default())?.loss)
        }),
        Case::new("frechet", [32, 128], normal([32, 128]), {
            let drawn = normal([32, 128]).detach();
            move |at| frechet(at, &drawn, &Default::default())
        }),
    ]
}
