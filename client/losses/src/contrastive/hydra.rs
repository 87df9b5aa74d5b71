//! Hydra: pairs of any two classes are positives, in the dimensions that a gate chooses for the two classes.
//!
//! # Formula
//! With `g_b = sigmoid(gate_logits_b)`, `y1_b` the class of anchor `b` and of candidate `b`, and `y2_b` the class that
//! anchor `b` is paired with, the logits are
//!
//! - `subspace_cosine`: `l_bn = scale unit(z1_b g_b) . unit(z2_n g_b)`,
//! - `gated_dot`: `l_bn = scale sum_d unit(z1_b)_d g_bd^2 unit(z2_n)_d`.
//!
//! Candidate `n` is a positive of anchor `b` if `y2_b = y1_n`, left out if only `y1_b = y1_n`, and else a negative. For
//! every positive `t_bn = ln( exp(l_bn) + sum_{k negative} exp(l_bk) ) - l_bn`;
//!
//! - `pairs`: the sum of all `t_bn` over the number of positives;
//! - `anchors`: `mean_b sum_n t_bn / (count_b + 1e-6)`.
//!
//! The loss adds `gate_penalty mean(g (1 - g))`.
//!
//! # Shapes
//! `z1, z2, gate_logits: [batch, d]`, `y1, y2: [batch]`; the result is `[1]`: pairs are counted over the whole batch.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. Gradients reach both views and the gates. Without any positive the contrast is 0 without a
//! gradient, without negatives its terms are 0. With `subspace_cosine` a common factor of a row's gates changes
//! nothing.
//!
//! # Choices
//! `unit(z1 g) . unit(z2 g)` and its lengths are products of matrices: `O(B^2 D)` time, but `O(B^2)` memory and not
//! `O(B^2 D)`. Rows shorter than 1e-12 are divided by that. `pairs` and `subspace_cosine` are the first release,
//! `anchors` and `gated_dot` the latest. The released code has no gate penalty in use; `g (1 - g)` is our form of it.
//!
//! # Source
//! Wu et al.: Rethinking Positive Pairs in Contrastive Learning, 2024; `simlap.py` of the
//! released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::contrastive::hydra::{Config, Inputs, hydra};
//!
//! let device = Device::flex();
//! let z = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
//! let classes = Tensor::<1, Int>::from_data([0, 1], &device);
//! let gate_logits = Tensor::<2>::full([2, 2], 50.0, &device);
//! let inputs = Inputs { z1: z.clone(), z2: z, gate_logits, y1: classes.clone(), y2: classes };
//! let loss = hydra(inputs, &Config::default().with_scale(1.0))?.into_scalar::<f32>();
//! assert!((loss - (1.0 + (-1f32).exp()).ln()).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::{Bool, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::similarity::{EXCLUDED, LENGTH_MIN, check_pair, check_shape, length, log_sum_exp, same, unit};
use crate::error::LossError;
use crate::option::{NON_NEGATIVE, POSITIVE, any, objective};

objective! {
    "hydra", family: "contrastive", file: "hydra.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B^2 D)",
    options: {
        scale / with_scale: f64 = 10.0, POSITIVE, "factor of similarities";
        filter / with_filter: Filter = Filter::SubspaceCosine => "\"subspace_cosine\"",
            any("subspace_cosine | gated_dot"), "way in which gates enter similarities";
        reduction / with_reduction: Scope = Scope::Pairs => "\"pairs\"", any("pairs | anchors"),
            "set that is averaged over";
        gate_penalty / with_gate_penalty: f64 = 0.0, NON_NEGATIVE, "weight of what pushes gates to 0 or 1";
    }
}

/// Added to the positives of an anchor where they divide, as in the released code.
const COUNT_EPS: f64 = 1e-6;

/// How gates enter similarities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The cosine of the gated embeddings.
    #[default]
    SubspaceCosine,
    /// The gated product of embeddings of length 1.
    GatedDot,
}

/// What is averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All positive pairs of the batch.
    #[default]
    Pairs,
    /// The positives of each anchor, then the anchors.
    Anchors,
}

/// What the loss is computed from.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Projections of the anchors, `[batch, d]`.
    pub z1: Tensor<2>,
    /// Projections of the candidates, `[batch, d]`.
    pub z2: Tensor<2>,
    /// Logits of the gates of the pairs `(y1, y2)`, `[batch, d]`; see [`hydra_gate`](super::hydra_gate()).
    pub gate_logits: Tensor<2>,
    /// Class of each anchor and candidate, `[batch]`.
    pub y1: Tensor<1, Int>,
    /// Class that each anchor is paired with, `[batch]`.
    pub y2: Tensor<1, Int>,
}

