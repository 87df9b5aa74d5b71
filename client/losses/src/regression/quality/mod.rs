//! Scores of quality as distributions over five levels, and their order within pairs.

pub mod binary_rank;
pub mod fidelity;
mod levels;
pub mod quality_score;
pub mod soft_level_kl;
pub mod soft_levels;

pub use binary_rank::binary_rank;
pub use fidelity::fidelity;
pub use levels::{Levels, Score};
pub use quality_score::quality_score;
pub use soft_level_kl::soft_level_kl;
pub use soft_levels::soft_levels;
