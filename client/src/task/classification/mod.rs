//! One of several classes per sample: metrics from logits and labels, in one pass over the samples.
//!
//! All arithmetic is f64 on the host, so that a metric depends on the logits alone, not on the device or the batch.

mod auroc;
mod counts;
mod loss;
mod tally;

pub use tally::Evaluation;

pub(crate) use tally::Tally;
