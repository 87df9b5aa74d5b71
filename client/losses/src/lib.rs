//! A zoo of training objectives for [burn], each verified against golden vectors.
//!
//! A loss is a function of tensors and a small configuration. It returns **unreduced** values, one per sample, which
//! [`reduce`] turns into the number that is minimised:
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::{Reduction, classification::focal, reduce};
//!
//! let device = Device::flex().autodiff();
//! let logits = Tensor::<2>::from_data([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3]], &device).require_grad();
//! let targets = Tensor::<1, Int>::from_data([0, 2], &device);
//!
//! let values = focal::focal(logits.clone(), targets, &focal::Config::default().with_gamma(2.0))?;
//! let loss = reduce(values, None, Reduction::Mean)?;
//! let gradient = logits.grad(&loss.backward());
//! assert_eq!(gradient.map(|gradient| gradient.dims()), Some([2, 3]));
//! # Ok::<(), synod_losses::LossError>(())
//! ```
//!
//! A training loop that gets its loss from a configuration file reads it as a [`LossConfig`] and calls
//! [`softmax_objective`](classification::softmax_objective), which computes the mean over a batch and its gradient in
//! closed form:
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::{LossConfig, classification::softmax_objective, regulariser::margin_control};
//!
//! let options = serde_json::json!({ "gamma": 1.5 });
//! let loss = LossConfig::from_name("focal", options)?;
//! let device = Device::flex().autodiff();
//! let logits = Tensor::<2>::from_data([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3]], &device).require_grad();
//! let labels = Tensor::<1, Int>::from_data([0, 2], &device);
//! let value = softmax_objective(logits, labels, &loss, Some(&margin_control::Config::default()))?;
//! assert!(value.into_scalar::<f32>() > 0.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```
//!
//! - [`multilabel`] and [`regression`] have the same two entries for their tasks, `per_sample` and `objective`.
//! - [`metric`] is for embeddings with labels; its losses need more than a plan gives and are called as functions.
//! - [`segmentation`] is for masks: overlaps, projections, distances between sets of masks, and topology.
//! - A loss that remembers something of each sample is [`Remembering`]; its state is the site's.
//! - [`registry`] lists everything there is; [`LossConfig`] is any of the losses, by name.
//! - [`check`] says which inputs are checked when. No loss waits for the device in order to check values.
//! - `golden` (feature `golden`) compares values and gradients with golden files.
//!
//! Tensors carry their backend and whether gradients are recorded; nothing here names a backend.

pub mod calibration;
pub mod check;
pub mod classification;
pub mod contrastive;
pub mod density;
pub mod distillation;
mod error;
mod geometry;
#[cfg(feature = "golden")]
pub mod golden;
mod gradient;
mod host;
mod info;
pub mod metric;
pub mod multilabel;
mod option;
mod reduce;
pub mod registry;
pub mod regression;
pub mod regulariser;
pub mod segmentation;
mod stable;
mod state;
pub mod unlearning;

pub use error::{ConfigError, LossError};
pub use info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
pub use reduce::{Reduction, reduce, reduce_weighted};
pub use registry::{CATALOGUE, LossConfig};
pub use state::{Facts, LossState, Memory, Remembering, Scratch, Targets};
