//! FLAT: makes a model forget answers by preferring a harmless template answer, with the data to forget alone.
//!
//! # Formula
//! With the probability `p_t` of each position's label (0 where the label is ignored), `P` the mean of `p_t` over all
//! positions of the batch, ignored ones counted (`all_positions`), or over each sample's labelled positions
//! (`per_sample`), `P_e` of the template and `P_f` of the answers to forget:
//! `loss = mean(-g(P_e)) + mean(f*(g(P_f)))`, with
//!
//! | divergence | `g(v)` | `f*(g(v))` |
//! |---|---|---|
//! | `total_variation` | `tanh(v) / 2` | `tanh(v) / 2` |
//! | `kl` | `v` | `exp(v - 1)` |
//! | `jensen_shannon` | `ln 2 + ln sigmoid(v)` | `ln(1 + exp(v)) - ln 2` |
//! | `pearson` | `v` | `v^2 / 4 + v` |
//! | `jeffreys` | `v` | `v + v^2 / 4 + v^3 / 16` |
//! | `reverse_kl` | `-exp(-v)` | `v - 1` |
//! | `squared_hellinger` | `1 - exp(-v)` | `exp(v) - 1` |
//! | `neyman` | `1 - exp(-v)` | `2 - 2 exp(-v / 2)` |
//!
//! # Shapes
//! For template and for forgetting `logits: [batch, positions, vocabulary]` and `labels: [batch, positions]`, in
//! `0..vocabulary` or -100 for ignored; the two may differ in batch and positions. A classifier has one position. The loss
//! is `[1]`: its means are over two batches.
//!
//! # Range and gradient
//! Bounded, since probabilities are. All `g` and `f*(g)` rise, so descent raises the template's probability and lowers that
//! of what is to be forgotten. A sample without labelled positions has `P = 0` and no gradient. Where template and
//! forgotten label are the same the two terms fight; with `total_variation` they cancel.
//!
//! # Choices
//! `per_sample` is the paper's mean and the default, `all_positions` that of the released code. `jeffreys` is a series,
//! off by up to 0.014. For the last three rows the released code has signs that reverse the directions; here they are
//! those of the divergences. The caller aligns logits with labels. After unlearning, rounds must go on without the
//! records that were forgotten; that no trace is left in the model is not shown by this.
//!
//! # Source
//! Wang, Wei, Liu, Pang, Liu, Shah, Bao, Liu, Wei: LLM Unlearning via Loss Adjustment with Only Forget Data, ICLR 2025,
//! and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::unlearning::flat::{Answers, Config, flat};
//!
//! let device = Device::flex();
//! let answers = |label: i64| Answers {
//!     logits: Tensor::from_data([[[9.0, 0.0]]], &device),
//!     labels: Tensor::<2, Int>::from_data([[label]], &device),
//! };
//! let known = flat(answers(1), answers(0), &Config::default())?.loss.into_scalar::<f32>();
//! let forgotten = flat(answers(0), answers(1), &Config::default())?.loss.into_scalar::<f32>();
//! assert!(forgotten < known);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::LossError;
use crate::option::{any, objective};
use crate::stable::{expm1, softplus};

/// Label of a position that does not count.
pub const IGNORED: i64 = -100;

/// Which divergence between template and forgotten answers is made large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divergence {
    /// Total variation.
    #[default]
    TotalVariation,
    /// Kullback-Leibler.
    Kl,
    /// Jensen-Shannon.
    JensenShannon,
    /// Pearson's chi squared.
    Pearson,
    /// Jeffreys, as a series.
    Jeffreys,
    /// Kullback-Leibler the other way round.
    ReverseKl,
    /// Squared Hellinger.
    SquaredHellinger,
    /// Neyman's chi squared.
    Neyman,
}

/// What a mean probability is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// All positions of the batch, also ignored ones.
    AllPositions,
    /// The labelled positions of each sample.
    #[default]
    PerSample,
}

