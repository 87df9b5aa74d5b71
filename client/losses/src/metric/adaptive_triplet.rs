//! Adaptive-margin triplet loss: the margin between near and far depends on the distances themselves.
//!
//! # Formula
//! With `D_ap`, `D_an` and `D_pn` the Euclidean distances of the rows of `anchor`, `positive` and `negative`:
//!
//! - `m_sim = 1 + 2 / (exp(4 D_ap) + eps)`, `m_dis = 1 + 2 / (exp(4 - 4 D_an) + eps)`;
//! - `loss_b = D_ap - (D_an + D_pn) / 2 + m_sim + m_dis`
//!
//! # Shapes
//! [`Triples`] of three times `[batch, width]`; the values are `[batch]`.
//!
//! # Range and gradient
//! Above 2 for embeddings of unit length, and bounded by the cap `1 + 2/eps` of a margin. Smooth but where two rows
//! coincide; there the gradient of their distance is 0. With `detach_margin` the margins are constants. Rotating and
//! moving everything changes nothing.
//!
//! # Choices
//! The literal form, the default, pulls far negatives back: as a function of `D_an` alone it is smallest at 0.307.
//! **For training set `detach_margin`**, or scale distances into 0 to 1. `2 / (exp(u) + eps)` is computed as
//! `(2/eps) sigmoid(ln eps - u)`, which neither overflows nor loses digits. No `max(0, .)` around the sum: it would never
//! act. Embeddings are taken as given; the reference divides them by their length before.
//!
//! # Source
//! Chudasama et al.: M2FNet: Multi-modal Fusion Network for Emotion Recognition in Conversation, CVPR workshops 2022 (arXiv
//! 2206.02187), after two independent public implementations.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::metric::adaptive_triplet::{Config, Triples, adaptive_triplet};
//!
//! let device = Device::flex();
//! let row = || Tensor::<2>::from_data([[1.0, 0.0]], &device);
//! let triples = Triples { anchor: row(), positive: row(), negative: row() };
//! let adapted = adaptive_triplet(&triples, &Config::default())?;
//! assert!((adapted.values.into_scalar::<f32>() - (4.0 + 2.0 * (-4f32).exp())).abs() < 1e-4);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::sigmoid};

pub use super::pairs::Triples;
use crate::error::LossError;
use crate::geometry::row_distances;
use crate::option::{POSITIVE, any, objective};

objective! {
    "adaptive_triplet", family: "metric", file: "adaptive_triplet.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B D)",
    options: {
        eps / with_eps: f64 = 1e-6 => "0.000001", POSITIVE, "what caps a margin, at 1 + 2/eps";
        detach_margin / with_detach_margin: bool = false, any("true or false"), "whether margins count as constants";
    }
}

/// What [`adaptive_triplet`] gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Adapted {
    /// Values per triple, `[batch]`.
    pub values: Tensor<1>,
    /// `m_sim + m_dis` of each triple, `[batch]`.
    pub margins: Tensor<1>,
}

/// Values and margins per triple.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn adaptive_triplet(triples: &Triples, config: &Config) -> Result<Adapted, LossError> {
    triples.check(NAME)?;
    let Triples { anchor, positive, negative } = triples.clone();
    let near = row_distances(anchor.clone(), positive.clone());
    let far = row_distances(anchor, negative.clone());
    let between = row_distances(positive, negative);
    let margin = |exponent: Tensor<1>| sigmoid(exponent.neg() + config.eps.ln()) * (2.0 / config.eps) + 1.0;
    let margins = margin(near.clone() * 4.0) + margin(far.clone() * -4.0 + 4.0);
    let margins = if config.detach_margin { margins.detach() } else { margins };
    Ok(Adapted { values: near - (far + between) * 0.5 + margins.clone(), margins })
}
