//! Adaptive-margin triplet loss with terms that keep the embeddings from collapsing.
//!
//! # Formula
//! With `A`, `P` and `N` the matrices of anchors, positives and negatives, `amt` the mean of the
//! [adaptive-margin triplet loss](super::adaptive_triplet()), and for a matrix `Z` of `B` rows and `D` columns:
//!
//! - `V(Z) = mean_j max(0, 1 - sqrt(var_j + eps))`, the variance of a column over `B - 1`;
//! - `K(Z) = (1/D) sum_(i != j) cov_ij^2`, the covariance over `B - 1`;
//! - `loss = w_triplet amt + w_cov (K(A) + K(P) + K(N)) + w_var (V(A) + V(P) + V(N))`
//!
//! # Shapes
//! [`Triples`] of three times `[batch, width]` with at least two rows; the loss is `[1]`, because variance and covariance
//! belong to the batch.
//!
//! # Range and gradient
//! `[0, inf)` for embeddings of unit length. Not smooth where two rows coincide or a column's spread reaches 1.
//! `K(2 Z) = 16 K(Z)`; moving all rows changes nothing; `V` is 0 once every column has a standard deviation above 1.
//!
//! # Choices
//! The defaults are those of a public implementation; see the adaptive-margin triplet loss on `detach_margin`.
//!
//! # Source
//! Chudasama et al.: M2FNet: Multi-modal Fusion Network for Emotion Recognition in Conversation, CVPR workshops 2022 (arXiv
//! 2206.02187), after two independent public implementations.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::metric::triplet_with_spread::{Config, Triples, triplet_with_spread};
//!
//! let device = Device::flex();
//! let rows = || Tensor::<2>::from_data([[1.0, 0.0], [-1.0, 0.0]], &device);
//! let triples = Triples { anchor: rows(), positive: rows(), negative: rows() };
//! let spread = triplet_with_spread(&triples, &Config::default())?;
//! assert_eq!(spread.covariance.into_scalar::<f32>(), 0.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::relu};

use super::adaptive_triplet::{self, adaptive_triplet};
pub use super::pairs::Triples;
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "triplet_with_spread", family: "metric", file: "triplet_with_spread.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B D^2)",
    options: {
        eps / with_eps: f64 = 1e-6 => "0.000001", POSITIVE, "what caps a margin, and what is added to a variance";
        detach_margin / with_detach_margin: bool = false, any("true or false"), "whether margins count as constants";
        w_triplet / with_w_triplet: f64 = 20.0, NON_NEGATIVE, "the weight of the triplet loss";
        w_cov / with_w_cov: f64 = 5.0, NON_NEGATIVE, "the weight of the covariances";
        w_var / with_w_var: f64 = 1.0, NON_NEGATIVE, "the weight of the variances";
    }
}

/// What [`triplet_with_spread`] gives, each `[1]`; all parts before they are weighted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Spread {
    /// The loss.
    pub loss: Tensor<1>,
    /// Mean of the triplet loss.
    pub triplet: Tensor<1>,
    /// `V`, added up over the three matrices.
    pub variance: Tensor<1>,
    /// `K`, added up over the three matrices.
    pub covariance: Tensor<1>,
}

/// The loss and its parts.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`], also for a single triple.
pub fn triplet_with_spread(triples: &Triples, config: &Config) -> Result<Spread, LossError> {
    let [batch, width] = triples.check(NAME)?;
    if batch < 2 {
        let expected = format!("[n, {width}] with n >= 2: one row has no variance");
        return Err(LossError::Shape { loss: NAME, tensor: "anchor", expected, found: vec![batch, width] });
    }
    let options = adaptive_triplet::Config::default().with_eps(config.eps).with_detach_margin(config.detach_margin);
    let triplet = adaptive_triplet(triples, &options)?.values.mean();
    let Triples { anchor, positive, negative } = triples.clone();
    let [(var_a, cov_a), (var_p, cov_p), (var_n, cov_n)] =
        [anchor, positive, negative].map(|rows| spread(rows, config.eps));
    let (variance, covariance) = (var_a + var_p + var_n, cov_a + cov_p + cov_n);
    let loss = triplet.clone() * config.w_triplet + covariance.clone() * config.w_cov + variance.clone() * config.w_var;
    Ok(Spread { loss, triplet, variance, covariance })
}

/// `V` and `K` of a matrix of at least two rows.
fn spread(rows: Tensor<2>, eps: f64) -> (Tensor<1>, Tensor<1>) {
    let [batch, width] = rows.dims();
    let centred = rows.clone() - rows.mean_dim(0);
    let variances = centred.clone().square().sum_dim(0) / (batch - 1) as f64;
    let covariances = centred.clone().transpose().matmul(centred) / (batch - 1) as f64;
    let diagonal = Tensor::<2>::eye(width, &covariances.device()).bool();
    let covariance = covariances.mask_fill(diagonal, 0.0).square().sum() / width as f64;
    (relu((variances + eps).sqrt().neg() + 1.0).mean(), covariance)
}
