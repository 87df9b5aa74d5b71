//! Losses for any number of classes per sample.

pub mod bce;
mod objective;

pub use bce::binary_cross_entropy;
pub use objective::{objective, per_sample};
