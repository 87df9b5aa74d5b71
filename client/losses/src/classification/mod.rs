//! Losses for one of several classes per sample.

pub mod cross_entropy;
pub mod focal;
mod objective;
mod softmax;

pub use cross_entropy::cross_entropy;
pub use focal::focal;
pub use objective::{per_sample, softmax_objective};
