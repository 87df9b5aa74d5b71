//! Losses for masks: oracles, laws, differences and degenerate masks.

mod betti;
mod overlap;
mod raters;

use crate::support::noise;

/// A mask of `len` pixels that looks random.
pub(crate) fn mask(len: usize, seed: u64) -> Vec<f64> {
    noise(len, seed).into_iter().map(|value| f64::from(u8::from(value > 0.3))).collect()
}

pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
