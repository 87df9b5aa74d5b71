//! The architectures of a plan, as named blocks of numbers and as burn modules.
//!
//! ```text
//! plan ──► Blueprint (layers with names and sizes) ──► Layout, first values, files
//!                     └── with a flat [f32] ──► Network (burn modules on a device) ──► flat [f32]
//! ```
//!
//! The blueprint is the one description; a test checks that the networks agree with it.

mod blueprint;
mod closed_form;
mod error;
pub mod export;
mod flat;
mod initial;
mod network;

pub use blueprint::layout;
pub use error::ModelError;
pub use initial::initial;

pub(crate) use blueprint::Blueprint;
pub(crate) use closed_form::{ClosedForm, Target};
pub(crate) use flat::write_flat;
pub(crate) use network::Network;

#[cfg(test)]
mod tests;
