//! Choosing actions by predicted losses, and learning from the loss of the chosen one.

pub mod inverse_gap;
pub mod perturbed_regression;
pub mod projected_step;

pub use inverse_gap::inverse_gap;
pub use perturbed_regression::perturbed_regression;
pub use projected_step::projected_step;
