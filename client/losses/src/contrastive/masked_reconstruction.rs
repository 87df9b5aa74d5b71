//! Masked reconstruction: the squared error of predicted patches, where they were masked.
//!
//! # Formula
//! `value_bm = mean_d (pred_bmd - target_bmd)^2` over the masked patches `m` of sample `b`. With `norm_pix` the target
//! of each patch is `(t - mean) / sqrt(var + 1e-6)`, `var` divided by `D - 1`.
//!
//! # Shapes
//! `pred, target: [batch, patches, d]`; the mask has `batch` samples of `patches`; values are `[batch, masked]`, in the
//! order of the patches. Their mean is the loss.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. The target is a constant; patches that are not masked get no gradient. A patch of one value
//! cannot be normalised and is refused with `norm_pix`.
//!
//! # Choices
//! Only the masked patches are gathered and compared. Every sample has the same number of them, as encoders need it.
//! Targets may also be features of a teacher, without `norm_pix`.
//!
//! # Source
//! Wang, Song, Fan, Wang, Xie, Zhang: Hard Patches Mining for Masked Image Modeling, CVPR 2023, after He,
//! Chen, Xie, Li, Dollar, Girshick: Masked Autoencoders Are Scalable Vision Learners, CVPR 2022.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::PatchMask;
//! use synod_losses::contrastive::masked_reconstruction::{Config, masked_reconstruction};
//!
//! let device = Device::flex();
//! let (pred, target) = (Tensor::<3>::zeros([1, 4, 2], &device), Tensor::<3>::ones([1, 4, 2], &device));
//! let mask = PatchMask::new(&[true, false, true, false], 4)?;
//! let values = masked_reconstruction(pred, target, &mask, &Config::default().with_norm_pix(false))?;
//! assert_eq!(values.dims(), [1, 2]);
//! assert_eq!(values.mean().into_scalar::<f32>(), 1.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::patch_mask::PatchMask;
use super::similarity::{check_shape, shape_error, standardise};
use crate::error::LossError;
use crate::option::{any, objective};

objective! {
    "masked_reconstruction", family: "contrastive", file: "masked_reconstruction.rs", role: Loss,
    tasks: [SelfSupervised],
    remembers: None, cost: "O(B L D)",
    options: {
        norm_pix / with_norm_pix: bool = true, any("true | false"),
            "choice whether the target of each patch is normalised";
    }
}

/// Added to the variance of a patch, or of a sample's patch losses.
pub(super) const VARIANCE_EPS: f64 = 1e-6;

/// Values per masked patch, `[batch, masked]`, for `pred, target: [batch, patches, d]`.
///
/// # Errors
/// [`LossError::Shape`] if shapes and mask do not match, or a patch has too few values.
pub fn masked_reconstruction(
    pred: Tensor<3>,
    target: Tensor<3>,
    mask: &PatchMask,
    config: &Config,
) -> Result<Tensor<2>, LossError> {
    let [_, _, dim] = pred.dims();
    let (batch, masked) = (mask.batch(), mask.masked_per_sample());
    check_shape(NAME, "pred", &pred.dims(), &[batch, mask.patches(), dim])?;
    check_shape(NAME, "target", &target.dims(), &pred.dims())?;
    let values_min = if config.norm_pix { 2 } else { 1 };
    if dim < values_min {
        let expected = format!("[{batch}, {}, d] with d >= {values_min}", mask.patches());
        return Err(shape_error(NAME, "pred", expected, &pred.dims()));
    }
    let indices = mask.indices(&pred.device()).reshape([batch, masked, 1]).expand([batch, masked, dim]);
    let target = target.detach().gather(1, indices.clone());
    let target = if config.norm_pix { standardise(target, 2, dim as f64 - 1.0, VARIANCE_EPS) } else { target };
    Ok((pred.gather(1, indices) - target).square().mean_dim(2).reshape([batch, masked]))
}
