//! Losses for real numbers.

pub mod gaussian_nll;
pub mod huber;
pub mod mae;
pub mod mse;
pub mod object_depth;
mod objective;
mod residual;

pub use gaussian_nll::gaussian_nll;
pub use huber::huber;
pub use mae::mae;
pub use mse::mse;
pub use object_depth::object_depth;
pub use objective::{columns_per_output, objective, per_sample, point};
