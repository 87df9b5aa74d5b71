//! Losses for one of several classes per sample.

pub mod cross_entropy;
pub mod focal;
#[cfg(feature = "golden")]
mod golden;
mod objective;
mod softmax;

pub use cross_entropy::cross_entropy;
pub use focal::focal;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use objective::{mean_weights, per_sample, softmax_objective};
