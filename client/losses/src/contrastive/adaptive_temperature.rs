//! Temperatures of single pairs: their range, what keeps them in check, and the network that gives them.

use burn::tensor::Tensor;
use burn::tensor::activation::{relu, sigmoid};

use super::similarity::check_shape;
use crate::error::LossError;

/// Smallest length that an embedding is divided by.
pub(super) const LENGTH_MIN: f64 = 1e-8;

/// Options that the adaptive losses share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Temperatures {
    pub(super) tau_min: f64,
    pub(super) tau_max: f64,
    pub(super) omega_dim: usize,
}

impl Temperatures {
    /// `tau_min + (tau_max - tau_min) sigmoid(logits)`.
    pub(super) fn squash<const D: usize>(self, logits: Tensor<D>) -> Tensor<D> {
        sigmoid(logits) * (self.tau_max - self.tau_min) + self.tau_min
    }

    /// `Omega(tau) = (d' / 2) ln tau + 1 / tau`, with `d' = dim` unless `omega_dim` says otherwise.
    pub(super) fn omega<const D: usize>(self, tau: Tensor<D>, dim: usize) -> Tensor<D> {
        let dim = if self.omega_dim == 0 { dim } else { self.omega_dim };
        tau.clone().log() * (dim as f64 / 2.0) + tau.recip()
    }
}

/// The network that gives each pair of projections its temperature, one for each of the heads.
#[derive(Debug, Clone)]
pub struct TemperatureNetwork {
    /// Weights of the hidden layer, `[heads, hidden, 2 * d]`.
    pub w1: Tensor<3>,
    /// Biases of the hidden layer, `[heads, hidden]`.
    pub b1: Tensor<2>,
    /// Weights of the output, `[heads, hidden]`.
    pub w2: Tensor<2>,
    /// Bias of the output, `[heads]`.
    pub b2: Tensor<1>,
}

impl TemperatureNetwork {
    pub(super) fn check(&self, loss: &'static str, heads: usize, dim: usize) -> Result<(), LossError> {
        let [_, hidden, _] = self.w1.dims();
        check_shape(loss, "w1", &self.w1.dims(), &[heads, hidden, 2 * dim])?;
        check_shape(loss, "b1", &self.b1.dims(), &[heads, hidden])?;
        check_shape(loss, "w2", &self.w2.dims(), &[heads, hidden])?;
        check_shape(loss, "b2", &self.b2.dims(), &[heads])
    }

    /// `w2 relu(w1 [a; b] + b1) + b2`, `[heads, pairs, 1]`, for `anchors, others: [heads, pairs, d]`.
    pub(super) fn logits(&self, anchors: Tensor<3>, others: Tensor<3>) -> Tensor<3> {
        let [heads, hidden, _] = self.w1.dims();
        let pairs = Tensor::cat(vec![anchors, others], 2);
        let hidden_layer = pairs.matmul(self.w1.clone().swap_dims(1, 2)) + self.b1.clone().reshape([heads, 1, hidden]);
        relu(hidden_layer).matmul(self.w2.clone().reshape([heads, hidden, 1])) + self.b2.clone().reshape([heads, 1, 1])
    }
}
