//! Proto-triplet loss: a query should be nearer to the prototype of its class than to any other, by a margin.
//!
//! # Formula
//! With `d(a, b) = sqrt(|a - b|^2 + 1e-6)`, `q` a query of class `y` and `P` the prototypes:
//! `loss_b = max(0, d(q, P[y]) - min_(c != y) d(q, P[c]) + margin)`
//!
//! # Shapes
//! `query: [batch, width]`, `labels: [batch]` in `0..classes`, `prototypes: [classes, width]` of at least two classes, for
//! instance the means of [`prototypes`]; the result is `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, 0 with gradient 0 once the margin is kept. Not smooth where that begins or where another rival becomes the
//! nearest. Queries and prototypes have gradients, and through means the support. Rotating and moving everything
//! changes nothing.
//!
//! # Choices
//! The nearest rival is found by one matrix product; its distance and that to the own prototype are then taken from
//! differences, which keeps their digits far from the origin. The 1e-6 inside the root is the reference's.
//!
//! # Source
//! Mendez-Ruiz et al.: SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel
//! distance-based loss functions for few-shot image classification, 2023 (arXiv 2305.09062), proto-triplet loss; arranged
//! as in public code of the authors' line.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::proto_triplet::{Config, proto_triplet};
//!
//! let device = Device::flex();
//! let query = Tensor::<2>::from_data([[0.0, 0.0]], &device);
//! let prototypes = Tensor::<2>::from_data([[3.0, 4.0], [0.0, 2.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0], &device);
//! let loss = proto_triplet(&query, labels, &prototypes, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 3.5).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, activation::relu};

use super::pairs::{check_labelled, check_width, memberships};
use crate::error::LossError;
use crate::geometry::squared_distances;
use crate::option::{NON_NEGATIVE, objective};

/// Stands inside the root of a distance, as in the reference.
pub(super) const SQUARE_MIN: f64 = 1e-6;

objective! {
    "proto_triplet", family: "metric", file: "proto_triplet.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B C D)",
    options: {
        margin / with_margin: f64 = 0.5, NON_NEGATIVE, "how much nearer the own prototype should be";
    }
}

/// Values per query, `[batch]`, for `query: [batch, width]`, `labels: [batch]` and `prototypes: [classes, width]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`], also if there is only one class.
pub fn proto_triplet(
    query: &Tensor<2>,
    labels: Tensor<1, Int>,
    prototypes: &Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, width] = check_labelled(NAME, "query", query, &labels)?;
    let classes = check_width(NAME, "prototypes", prototypes, width)?;
    if classes < 2 {
        let expected = format!("[n, {width}] with n >= 2: a query needs a rival");
        return Err(LossError::Shape { loss: NAME, tensor: "prototypes", expected, found: vec![classes, width] });
    }
    // Moved to the middle, for the matrix product to lose fewer digits.
    let middle = prototypes.clone().detach().mean_dim(0);
    let squares = squared_distances(query.clone().detach() - middle.clone(), prototypes.clone().detach() - middle);
    let own = memberships(&labels, classes, &squares).transpose().bool();
    let rivals = squares.mask_fill(own, f64::from(f32::MAX)).argmin(1).reshape([batch]);
    let distance = |classes: Tensor<1, Int>| {
        let squares = (query.clone() - prototypes.clone().select(0, classes)).square().sum_dim(1);
        (squares + SQUARE_MIN).sqrt().reshape([batch])
    };
    Ok(relu(distance(labels) - distance(rivals) + config.margin))
}

/// Means of the classes, `[classes, width]`, of `support: [n, width]` with `labels: [n]`. A class without rows is at the
/// origin.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn prototypes(support: Tensor<2>, labels: &Tensor<1, Int>, classes: usize) -> Result<Tensor<2>, LossError> {
    check_labelled(NAME, "support", &support, labels)?;
    let memberships = memberships(labels, classes, &support);
    let counts = memberships.clone().sum_dim(1).clamp_min(1.0);
    Ok(memberships.matmul(support) / counts)
}
