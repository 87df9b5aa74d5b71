//! Removing what a finished model learned of some samples.

pub mod flat;
#[cfg(feature = "golden")]
mod golden;

pub use flat::flat;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
