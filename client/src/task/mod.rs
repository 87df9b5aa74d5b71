//! What a model is for: from its outputs to metrics, for each task of a plan.
//!
//! All arithmetic is f64 on the host, so that a metric depends on the outputs alone, not on the device or the batch.

pub mod classification;
mod evaluation;
mod loss;
pub mod multilabel;
pub mod regression;

pub use evaluation::Evaluation;

pub(crate) use evaluation::Tally;
