//! Losses and heads for one of several classes per sample.

mod ensloss;
mod linear_step;
mod memory;
mod plan;
mod smooth_adversarial;