/// Numbers to look at, each `[1]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Positive pairs of the batch.
    pub positives: Tensor<1>,
    /// Negative pairs of the batch.
    pub negatives: Tensor<1>,
    /// Mean over anchors of the sum of gates.
    pub gate_activation: Tensor<1>,
    /// Mean entropy of a gate in nats.
    pub gate_entropy: Tensor<1>,
}

/// The loss as `[1]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there are no samples or shapes do not match.
pub fn hydra(inputs: Inputs, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, _] = check(&inputs)?;
    let (is_positive, is_negative) = relations(&inputs);
    let gates = sigmoid(inputs.gate_logits.clone());
    let logits = logits(inputs.z1, inputs.z2, gates.clone().square(), config.filter) * config.scale;

    let negatives = log_sum_exp(logits.clone().mask_fill(is_negative.bool_not(), EXCLUDED));
    // ln(exp l + exp n) - l
    let terms = log_sigmoid(logits - negatives).neg().mask_fill(is_positive.clone().bool_not(), 0.0);
    let counts = count(&terms, is_positive);
    let contrast = match config.reduction {
        Scope::Pairs => terms.sum() / counts.sum().clamp_min(1.0),
        Scope::Anchors => (terms.sum_dim(1) / (counts + COUNT_EPS)).sum() / batch as f64,
    };
    let undecided = gates * sigmoid(inputs.gate_logits.neg());
    Ok(contrast + undecided.mean() * config.gate_penalty)
}

/// Numbers to look at beside the loss.
///
/// # Errors
/// As [`hydra`].
pub fn diagnostics(inputs: &Inputs) -> Result<Diagnostics, LossError> {
    let [batch, _] = check(inputs)?;
    let (is_positive, is_negative) = relations(inputs);
    let logits = inputs.gate_logits.clone().detach();
    let gates = sigmoid(logits.clone());
    let entropy =
        gates.clone() * log_sigmoid(logits.clone()) + sigmoid(logits.clone().neg()) * log_sigmoid(logits.clone().neg());
    Ok(Diagnostics {
        positives: count(&logits, is_positive).sum(),
        negatives: count(&logits, is_negative).sum(),
        gate_activation: gates.sum() / batch as f64,
        gate_entropy: entropy.mean().neg(),
    })
}

/// Which candidates are positives and which are negatives of each anchor, `[batch, batch]`.
fn relations(inputs: &Inputs) -> (Tensor<2, Bool>, Tensor<2, Bool>) {
    let is_positive = same(inputs.y2.clone(), inputs.y1.clone());
    let of_own_class = same(inputs.y1.clone(), inputs.y1.clone());
    (is_positive.clone(), is_positive.bool_or(of_own_class).bool_not())
}

/// How many entries of each row hold, `[batch, 1]`, in the number type of `like`.
fn count(like: &Tensor<2>, holds: Tensor<2, Bool>) -> Tensor<2> {
    Tensor::<2>::zeros(holds.dims(), (&like.device(), like.dtype())).mask_fill(holds, 1.0).sum_dim(1)
}

/// Similarities of anchors and candidates in the dimensions that the anchors' squared gates keep, `[batch, batch]`.
fn logits(z1: Tensor<2>, z2: Tensor<2>, gates_squared: Tensor<2>, filter: Filter) -> Tensor<2> {
    match filter {
        Filter::GatedDot => (unit(z1, LENGTH_MIN) * gates_squared).matmul(unit(z2, LENGTH_MIN).transpose()),
        Filter::SubspaceCosine => {
            let of_anchors = length((z1.clone().square() * gates_squared.clone()).sum_dim(1), LENGTH_MIN);
            let of_candidates = length(gates_squared.clone().matmul(z2.clone().square().transpose()), LENGTH_MIN);
            (z1 * gates_squared).matmul(z2.transpose()) / of_anchors / of_candidates
        }
    }
}

fn check(inputs: &Inputs) -> Result<[usize; 2], LossError> {
    let shape = check_pair(NAME, ("z1", &inputs.z1), ("z2", &inputs.z2), 1)?;
    check_shape(NAME, "gate_logits", &inputs.gate_logits.dims(), &shape)?;
    check_shape(NAME, "y1", &inputs.y1.dims(), &[shape[0]])?;
    check_shape(NAME, "y2", &inputs.y2.dims(), &[shape[0]])?;
    Ok(shape)
}
