//! Learning from answers that are known only as averages over bags of samples.

pub mod aggregate_responses;
mod bags;
pub mod private_responses;

pub use aggregate_responses::aggregate_responses;
pub use bags::Bags;
pub use private_responses::private_responses;
