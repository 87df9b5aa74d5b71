//! Losses for real numbers.

pub mod aggregate;
pub mod bandit;
pub mod cauchy_schwarz;
pub mod gaussian_nll;
#[cfg(feature = "golden")]
mod golden;
pub mod huber;
pub mod mae;
pub mod maps;
pub mod mse;
pub mod object_depth;
mod objective;
pub mod quality;
mod residual;

pub use gaussian_nll::gaussian_nll;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use huber::huber;
pub use mae::mae;
pub use mse::mse;
pub use object_depth::object_depth;
pub use objective::{columns_per_output, objective, per_sample, point};
