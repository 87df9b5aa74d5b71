//! Models whose values are sums over samples: what a sample adds, and the linear layer that the sums give.
//!
//! ```text
//! samples of a site ── add, in f64 ──► sums, sent as f32 ── added exactly ──► model ── linear, in f64 ──► one layer
//! ```
//!
//! The sums of all sites are the sums of the pooled samples, so the model is too, however samples are split. What is left
//! are roundings: each site's sums and their total to f32, 2^-24 of each value. Class counts are exact up to 2^24 samples. A
//! variance or a pivot is a difference of sums and loses as many digits as inputs are far from 0, in their own standard
//! deviations: normalise them.

mod naive_bayes;
mod ridge;

use synod_common::blocks::{BlockKind, BlockSpec};

use super::error::ModelError;
pub(super) use naive_bayes::NaiveBayes;
pub(super) use ridge::Ridge;

/// A model in closed form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClosedForm {
    NaiveBayes(NaiveBayes),
    Ridge(Ridge),
}

/// What is to be predicted for a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// Its class, below the number of classes.
    Class(usize),
    /// `[outputs]`.
    Numbers(&'a [f32]),
}

impl ClosedForm {
    pub(super) fn blocks(&self) -> Vec<BlockSpec> {
        match self {
            Self::NaiveBayes(model) => model.blocks(),
            Self::Ridge(model) => model.blocks(),
        }
    }

    /// Adds a sample with `inputs: [inputs]` to `sums`, which are laid out as the model is.
    pub(crate) fn add(&self, sums: &mut [f64], inputs: &[f32], target: Target<'_>) {
        match self {
            Self::NaiveBayes(model) => model.add(sums, inputs, target),
            Self::Ridge(model) => model.add(sums, inputs, target),
        }
    }

    /// The linear layer of the model `sums`, `weight: [inputs, outputs]` and after it `bias: [outputs]`. Without samples it
    /// is zero.
    ///
    /// # Errors
    /// When `sums` are none of samples.
    pub(super) fn linear(&self, sums: &[f32]) -> Result<Vec<f32>, ModelError> {
        match self {
            Self::NaiveBayes(model) => model.linear(sums),
            Self::Ridge(model) => model.linear(sums),
        }
    }
}

fn block(name: &str, shape: &[usize]) -> BlockSpec {
    BlockSpec { name: name.to_owned(), shape: shape.to_vec(), kind: BlockKind::Parameter }
}
