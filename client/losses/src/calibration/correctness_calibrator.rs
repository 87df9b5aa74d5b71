//! A small network that finds each sample's temperature from the answers to transformed copies of the sample.
//!
//! # Formula
//! With the `k` classes of the largest `logits`, in descending order, and `softmax(view_v)` at these classes for each of
//! `V` views, one after the other, as features `x`: `T = clamp(<w2, relu(w1 x + b1)> + b2, t_min, t_max)`. It is trained
//! with [`correctness_aware`](mod@super::correctness_aware).
//!
//! # Shapes
//! `logits: [batch, classes]`, `views: [views, batch, classes]`, features `[batch, views * k]`, `w1: [hidden, views * k]`,
//! `b1: [hidden]`, `w2: [hidden]`, `b2: [1]`; temperatures are `[batch]`.
//!
//! # Range and gradient
//! `[t_min, t_max]`. Features carry no gradient; outside the range the gradient of the network is 0, at its ends it
//! passes. Start `b2` near 1, so that temperatures begin inside. Dividing logits by a temperature changes no prediction.
//!
//! # Choices
//! Of equal logits the first counts as the larger. The paper has three views (rotated, grey, colour-jittered), 5 hidden
//! units and Adam at 1e-4 for 10 epochs in batches of 1000. The network's numbers may be averaged over sites.
//!
//! # Source
//! Liu, Wang, Zou, Zou, Zheng: Optimizing Calibration by Gaining Aware of Prediction Correctness, arXiv 2404.13016,
//! 2024, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::calibration::correctness_calibrator::{Calibrator, Config, features};
//!
//! let device = Device::flex();
//! let config = Config::default().with_k(1);
//! let logits = Tensor::<2>::from_data([[0.0, 2.0]], &device);
//! let x = features(&logits, Tensor::<3>::zeros([1, 1, 2], &device), &config)?;
//! let calibrator = Calibrator {
//!     w1: Tensor::from_data([[2.0]], &device),
//!     b1: Tensor::zeros([1], &device),
//!     w2: Tensor::ones([1], &device),
//!     b2: Tensor::ones([1], &device),
//! };
//! assert_eq!(calibrator.temperature(x, &config)?.into_scalar::<f32>(), 2.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::activation::{relu, softmax};
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use crate::check;
use crate::error::{ConfigError, LossError};
use crate::option::{AT_LEAST_ONE, POSITIVE, objective};

objective! {
    "correctness_calibrator", family: "calibration", file: "correctness_calibrator.rs", role: Step, tasks: [Calibration],
    remembers: Shared, cost: "O(V B C)",
    options: {
        k / with_k: usize = 4, AT_LEAST_ONE, "number of classes that are looked at";
        t_min / with_t_min: f64 = 0.1, POSITIVE, "lowest temperature";
        t_max / with_t_max: f64 = 10.0, POSITIVE, "highest temperature";
    }
    also: |config: &Config| if config.t_min < config.t_max {
        Ok(())
    } else {
        Err(ConfigError::new("t_min", config.t_min, "a number below t_max"))
    }
}

/// Features of samples, `[batch, views * k]`, without gradient, for `logits: [batch, classes]` and
/// `views: [views, batch, classes]`, the logits of transformed copies.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`] if the views have another shape or there are fewer than `k` classes.
pub fn features(logits: &Tensor<2>, views: Tensor<3>, config: &Config) -> Result<Tensor<2>, LossError> {
    let [batch, classes] = check::matrix(NAME, "logits", logits)?;
    let [count, rows, columns] = views.dims();
    let refuse = |tensor, expected, found| Err(LossError::Shape { loss: NAME, tensor, expected, found });
    if config.k > classes {
        return refuse("logits", format!("[batch, at least {} classes]", config.k), vec![batch, classes]);
    }
    if count == 0 || [rows, columns] != [batch, classes] {
        return refuse("views", format!("[views, {batch}, {classes}]"), vec![count, rows, columns]);
    }
    let top = top_k(logits.clone().detach(), config.k).reshape([1, batch, config.k]).repeat_dim(0, count);
    let chosen = softmax(views.detach(), 2).gather(2, top);
    Ok(chosen.swap_dims(0, 1).reshape([batch, count * config.k]))
}

/// Columns of the `k` largest entries of each row, `[rows, k]`, in descending order; of equal ones the first first.
fn top_k(mut rows: Tensor<2>, k: usize) -> Tensor<2, Int> {
    let taken = Tensor::full([rows.dims()[0], 1], f64::NEG_INFINITY, (&rows.device(), rows.dtype()));
    let columns = (0..k).map(|_| {
        let largest = rows.clone().argmax(1);
        rows = rows.clone().scatter(1, largest.clone(), taken.clone(), IndexingUpdateOp::Add);
        largest
    });
    Tensor::cat(columns.collect(), 1)
}

/// The network's numbers.
#[derive(Debug, Clone)]
pub struct Calibrator {
    /// Weights of the hidden units, `[hidden, views * k]`.
    pub w1: Tensor<2>,
    /// Their biases, `[hidden]`.
    pub b1: Tensor<1>,
    /// Weights of the temperature, `[hidden]`.
    pub w2: Tensor<1>,
    /// Its bias, `[1]`.
    pub b2: Tensor<1>,
}

impl Calibrator {
    /// Temperatures, `[batch]`, for [`features`]: `[batch, views * k]`.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`], [`LossError::Shape`].
    pub fn temperature(&self, features: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
        let [hidden, width] = check::matrix(NAME, "w1", &self.w1)?;
        let [batch, columns] = check::matrix(NAME, "features", &features)?;
        if columns != width {
            let (expected, found) = (format!("[{batch}, {width}]"), vec![batch, columns]);
            return Err(LossError::Shape { loss: NAME, tensor: "features", expected, found });
        }
        check::vector(NAME, "b1", &self.b1, hidden)?;
        check::vector(NAME, "w2", &self.w2, hidden)?;
        check::vector(NAME, "b2", &self.b2, 1)?;
        let units = relu(features.matmul(self.w1.clone().transpose()) + self.b1.clone().reshape([1, hidden]));
        let temperature = units.matmul(self.w2.clone().reshape([hidden, 1])).reshape([batch]) + self.b2.clone();
        Ok(temperature.clamp(config.t_min, config.t_max))
    }
}
