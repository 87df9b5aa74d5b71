//! Losses for embeddings whose distances mean something.

pub mod adaptive_triplet;
pub mod contrastive;
#[cfg(feature = "golden")]
mod golden;
pub mod icnn;
pub mod metrix;
pub mod multi_similarity;
mod pairs;
pub mod proto_triplet;
pub mod proxy_anchor;
pub mod triplet;
pub mod triplet_with_spread;

pub use adaptive_triplet::adaptive_triplet;
pub use contrastive::contrastive;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use icnn::icnn;
pub use multi_similarity::multi_similarity;
pub use proto_triplet::{proto_triplet, prototypes};
pub use proxy_anchor::proxy_anchor;
pub use triplet::triplet;
pub use triplet_with_spread::triplet_with_spread;
