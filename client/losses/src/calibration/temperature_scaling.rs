//! Temperature scaling: one temperature for a finished classifier, that of the highest likelihood on held-out samples.
//!
//! # Formula
//! `T` in `[t_min, t_max]` that minimises `mean_b -ln softmax(logits_b / T)[label_b]`.
//!
//! # Shapes
//! `logits: [batch, classes]`, `labels: [batch]` with values in `0..classes`; the result is one number.
//!
//! # Range and gradient
//! `[t_min, t_max]`; no gradient. Above 1 for a classifier that is too sure of itself. Where every sample is predicted
//! right the likelihood rises to the end of the range, and `t_min` comes out. Predictions do not change.
//!
//! # Choices
//! The likelihood is convex in `1 / T`, so the sign of its derivative tells on which side of the best `T` one is: the
//! interval is halved 60 times in the logarithm, in double precision on the host.
//!
//! # Source
//! Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, equation 9.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::calibration::temperature_scaling::{Config, fit_temperature};
//!
//! let device = Device::flex();
//! // Sure at 6 to 1 in logits, but right in three cases of four: ln 3 would do.
//! let logits = Tensor::<2>::from_data([[6.0, 0.0], [6.0, 0.0], [6.0, 0.0], [6.0, 0.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 0, 1, 0], &device);
//! let temperature = fit_temperature(&logits, &labels, &Config::default())?;
//! assert!((temperature - 6.0 / 3f64.ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use crate::check;
use crate::error::{ConfigError, LossError};
use crate::host::{read_finite, read_whole};
use crate::option::{POSITIVE, objective};

objective! {
    "temperature_scaling", family: "calibration", file: "temperature_scaling.rs", role: Step, tasks: [Calibration],
    remembers: None, cost: "O(60 B C)",
    options: {
        t_min / with_t_min: f64 = 0.01, POSITIVE, "lowest temperature";
        t_max / with_t_max: f64 = 100.0, POSITIVE, "highest temperature";
    }
    also: |config: &Config| if config.t_min < config.t_max {
        Ok(())
    } else {
        Err(ConfigError::new("t_min", config.t_min, "a number below t_max"))
    }
}

/// Halvings of the interval; the ends then differ by less than double precision tells apart.
const HALVINGS: usize = 60;

/// The temperature for `logits: [batch, classes]` and `labels: [batch]` of held-out samples. Waits for the device.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], [`LossError::Label`], [`LossError::NotFinite`].
pub fn fit_temperature(logits: &Tensor<2>, labels: &Tensor<1, Int>, config: &Config) -> Result<f64, LossError> {
    let [_, classes] = check::classification(NAME, logits, labels)?;
    let labels = read_whole("labels", labels)?;
    check::labels(&labels, classes)?;
    let rows = read_finite("logits", logits)?;
    let (mut low, mut high) = (config.t_min.ln(), config.t_max.ln());
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let slope: f64 =
            rows.chunks(classes).zip(&labels).map(|(row, &label)| slope(row, label as usize, middle.exp())).sum();
        // The loss rises with 1 / T: a smaller 1 / T, a larger T, is better.
        if slope > 0.0 { low = middle } else { high = middle }
    }
    Ok((0.5 * (low + high)).exp())
}

/// Derivative of `-ln softmax(row / T)[label]` with respect to `1 / T`: expected logit minus that of the label.
fn slope(row: &[f64], label: usize, temperature: f64) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for logit in row {
        let weight = ((logit - largest) / temperature).exp();
        sum += weight;
        weighted += weight * (logit - row[label]);
    }
    weighted / sum
}
