//! The network of Hydra that chooses the dimensions in which two classes are to be similar.
//!
//! `e = (label_embedding[y1] + label_embedding[y2]) / 2`, `h = BN1(relu(e))`, `h = BN2(relu(w1 h + b1))`, and the gate
//! is `sigmoid(w2 h + b2)`. BN is batch normalisation with the mean and the biased variance of the batch, `eps =
//! 1e-5`.
//!
//! Source: Wu, Mo, Awais, Atito, Feng, Kittler: Rethinking Positive Pairs in Contrastive Learning, 2024; `simlap.py` of
//! the released code.

use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor};

use super::similarity::{check_rows, check_shape, standardise};
use crate::error::LossError;

const NAME: &str = "hydra_gate";

/// Added to variances.
const EPS: f64 = 1e-5;

/// Parameters of the network.
#[derive(Debug, Clone)]
pub struct GateNetwork {
    /// A row for each class, `[classes, e]`; standard normal at first.
    pub label_embedding: Tensor<2>,
    /// Weights of the first normalisation, `[e]`.
    pub bn1_w: Tensor<1>,
    /// Biases of the first normalisation, `[e]`.
    pub bn1_b: Tensor<1>,
    /// Weights of the first layer, `[hidden, e]`.
    pub w1: Tensor<2>,
    /// Biases of the first layer, `[hidden]`.
    pub b1: Tensor<1>,
    /// Weights of the second normalisation, `[hidden]`.
    pub bn2_w: Tensor<1>,
    /// Biases of the second normalisation, `[hidden]`.
    pub bn2_b: Tensor<1>,
    /// Weights of the output, `[d, hidden]`.
    pub w2: Tensor<2>,
    /// Biases of the output, `[d]`.
    pub b2: Tensor<1>,
}

/// Logits of the gates, `[batch, d]`, for pairs of classes `y1, y2: [batch]`, each a row of the label embedding.
///
/// # Errors
/// [`LossError::Shape`] if there are fewer than two pairs or shapes do not match.
pub fn hydra_gate(network: &GateNetwork, y1: Tensor<1, Int>, y2: Tensor<1, Int>) -> Result<Tensor<2>, LossError> {
    let [batch] = y1.dims();
    check_rows(NAME, "y1", [batch, 1], 2)?;
    check_shape(NAME, "y2", &y2.dims(), &[batch])?;
    let [_, width] = network.label_embedding.dims();
    let [hidden, _] = network.w1.dims();
    let [dim, _] = network.w2.dims();
    check_shape(NAME, "w1", &network.w1.dims(), &[hidden, width])?;
    check_shape(NAME, "w2", &network.w2.dims(), &[dim, hidden])?;
    for (name, vector, len) in [
        ("bn1_w", &network.bn1_w, width),
        ("bn1_b", &network.bn1_b, width),
        ("b1", &network.b1, hidden),
        ("bn2_w", &network.bn2_w, hidden),
        ("bn2_b", &network.bn2_b, hidden),
        ("b2", &network.b2, dim),
    ] {
        check_shape(NAME, name, &vector.dims(), &[len])?;
    }
    let row = |vector: &Tensor<1>| vector.clone().unsqueeze::<2>();
    let normalised = |values: Tensor<2>, weights: &Tensor<1>, biases: &Tensor<1>| {
        standardise(relu(values), 0, batch as f64, EPS) * row(weights) + row(biases)
    };
    let embedding = |classes| network.label_embedding.clone().select(0, classes);
    let pairs = (embedding(y1) + embedding(y2)) / 2.0;
    let first = normalised(pairs, &network.bn1_w, &network.bn1_b);
    let layer = first.matmul(network.w1.clone().transpose()) + row(&network.b1);
    let second = normalised(layer, &network.bn2_w, &network.bn2_b);
    Ok(second.matmul(network.w2.clone().transpose()) + row(&network.b2))
}
