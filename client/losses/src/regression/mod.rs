//! Losses for real numbers.

pub mod gaussian_nll;
pub mod huber;
pub mod mae;
pub mod mse;
mod objective;
mod residual;

pub use gaussian_nll::gaussian_nll;
pub use huber::huber;
pub use mae::mae;
pub use mse::mse;
pub use objective::{columns_per_output, objective, per_sample, point};
