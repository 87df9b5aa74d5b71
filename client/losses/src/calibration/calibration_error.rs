//! Expected calibration error: how far confidence and accuracy differ, on average over bins of confidence.
//!
//! # Formula
//! With the confidence of a sample (the largest probability), samples in `bins` bins by confidence, and in bin `m` of
//! `n_m` samples the mean confidence `conf_m` and the share `acc_m` of right predictions:
//! `error = sum_m (n_m / n) |acc_m - conf_m|`. Bins of `equal_width` are the intervals `((m - 1) / bins, m / bins]`; bins
//! of `equal_mass` hold the same number of samples, to within one, in the order of confidence.
//!
//! # Shapes
//! `logits: [batch, classes]`, `labels: [batch]` with values in `0..classes`; the result is a number and the bins.
//!
//! # Range and gradient
//! `[0, 1]`; no gradient. Few samples in a bin make the error too large, bins that are too wide too small.
//!
//! # Choices
//! Computed in double precision on the host. `equal_width` with 15 bins is the usual error (ECE); `equal_mass` is the
//! adaptive one, which does not leave most bins empty when nearly all confidences are near 1. Empty bins are left out.
//! Samples of equal confidence keep their order. Divide logits by a temperature first to see its effect.
//!
//! # Source
//! Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, equation 3. Bins of equal mass:
//! Nixon, Dusenberry, Jerfel, Nguyen, Liu, Zhang, Tran: Measuring Calibration in Deep Learning, CVPR Workshops 2019.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::calibration::calibration_error::{Config, calibration_error};
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_data([[0.0, 0.0], [0.0, 0.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 1], &device);
//! assert!(calibration_error(&logits, &labels, &Config::default())?.error < 1e-12);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::LossError;
use crate::host::{read_finite, read_whole};
use crate::option::{Allowed, any, objective};

/// How samples are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binning {
    /// Intervals of the same width.
    #[default]
    EqualWidth,
    /// The same number of samples in each.
    EqualMass,
}

/// More bins than samples of any use; bounds what a configuration allocates.
const BINS: Allowed<usize> = Allowed { test: |bins| (1..=10_000).contains(bins), text: "1 to 10000" };

objective! {
    "calibration_error", family: "calibration", file: "calibration_error.rs", role: Meter, tasks: [Calibration],
    remembers: None, cost: "O(B (C + log B))",
    options: {
        bins / with_bins: usize = 15, BINS, "number of bins";
        binning / with_binning: Binning = Binning::EqualWidth => "\"equal_width\"", any("\"equal_width\", \"equal_mass\""),
            "rule by which samples are put into bins";
    }
}

/// An error and the bins it comes from, for a reliability diagram.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Calibration {
    /// The expected calibration error, in `[0, 1]`.
    pub error: f64,
    /// Bins that are not empty, by rising confidence.
    pub bins: Vec<Bin>,
}

/// One bin.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Bin {
    /// Samples in it.
    pub samples: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that is predicted right.
    pub accuracy: f64,
}

/// The error for `logits: [batch, classes]` and `labels: [batch]`. Waits for the device.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], [`LossError::Label`], [`LossError::NotFinite`].
pub fn calibration_error(
    logits: &Tensor<2>,
    labels: &Tensor<1, Int>,
    config: &Config,
) -> Result<Calibration, LossError> {
    let [batch, classes] = check::classification(NAME, logits, labels)?;
    let labels = read_whole("labels", labels)?;
    check::labels(&labels, classes)?;
    let rows = read_finite("logits", logits)?;
    let mut samples: Vec<(f64, bool)> =
        rows.chunks(classes).zip(labels).map(|(row, label)| confidence(row, label as usize)).collect();
    samples.sort_by(|left, right| left.0.total_cmp(&right.0));
    let bin_of = |(rank, sample): (usize, &(f64, bool))| match config.binning {
        Binning::EqualWidth => ((sample.0 * config.bins as f64).ceil() as usize).clamp(1, config.bins) - 1,
        Binning::EqualMass => rank * config.bins / batch,
    };
    let bin_of: Vec<usize> = samples.iter().enumerate().map(bin_of).collect();
    let mut bins = Vec::new();
    let mut start = 0;
    for members in bin_of.chunk_by(|left, right| left == right) {
        let samples = &samples[start..start + members.len()];
        start += members.len();
        let mean = |value: fn(&(f64, bool)) -> f64| samples.iter().map(value).sum::<f64>() / samples.len() as f64;
        let accuracy = mean(|(_, correct)| f64::from(u8::from(*correct)));
        bins.push(Bin { samples: samples.len(), confidence: mean(|(confidence, _)| *confidence), accuracy });
    }
    let gap = |bin: &Bin| bin.samples as f64 * (bin.accuracy - bin.confidence).abs();
    Ok(Calibration { error: bins.iter().map(gap).sum::<f64>() / batch as f64, bins })
}

/// Largest probability of a row, and whether it is that of the label; of equal logits the first is the largest.
fn confidence(row: &[f64], label: usize) -> (f64, bool) {
    let (mut predicted, mut largest) = (0, f64::NEG_INFINITY);
    for (class, &logit) in row.iter().enumerate() {
        if logit > largest {
            (predicted, largest) = (class, logit);
        }
    }
    let sum: f64 = row.iter().map(|logit| (logit - largest).exp()).sum();
    (1.0 / sum, predicted == label)
}
