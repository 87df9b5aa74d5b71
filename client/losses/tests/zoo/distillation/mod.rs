//! Losses that learn from another model.

mod f_distill;
mod heads;
mod landmarks;
mod logits;
