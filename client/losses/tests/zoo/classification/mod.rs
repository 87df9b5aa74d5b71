//! Losses and heads for one of several classes per sample.

mod ensloss;
mod hyp_oc;
mod linear_step;
mod memory;
mod naive_bayes;
mod plan;
mod smooth_adversarial;
