//! Losses and scores of densities: how likely a sample is, and how to learn it.

pub mod apre;
pub mod exact_nll;
#[cfg(feature = "golden")]
mod golden;
pub mod mean_shift;
pub mod meco;
pub mod momentum_update;
pub mod nce;
pub mod reconstruction_score;

pub use apre::apre;
pub use exact_nll::{effective_sample_size, exact_nll};
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use mean_shift::{mean_shift, mean_shift_queries};
pub use meco::meco;
pub use momentum_update::momentum_update;
pub use nce::nce;
pub use reconstruction_score::reconstruction_score;
