//! Losses for any number of classes per sample.

pub mod bce;
pub mod comic;
pub mod decoupled_softmax;
#[cfg(feature = "golden")]
mod golden;
mod objective;
mod present;
pub mod soft_top_k;
pub mod softmax;

pub use bce::binary_cross_entropy;
pub use decoupled_softmax::decoupled_softmax;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use objective::{objective, per_sample};
pub use present::similarities;
pub use soft_top_k::soft_top_k;
