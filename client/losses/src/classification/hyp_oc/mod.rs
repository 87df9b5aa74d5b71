//! One-class classification in hyperbolic space: genuine samples against pseudo-negatives drawn around them.
//!
//! A training step draws [pseudo-negatives](fn@pseudo_negative) around the features of genuine samples, maps both to a
//! Poincaré ball with [`to_poincare`](fn@to_poincare), and minimises [`hyp_oc`](fn@hyp_oc), the sum of
//! [`hyp_ce`](fn@hyp_ce) and [`hyp_pc`](fn@hyp_pc).

mod ball;
#[cfg(feature = "golden")]
mod golden;
pub mod hyp_ce;
pub mod hyp_pc;
pub mod pseudo_negative;
pub mod to_poincare;
pub mod total;

#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use hyp_ce::{Hyperplanes, hyp_ce};
pub use hyp_pc::hyp_pc;
pub use pseudo_negative::pseudo_negative;
pub use to_poincare::to_poincare;
pub use total::hyp_oc;
