//! Terms that are added to a loss.

#[cfg(feature = "golden")]
mod golden;
pub mod margin_control;
pub mod signed_measure;
pub mod weight_distribution;
pub mod wgsef;

#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use margin_control::margin_control;
pub use signed_measure::signed_measure_loss;
pub use weight_distribution::weight_distribution;
pub use wgsef::wgsef;
