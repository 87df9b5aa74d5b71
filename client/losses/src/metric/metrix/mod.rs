//! Metric learning with mixed embeddings: between a sample of an anchor's class and one of another class lies one that
//! belongs to both in part.

pub mod contrastive;
mod mixing;
pub mod multi_similarity;
pub mod proxy_anchor;

pub use mixing::{Mixed, mixed_labels};
