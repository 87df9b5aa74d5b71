//! Betti matching error: how many components and loops a segmentation has too many and too few, by place.
//!
//! # Formula
//! The value of [`betti_matching`](super::betti_matching()), both dimensions, of prediction and target after each pixel
//! has become 1 if it is at least `threshold`, else 0; the mean over the batch.
//!
//! # Shapes
//! `probs: [batch, height, width]`, `targets: [batch, height, width]`, both in `[0, 1]`; the error is one number.
//!
//! # Range and gradient
//! For each image the number of bars that are not matched, plus 2 if exactly one of the two images is empty
//! (`sublevel`: full). At least the difference of the Betti numbers. It has no gradient.
//!
//! # Choices
//! Means of it over sites are means over their images, so it is a good number to report. Computed on the host.
//!
//! # Source
//! Stucki, Paetzold, Shit, Menze, Bauer: Topologically faithful image segmentation via induced matching of persistence
//! barcodes, ICML 2023 (arXiv 2211.15272), the Betti matching error.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::betti::error::{Config, betti_matching_error};
//!
//! let device = Device::flex();
//! let probs = Tensor::<3>::from_data([[[0.9, 0.2, 0.9]]], &device);
//! let targets = Tensor::<3>::from_data([[[1.0, 1.0, 1.0]]], &device);
//! assert_eq!(betti_matching_error(&probs, &targets, &Config::default())?.error, 1.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::loss::{self, BarCounts, Levels, images, read_unit};
use crate::error::LossError;
use crate::option::{FINITE, any, objective};
use crate::segmentation::overlap::check_masks;

objective! {
    "betti_matching_error", family: "segmentation", file: "error.rs", role: Meter, tasks: [Segmentation],
    remembers: None, cost: "O(n log n) for n pixels",
    options: {
        threshold / with_threshold: f64 = 0.5, FINITE, "the probability from which a pixel is foreground";
        filtration / with_filtration: Levels = Levels::Superlevel => "\"superlevel\"", any("superlevel, sublevel or bothlevel"),
            "which features are looked at";
        relative / with_relative: bool = false, any("true or false"), "whether a frame is put around the images";
    }
}

/// What [`betti_matching_error`] gives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Errors {
    /// Mean over the batch.
    pub error: f64,
    /// Numbers of bars, added up over the batch.
    pub counts: BarCounts,
}

/// The error and the numbers of bars.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`]; [`LossError::NotFinite`] and [`LossError::Value`] for numbers that
/// are not finite or outside `[0, 1]`; [`LossError::Read`] if the device fails.
pub fn betti_matching_error(probs: &Tensor<3>, targets: &Tensor<3>, config: &Config) -> Result<Errors, LossError> {
    check_masks(NAME, probs, "target", targets)?;
    let masks = |name: &'static str, tensor: &Tensor<3>| {
        let values = read_unit(NAME, name, tensor)?;
        // In single precision, for a probability that is written like the threshold to reach it.
        let reaches = |p: f64| p as f32 >= config.threshold as f32;
        Ok::<_, LossError>(values.iter().map(|&p| f64::from(u8::from(reaches(p)))).collect::<Vec<_>>())
    };
    let options = loss::Config::default().with_filtration(config.filtration).with_relative(config.relative);
    let images = images(&masks("pred", probs)?, &masks("target", targets)?, probs.dims(), &options)?;
    let error = images.values.iter().sum::<f64>() / images.values.len() as f64;
    Ok(Errors { error, counts: images.counts })
}
