//! What a model is for: from logits to metrics, for each task of a plan.

pub mod classification;

pub use classification::Evaluation;
