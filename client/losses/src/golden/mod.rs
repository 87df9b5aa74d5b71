//! Comparison with golden files: values and gradients that another implementation computed.
//!
//! A golden file is JSON. Each case names an objective, its options and its inputs, and says which loss and gradients
//! must come out, and how closely:
//!
//! ```
//! use burn::tensor::Device;
//! use synod_losses::golden::{File, Verdict};
//!
//! let file = File::parse(br#"{ "loss": "cross_entropy", "cases": [{
//!     "name": "uniform", "objective": "cross_entropy", "params": {},
//!     "inputs": { "logits": { "shape": [1, 2], "data": [0.0, 0.0] },
//!                 "labels": { "shape": [1], "data": [1], "dtype": "i64" } },
//!     "expected": { "loss": 0.693147181, "grads": { "logits": { "shape": [1, 2], "data": [0.5, -0.5] } } },
//!     "rtol": 1e-4, "atol": 1e-6 }] }"#)?;
//! let report = file.evaluate(&Device::flex())?;
//! assert!(report.iter().all(|case| matches!(case.verdict, Verdict::Passed)));
//! # Ok::<(), synod_losses::golden::GoldenError>(())
//! ```
//!
//! Names in golden files may use hyphens where names in plans use underscores. The same objective name can mean
//! different things in different files (`contrastive`), so the file's `loss` decides first; its leading number, if it
//! has one, does not matter. An objective that is not in the zoo is skipped, with the reason, and so is one that
//! belongs to the coordinator's strategies.
//!
//! - `format`: what stands in a golden file
//! - `inputs`: tensors and options of a case, for whoever evaluates it
//! - `evaluator`: how an objective of the zoo is joined to its name in golden files; each family has a list of them
//! - `report`: comparison and verdict

mod evaluator;
mod format;
mod inputs;
mod report;

pub(crate) use evaluator::{Evaluator, Outcome, classification_loss};
pub use format::{Array, Case, Expected, FILE_BYTES_MAX, File, GoldenError};
pub(crate) use inputs::Inputs;
pub use report::{CaseReport, Comparison, Verdict};
