//! One of several classes per sample: metrics from logits and labels, in one pass over the samples.

mod auroc;
mod counts;
mod loss;
mod tally;

pub(crate) use tally::Tally;
