//! GroCo: all positives of an anchor must come after its hardest negatives when similarities are sorted.
//!
//! # Formula
//! For an anchor view `v` and sample `i`, with all embeddings divided by their length: the positives are the
//! similarities to the sample's other views (of the first `n_pos_views`), the negatives the `k` (`topk_neg`) largest
//! similarities to other samples of the same view. They are put in the order negatives ascending, positives ascending,
//! and [softly sorted](super::soft_sort()), which gives `P[r, c]`, the weight of input `r` at rank `c`. With `p_r` the
//! weight of a negative at the first `k` ranks and of a positive at the ranks after them:
//!
//! `loss_vi = mean_r -max(ln p_r, -100)`
//!
//! # Shapes
//! `views: [views, batch, d]`; the result is `[views * batch]`, view by view.
//!
//! # Range and gradient
//! `[0, 100]`, smooth except where a negative enters or leaves the hardest. With `stop_grad` only the anchor gets a
//! gradient. Equal views and `k = 1` give `ln 2`. Permuting the batch or scaling views changes nothing.
//!
//! # Choices
//! Weights on ranks are computed by running the sorting network backwards on two vectors: `O(n^2)` for each anchor
//! instead of `O(n^3)` for the whole permutation. With steepness 1 sorting is soft: similarities differ by less than 1.
//! Rows shorter than 1e-8 are divided by that.
//!
//! # Source
//! Shvetsova, Petersen, Kukleva, Schiele, Kuehne: Learning by Sorting: Self-supervised Learning with Group Ordering
//! Constraints, ICCV 2023; `groco.py` of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::groco::{Config, groco};
//!
//! let views = Tensor::<3>::ones([2, 3, 4], &Device::flex());
//! let values = groco(views, &Config::default().with_topk_neg(1))?;
//! assert!((values.mean().into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, TensorData};

use super::similarity::{largest, off_diagonal, shape_error, unit};
use super::soft_sort::soft_sort;
use crate::error::LossError;
use crate::info::Objective;
use crate::option::{AT_LEAST_ONE, Allowed, POSITIVE, any, objective};

objective! {
    "groco", family: "contrastive", file: "groco.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(V B^2 D + V B k^2)",
    options: {
        topk_neg / with_topk_neg: usize = 10, AT_LEAST_ONE, "number of negatives of an anchor, the hardest";
        steepness / with_steepness: f64 = 1.0, POSITIVE, "hardness of sorting";
        stop_grad / with_stop_grad: bool = true, any("true | false"),
            "choice whether positives and negatives are constants";
        n_pos_views / with_n_pos_views: usize = 0, POSITIVE_VIEWS,
            "number of views, the first, that may be positives; 0 takes all";
    }
}

/// One would leave the first view without a positive.
const POSITIVE_VIEWS: Allowed<usize> = Allowed { test: |views| *views != 1, text: "0, >= 2" };

/// Smallest length that an embedding is divided by.
const LENGTH_MIN: f64 = 1e-8;

/// Logarithms are cut here.
const LOG_MIN: f64 = -100.0;

/// Weights below this are 0 in single precision.
const WEIGHT_MIN: f64 = 1e-37;

/// Values per anchor, `[views * batch]`, for `views: [views, batch, d]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are fewer than two views, no more samples than
/// `topk_neg`, or fewer views than `n_pos_views`; [`LossError::Config`] if an option is out of range.
pub fn groco(views: Tensor<3>, config: &Config) -> Result<Tensor<1>, LossError> {
    let config = config.clone().validate().map_err(|source| LossError::Config { name: NAME, source })?;
    let [count, batch, dim] = views.dims();
    if batch == 0 {
        return Err(LossError::EmptyBatch { loss: NAME });
    }
    let views_min = config.n_pos_views.max(2);
    if count < views_min || batch <= config.topk_neg || dim == 0 {
        let expected = format!("[v, n, d] with v >= {views_min}, n > {} and d >= 1", config.topk_neg);
        return Err(shape_error(NAME, "views", expected, &views.dims()));
    }
    let positive_views = if config.n_pos_views == 0 { count } else { config.n_pos_views };
    let anchors = unit(views, LENGTH_MIN);
    let others = if config.stop_grad { anchors.clone().detach() } else { anchors.clone() };
    let view = |views: &Tensor<3>, index: usize| views.clone().narrow(0, index, 1).reshape([batch, dim]);
    let values = (0..count).map(|index| {
        let anchor = view(&anchors, index);
        let positives = (0..positive_views).filter(|&other| other != index);
        let positives = positives.map(|other| (anchor.clone() * view(&others, other)).sum_dim(1)).collect();
        let negatives = off_diagonal(anchor.clone().matmul(view(&others, index).transpose()));
        of_one_view(largest(negatives, config.topk_neg), Tensor::cat(positives, 1), config.steepness)
    });
    Ok(Tensor::cat(values.collect::<Result<Vec<_>, _>>()?, 0))
}

/// Values of the samples, `[batch]`, for `negatives: [batch, k]`, largest first, and `positives: [batch, views]`.
fn of_one_view(negatives: Tensor<2>, positives: Tensor<2>, steepness: f64) -> Result<Tensor<1>, LossError> {
    let [batch, k] = negatives.dims();
    let [_, views] = positives.dims();
    let n = k + views;
    let positives = largest(positives, views);
    let sorted = soft_sort(Tensor::cat(vec![negatives.flip([1]), positives.flip([1])], 1), steepness)?;

    // Weights on the first k ranks, and on those after them.
    let first: Vec<f64> = (0..2 * n).map(|entry| f64::from(u8::from((entry < n) == (entry % n < k)))).collect();
    let options = (&sorted.values.device(), sorted.values.dtype());
    let groups = Tensor::<3>::from_data(TensorData::new(first, [1, 2, n]), options).expand([batch, 2, n]);
    let weights = sorted.weights(groups);
    let of_negatives = weights.clone().narrow(1, 0, 1).narrow(2, 0, k);
    let of_positives = weights.narrow(1, 1, 1).narrow(2, k, views);
    let weights = Tensor::cat(vec![of_negatives, of_positives], 2).reshape([batch, n]).clamp(0.0, 1.0);

    let nothing = weights.clone().lower_scalar(WEIGHT_MIN);
    let logarithms = weights.mask_fill(nothing.clone(), 1.0).log().mask_fill(nothing, LOG_MIN);
    Ok(logarithms.clamp_min(LOG_MIN).mean_dim(1).neg().reshape([batch]))
}