objective! {
    "flat", family: "unlearning", file: "flat.rs", role: Loss, tasks: [Unlearning], remembers: None,
    cost: "O(B T C) for T positions",
    options: {
        divergence / with_divergence: Divergence = Divergence::TotalVariation => "\"total_variation\"",
            any("total_variation, kl, jensen_shannon, pearson, jeffreys, reverse_kl, squared_hellinger, neyman"),
            "divergence of template and forgotten answers";
        reduction / with_reduction: Positions = Positions::PerSample => "\"per_sample\"",
            any("\"all_positions\", \"per_sample\""), "range of a mean probability";
    }
}

/// Logits and the answers whose probabilities count.
#[derive(Debug, Clone)]
pub struct Answers {
    /// `[batch, positions, vocabulary]`.
    pub logits: Tensor<3>,
    /// `[batch, positions]`, in `0..vocabulary` or [`IGNORED`].
    pub labels: Tensor<2, Int>,
}

/// The loss and the probabilities it comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// Mean probabilities of the template, `[batch]`, or `[1]` over all positions.
    pub p_template: Tensor<1>,
    /// Mean probabilities of what is to be forgotten, likewise.
    pub p_forget: Tensor<1>,
}

/// The loss for template answers and answers to forget.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]. Labels out of range are not looked for; see
/// [`check`](crate::check).
pub fn flat(template: Answers, forget: Answers, config: &Config) -> Result<Parts, LossError> {
    let p_template = template.probabilities("template_labels", config.reduction)?;
    let p_forget = forget.probabilities("forget_labels", config.reduction)?;
    let raised = config.divergence.g(p_template.clone()).mean();
    let lowered = config.divergence.conjugate_of_g(p_forget.clone()).mean();
    Ok(Parts { loss: lowered - raised, p_template, p_forget })
}

impl Answers {
    /// `P`, `[batch]` or `[1]`.
    fn probabilities(self, tensor: &'static str, reduction: Positions) -> Result<Tensor<1>, LossError> {
        let [batch, positions, vocabulary] = self.logits.dims();
        if batch == 0 {
            return Err(LossError::EmptyBatch { loss: NAME });
        }
        let refuse = |tensor, expected, found| Err(LossError::Shape { loss: NAME, tensor, expected, found });
        if positions == 0 || vocabulary == 0 {
            let expected = format!("[{batch}, positions, vocabulary] with at least 1 of each");
            return refuse("logits", expected, vec![batch, positions, vocabulary]);
        }
        if self.labels.dims() != [batch, positions] {
            return refuse(tensor, format!("[{batch}, {positions}]"), self.labels.dims().to_vec());
        }
        let ignored = self.labels.clone().equal_scalar(IGNORED);
        let index = self.labels.mask_fill(ignored.clone(), 0).reshape([batch, positions, 1]);
        let probs = log_softmax(self.logits, 2).gather(2, index).exp().reshape([batch, positions]);
        let probs = probs.mask_fill(ignored.clone(), 0.0);
        Ok(match reduction {
            Positions::AllPositions => probs.mean(),
            Positions::PerSample => {
                let labelled = ignored.bool_not().float().cast(probs.dtype()).sum_dim(1).clamp_min(1.0);
                (probs.sum_dim(1) / labelled).reshape([batch])
            }
        })
    }
}

impl Divergence {
    fn g(self, v: Tensor<1>) -> Tensor<1> {
        match self {
            Self::TotalVariation => v.tanh() * 0.5,
            Self::Kl | Self::Pearson | Self::Jeffreys => v,
            Self::JensenShannon => log_sigmoid(v) + 2f64.ln(),
            Self::ReverseKl => v.neg().exp().neg(),
            Self::SquaredHellinger | Self::Neyman => expm1(v.neg()).neg(),
        }
    }

    fn conjugate_of_g(self, v: Tensor<1>) -> Tensor<1> {
        match self {
            Self::TotalVariation => v.tanh() * 0.5,
            Self::Kl => (v - 1.0).exp(),
            Self::JensenShannon => softplus(v) - 2f64.ln(),
            Self::Pearson => v.clone().square() * 0.25 + v,
            Self::Jeffreys => (v.clone() * 0.0625 + 0.25) * v.clone().square() + v,
            Self::ReverseKl => v - 1.0,
            Self::SquaredHellinger => expm1(v),
            Self::Neyman => expm1(v * -0.5) * -2.0,
        }
    }
}
