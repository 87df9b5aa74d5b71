//! Terms that are added to a loss.

#[cfg(feature = "golden")]
mod golden;
pub mod margin_control;

#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use margin_control::margin_control;
