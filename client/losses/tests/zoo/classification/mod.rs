//! Losses and heads for one of several classes per sample.

mod memory;
mod plan;
mod smooth_adversarial;
