//! Losses that learn from another model's outputs, which are constants: no gradient reaches a teacher.

pub mod align_gradients;
pub mod binary_kl;
pub mod binary_kl_norm;
pub mod dual_head;
pub mod f_distill;
pub mod f_distill_discriminator;
pub mod f_divergence;
#[cfg(feature = "golden")]
mod golden;
pub mod group_guidance;
pub mod kl_top;
pub mod knowledge_distillation;
pub mod landmark;
pub mod landmark_assist;
pub mod soft_landmarks;
mod softened;

pub use align_gradients::align_gradients;
pub use binary_kl::binary_kl;
pub use binary_kl_norm::binary_kl_norm;
pub use dual_head::dual_head;
pub use f_distill::f_distill;
pub use f_distill_discriminator::f_distill_discriminator;
pub use f_divergence::f_divergence;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use group_guidance::group_guidance;
pub use kl_top::kl_top;
pub use knowledge_distillation::knowledge_distillation;
pub use landmark::landmark;
pub use landmark_assist::landmark_assist;
pub use soft_landmarks::soft_landmarks;
