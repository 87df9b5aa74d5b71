//! Losses for one of several classes per sample.

pub mod aldr_kl;
pub mod comp_sum;
pub mod cross_entropy;
pub mod ensloss;
pub mod focal;
#[cfg(feature = "golden")]
mod golden;
pub mod hyp_oc;
pub mod ldr_kl;
pub mod linear_step;
pub mod naive_bayes;
mod objective;
pub mod smooth_adv_comp_sum;
mod softmax;
pub mod z_loss;

pub use aldr_kl::aldr_kl;
pub use comp_sum::comp_sum;
pub use cross_entropy::cross_entropy;
pub use ensloss::ensloss;
pub use focal::focal;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use ldr_kl::ldr_kl;
pub use objective::{mean_weights, per_sample, softmax_objective};
pub use smooth_adv_comp_sum::smooth_adv_comp_sum;
pub use z_loss::z_loss;
