//! Terms that are added to a loss.

pub mod margin_control;

pub use margin_control::margin_control;
