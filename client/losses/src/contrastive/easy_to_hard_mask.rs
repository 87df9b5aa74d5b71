//! Easy-to-hard masking: the share of masked patches that are chosen as the hardest grows from epoch to epoch.
//!
//! # Formula
//! With `L` patches, `keep = floor(L (1 - mask_ratio))` and `hard = floor((L - keep) (epoch + 1) / total_epochs / 2)`:
//! the `hard` patches with the largest prediction are masked; of the others the `keep` with the smallest noise stay
//! visible and the rest are masked.
//!
//! # Shapes
//! `predicted` and `noise` have `patches` numbers for each sample; so has the mask.
//!
//! # Range and gradient
//! No gradient. Exactly `L - keep` patches of each sample are masked.
//!
//! # Choices
//! Of equal numbers the first counts. Numbers are on the host, in double precision, as floors are. Predictions come
//! from the averaged model on the whole sample; [`ema_decay`] is its decay. `total_epochs` of 200 is a short run of
//! the paper.
//!
//! # Source
//! Wang, Song, Fan, Wang, Xie, Zhang: Hard Patches Mining for Masked Image Modeling, CVPR 2023;
//! `engine_pretrain.py` and `mask_transform.py` of the released code.
//!
//! # Example
//! ```
//! use synod_losses::contrastive::easy_to_hard_mask::{Config, easy_to_hard_mask};
//!
//! let config = Config::default().with_mask_ratio(0.5).with_total_epochs(1);
//! let mask = easy_to_hard_mask(&[0.1, 0.9, 0.2, 0.3], &[0.1, 0.0, 0.3, 0.2], 4, 0, &config)?;
//! assert_eq!(mask.mask.to_mask(), [false, true, true, false]);
//! assert_eq!((mask.visible, mask.hard), (2, 1));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use super::patch_mask::PatchMask;
use super::similarity::{check_shape, shape_error};
use crate::error::{ConfigError, LossError};
use crate::info::Objective;
use crate::option::{AT_LEAST_ONE, INNER_SHARE, objective};

objective! {
    "easy_to_hard_mask", family: "contrastive", file: "easy_to_hard_mask.rs", role: Step, tasks: [SelfSupervised],
    remembers: None, cost: "O(B L log L)",
    options: {
        mask_ratio / with_mask_ratio: f64 = 0.75, INNER_SHARE, "share of the patches that is masked";
        total_epochs / with_total_epochs: usize = 200, AT_LEAST_ONE, "number of epochs of the run";
    }
}

/// A mask and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EasyToHardMask {
    /// Which patches are masked.
    pub mask: PatchMask,
    /// Visible patches of a sample, `keep` of the formula.
    pub visible: usize,
    /// Patches of a sample that are masked because they are hard.
    pub hard: usize,
}

/// The mask of a batch in `epoch`, counted from 0, for `predicted` and `noise` with `patches` numbers a sample.
///
/// # Errors
/// [`LossError::Config`] if an option is out of range or the run has no such epoch; [`LossError::Shape`] if the numbers
/// are not those of whole samples; [`LossError::NotFinite`] for the first number that is not finite.
pub fn easy_to_hard_mask(
    predicted: &[f64],
    noise: &[f64],
    patches: usize,
    epoch: usize,
    config: &Config,
) -> Result<EasyToHardMask, LossError> {
    let refused = |source| LossError::Config { name: NAME, source };
    let Config { mask_ratio, total_epochs } = config.clone().validate().map_err(refused)?;
    if epoch >= total_epochs {
        return Err(refused(ConfigError::new("epoch", epoch, "below total_epochs")));
    }
    if predicted.is_empty() {
        return Err(LossError::EmptyBatch { loss: NAME });
    }
    if patches == 0 || !predicted.len().is_multiple_of(patches) {
        return Err(shape_error(NAME, "predicted", format!("[n, {patches}]"), &[predicted.len()]));
    }
    check_shape(NAME, "noise", &[noise.len()], &[predicted.len()])?;
    for (tensor, values) in [("predicted", predicted), ("noise", noise)] {
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(LossError::NotFinite { tensor, position, value: values[position] });
        }
    }
    let visible = (patches as f64 * (1.0 - mask_ratio)).floor() as usize;
    let part = (epoch + 1) as f64 / total_epochs as f64 * 0.5;
    let hard = ((patches - visible) as f64 * part).floor() as usize;
    let mut mask = vec![true; predicted.len()];
    let samples = predicted.chunks(patches).zip(noise.chunks(patches)).zip(mask.chunks_mut(patches));
    for ((predicted, noise), mask) in samples {
        // Both sorts are stable: of equal numbers the first counts.
        let mut order: Vec<usize> = (0..patches).collect();
        order.sort_by(|&left, &right| predicted[right].total_cmp(&predicted[left]));
        let others = &mut order[hard..];
        others.sort_unstable_by(|&left, &right| noise[left].total_cmp(&noise[right]).then(left.cmp(&right)));
        others[..visible].iter().for_each(|&patch| mask[patch] = false);
    }
    Ok(EasyToHardMask { mask: PatchMask::new(&mask, patches)?, visible, hard })
}

/// Decay of the averaged model in `epoch`, counted from 0: from 0.999 to 0.9999 in the first hundred.
#[must_use]
pub fn ema_decay(epoch: usize) -> f64 {
    if epoch < 100 { 0.999 + 0.0009 * epoch as f64 / 100.0 } else { 0.9999 }
}
