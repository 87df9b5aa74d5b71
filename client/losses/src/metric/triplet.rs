//! Triplet loss: an anchor should be nearer to a sample of its class than to one of another class, by a margin.
//!
//! # Formula
//! With `a`, `p` and `n` the rows of `anchor`, `positive` and `negative`, each divided by its length:
//! `loss_b = max(0, |a - p|^2 - |a - n|^2 + margin)`
//!
//! # Shapes
//! [`Triples`] of three times `[batch, width]`; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, 4 + margin]`, 0 with gradient 0 once the margin is kept. Not smooth where it begins to be kept. Rotating all
//! embeddings or scaling one of them changes nothing.
//!
//! # Choices
//! Squared distances of embeddings of unit length, as in the paper, whose margin is the default. Which triples are worth
//! training on is the caller's choice.
//!
//! # Source
//! Schroff, Kalenichenko, Philbin: FaceNet: A Unified Embedding for Face Recognition and Clustering, CVPR 2015.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::metric::triplet::{Config, Triples, triplet};
//!
//! let device = Device::flex();
//! let row = |x: f32, y: f32| Tensor::<2>::from_data([[x, y]], &device);
//! let triples = Triples { anchor: row(1.0, 0.0), positive: row(0.0, 1.0), negative: row(3.0, 0.0) };
//! let loss = triplet(triples, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2.2).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::relu};

pub use super::pairs::Triples;
use crate::error::LossError;
use crate::geometry::unit;
use crate::option::{NON_NEGATIVE, objective};

objective! {
    "triplet", family: "metric", file: "triplet.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B D)",
    options: {
        margin / with_margin: f64 = 0.2, NON_NEGATIVE, "how much nearer the positive should be, in squared distance";
    }
}

/// Values per triple, `[batch]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn triplet(triples: Triples, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = triples.check(NAME)?;
    let anchor = unit(triples.anchor);
    let square = |other: Tensor<2>| (anchor.clone() - unit(other)).square().sum_dim(1).reshape([batch]);
    Ok(relu(square(triples.positive) - square(triples.negative) + config.margin))
}
