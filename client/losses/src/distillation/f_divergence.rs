//! f-divergence distillation: a student imitates its teacher's distribution, from seeking a mode to covering all.
//!
//! # Formula
//! With `p = softmax(teacher)`, `q = softmax(student)`, `r = p / q`: `loss_b = sum_c q f(r)`, where `f_div` chooses
//!
//! - `rkl`: `-ln r`, the divergence `KL(q || p)`; `fkl`: `r ln r`, `KL(p || q)`; `jeffreys`: `(r - 1) ln r`, both
//! - `js`: `r ln r - (r + 1) ln((r + 1) / 2)`, twice the Jensen-Shannon divergence
//! - `srkl`: `(r + 1) ln(1/2 + 1/(2 r))`; `sfkl`: `(r + 1) ln((r + 1) / 2)`: twice the divergence from the mixture
//!   `(p + q) / 2` to `p` and to `q`
//! - `sh`: `4 (1 - sqrt(r))`, squared Hellinger; `neyman`: `(1 - r)^2 / (2 r)`
//!
//! # Shapes
//! `student_logits` and `teacher_logits`: `[batch, classes]` with at least 2 classes; the result is `[batch]`.
//!
//! # Range and gradient
//! At least 0, and 0 with zero gradient for equal distributions; `js`, `srkl` and `sfkl` are bounded for the student's
//! errors of their side: `js` by `2 ln 2`, `sh` by 4. Smooth. The teacher gets no gradient.
//!
//! # Choices
//! Natural logarithm. All is computed from `ln p` and `ln q`, so that logits of 1e3 stay finite. Only `neyman` has a
//! power of `q / p` that can overflow: there `|ln r|` counts as at most 30. Mode seeking grows from `fkl` to `neyman`.
//!
//! # Source
//! Xu et al.: One-step Diffusion Models with f-Divergence Distribution Matching, 2025; `sfkl` mirrors `srkl`.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::f_divergence::{Config, f_divergence};
//!
//! let device = Device::flex();
//! let student = Tensor::<2>::from_data([[-40.0, 40.0]], &device);
//! let teacher = Tensor::<2>::from_data([[40.0, -40.0]], &device);
//! let loss = f_divergence(student, teacher, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 2.0 * 2f32.ln()).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::f64::consts::LN_2;

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softplus};
use serde::{Deserialize, Serialize};

use super::softened::check_logits;
use crate::error::LossError;
use crate::option::{any, objective};

/// A divergence between the teacher's `p` and the student's `q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FDiv {
    /// Reverse Kullback-Leibler.
    Rkl,
    /// Softened reverse Kullback-Leibler.
    Srkl,
    /// Twice Jensen-Shannon.
    #[default]
    Js,
    /// Squared Hellinger, times 4.
    Sh,
    /// Forward Kullback-Leibler.
    Fkl,
    /// Softened forward Kullback-Leibler.
    Sfkl,
    /// Forward and reverse Kullback-Leibler.
    Jeffreys,
    /// Neyman chi-square, half.
    Neyman,
}

impl FDiv {
    /// Names in plans, for listings.
    pub(super) const NAMES: &str = "\"rkl\", \"srkl\", \"js\", \"sh\", \"fkl\", \"sfkl\", \"jeffreys\", \"neyman\"";

    /// `h(r) = r^2 f''(r)`, by which a sample with density ratio `r` counts in a score difference.
    #[must_use]
    pub fn weight<const D: usize>(self, ratio: Tensor<D>) -> Tensor<D> {
        let softened = |ratio: Tensor<D>| ratio.clone() / (ratio + 1.0);
        match self {
            Self::Rkl => ratio.ones_like(),
            Self::Srkl => (ratio + 1.0).recip(),
            Self::Js => softened(ratio),
            Self::Sh => ratio.sqrt(),
            Self::Fkl => ratio,
            Self::Sfkl => softened(ratio.clone()) * ratio,
            Self::Jeffreys => ratio + 1.0,
            Self::Neyman => ratio.clamp_min(RATIO_MIN).recip(),
        }
    }

    /// `q f(p / q)` from `ln p` and `ln q`.
    fn values(self, log_p: Tensor<2>, log_q: Tensor<2>) -> Tensor<2> {
        let log_ratio = log_p.clone() - log_q.clone();
        let (p, q) = (log_p.clone().exp(), log_q.clone().exp());
        // ln(1 + r) - ln 2 and ln(1 + 1/r) - ln 2
        let to_student = || softplus(log_ratio.clone(), 1.0) - LN_2;
        let to_teacher = || softplus(log_ratio.clone().neg(), 1.0) - LN_2;
        match self {
            Self::Rkl => (q * log_ratio).neg(),
            Self::Srkl => (p + q) * to_teacher(),
            Self::Js => {
                let mixed = to_student();
                p.clone() * log_ratio - (p + q) * mixed
            }
            Self::Sh => (q - ((log_p + log_q) * 0.5).exp()) * 4.0,
            Self::Fkl => p * log_ratio,
            Self::Sfkl => (p + q) * to_student(),
            Self::Jeffreys => (p - q) * log_ratio,
            Self::Neyman => {
                // (1 - r)^2 / (2 r) = cosh(ln r) - 1 = 2 sinh(ln r / 2)^2
                let sinh = (log_ratio.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX) * 0.5).sinh();
                sinh.clone() * sinh * q * 2.0
            }
        }
    }
}

/// Keeps the power of `neyman` far from the largest number of single precision.
const LOG_RATIO_MAX: f64 = 30.0;

/// Keeps the weight of `neyman` finite, as in the framework of the authors' group.
const RATIO_MIN: f64 = 1e-8;

objective! {
    "f_divergence", family: "distillation", file: "f_divergence.rs", role: Loss, tasks: [Distillation],
    remembers: None, cost: "O(B C)",
    options: {
        f_div / with_f_div: FDiv = FDiv::Js => "\"js\"", any(FDiv::NAMES), "divergence";
    }
}

/// Values per sample, `[batch]`, for `student_logits` and `teacher_logits`: `[batch, classes]`.
///
/// # Errors
/// [`LossError::EmptyBatch`]; [`LossError::Shape`], also for fewer than 2 classes.
pub fn f_divergence(
    student_logits: Tensor<2>,
    teacher_logits: Tensor<2>,
    config: &Config,
) -> Result<Tensor<1>, LossError> {
    let [batch, classes] = check_logits(NAME, &student_logits, &teacher_logits)?;
    if classes < 2 {
        let (expected, found) = (format!("[{batch}, n] with n >= 2"), vec![batch, classes]);
        return Err(LossError::Shape { loss: NAME, tensor: "student_logits", expected, found });
    }
    let values = config.f_div.values(log_softmax(teacher_logits.detach(), 1), log_softmax(student_logits, 1));
    Ok(values.sum_dim(1).reshape([batch]))
}
