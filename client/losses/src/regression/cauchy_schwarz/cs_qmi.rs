//! Cauchy-Schwarz quadratic mutual information: how much two sets of rows depend on each other.
//!
//! # Formula
//! With kernel matrices `K = G(a, a)` and `L = G(b, b)` of width `sigma` (see `cs_conditional`), and `m` for means:
//!
//! `cs_qmi(a, b) = log2 m_ij(K L) + log2 (m_ij(K) m_ij(L)) - 2 log2 m_j(m_i(K_ij) m_i(L_ij))`
//!
//! `cs_qmi_normalised(a, b) = cs_qmi(a, b) / sqrt(cs_qmi(a, a) cs_qmi(b, b))`
//!
//! # Shapes
//! `a: [batch, n]`, `b: [batch, m]`, at least 2 rows; the result is `[1]`: it compares samples with each other.
//!
//! # Range and gradient
//! 0 if one side is constant; never seen below 0; the normalised form is 1 for `a = b`. Symmetric. Smooth, except where
//! a side becomes constant: if its information with itself is at most 1e-6, the normalised value is 0 with zero
//! gradient.
//!
//! # Choices
//! In bits. No sum here can vanish, because every row is its own neighbour. Kernels are kept less 1, so that nearly
//! constant sides have exact values, too.
//!
//! # Source
//! Yu, Yu, Løkse, Jenssen, Príncipe: Cauchy-Schwarz Divergence Information Bottleneck for Regression, ICLR 2024,
//! proposition 2 of the slides with the released code; normalisation as in that code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::cauchy_schwarz::cs_qmi::{Config, cs_qmi_normalised};
//!
//! let a = Tensor::<2>::from_data([[0.0], [1.0], [3.0]], &Device::flex());
//! let value = cs_qmi_normalised(a.clone(), a, &Config::default())?.into_scalar::<f32>();
//! assert!((value - 1.0).abs() < 1e-5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::f64::consts::LN_2;

use burn::tensor::Tensor;

use super::kernel::{check_rows, log_kernel};
use crate::error::LossError;
use crate::option::{POSITIVE, objective};
use crate::stable::expm1;

objective! {
    "cs_qmi", family: "regression", file: "cs_qmi.rs", role: Term, tasks: [RegressionInContext], remembers: None,
    cost: "O(B^2 D)",
    options: {
        sigma / with_sigma: f64 = 1.0, POSITIVE, "width of both kernels";
    }
}

/// Information with itself at or below which a side counts as constant.
const CONSTANT: f64 = 1e-6;

/// Mutual information, `[1]`, of `a: [batch, n]` and `b: [batch, m]`.
///
/// # Errors
/// [`LossError::EmptyBatch`]; [`LossError::Shape`], also for a single sample.
pub fn cs_qmi(a: Tensor<2>, b: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    check_rows(NAME, &[("a", &a), ("b", &b)])?;
    Ok(information(&kernel(a, config), &kernel(b, config)))
}

/// Mutual information over its largest possible value, `[1]`, for `a: [batch, n]` and `b: [batch, m]`.
///
/// # Errors
/// As [`cs_qmi`].
pub fn cs_qmi_normalised(a: Tensor<2>, b: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    check_rows(NAME, &[("a", &a), ("b", &b)])?;
    let (a, b) = (kernel(a, config), kernel(b, config));
    let (of_a, of_b) = (information(&a, &a), information(&b, &b));
    let constant = of_a.clone().min_pair(of_b.clone()).lower_equal_scalar(CONSTANT);
    let scale = (of_a * of_b).mask_fill(constant.clone(), 1.0).sqrt();
    Ok((information(&a, &b) / scale).mask_fill(constant, 0.0))
}

/// The kernel matrix less 1, which keeps its digits where a side is nearly constant.
fn kernel(rows: Tensor<2>, config: &Config) -> Tensor<2> {
    expm1(log_kernel(rows.clone(), rows, config.sigma))
}

/// From kernel matrices less 1: products less 1 are `k + l + k l`.
fn information(k: &Tensor<2>, l: &Tensor<2>) -> Tensor<1> {
    let product = |k: Tensor<2>, l: Tensor<2>| k.clone() * l.clone() + k + l;
    let joint = product(k.clone(), l.clone()).mean().log1p();
    let apart = k.clone().mean().log1p() + l.clone().mean().log1p();
    let between = product(k.clone().mean_dim(0), l.clone().mean_dim(0)).mean().log1p();
    (joint + apart - between * 2.0) / LN_2
}
