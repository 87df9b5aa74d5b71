//! Cauchy-Schwarz divergence: how differently two samples are distributed.
//!
//! # Formula
//! With `G` of width `sigma` (see `cs_conditional`): `ln mean G(p, p) + ln mean G(q, q) - 2 ln mean G(p, q)`
//!
//! # Shapes
//! `p: [n, values]`, `q: [m, values]`; the result is `[1]`: it compares the samples with each other.
//!
//! # Range and gradient
//! `[0, inf)`, 0 for equal samples. Symmetric and smooth; unchanged when both are moved.
//!
//! # Choices
//! Natural logarithm, unlike the other objectives of its paper. Means are taken of logarithms, so that samples far apart
//! still have a value and a gradient.
//!
//! # Source
//! Yu, Yu, Løkse, Jenssen, Príncipe: Cauchy-Schwarz Divergence Information Bottleneck for Regression, ICLR 2024;
//! Príncipe: Information Theoretic Learning, Springer 2010.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::cauchy_schwarz::cs_divergence::{Config, cs_divergence};
//!
//! let device = Device::flex();
//! let p = Tensor::<2>::from_data([[0.0]], &device);
//! let q = Tensor::<2>::from_data([[30.0]], &device);
//! let value = cs_divergence(p, q, &Config::default())?.into_scalar::<f32>();
//! assert!((value - 900.0).abs() < 1e-2);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use super::kernel::{log_kernel, log_sum_exp_all};
use crate::check;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "cs_divergence", family: "regression", file: "cs_divergence.rs", role: Term, tasks: [RegressionInContext],
    remembers: None, cost: "O(B^2 D)",
    options: {
        sigma / with_sigma: f64 = 1.0, POSITIVE, "width of the kernel";
    }
}

/// The divergence, `[1]`, of `p: [n, values]` from `q: [m, values]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn cs_divergence(p: Tensor<2>, q: Tensor<2>, config: &Config) -> Result<Tensor<1>, LossError> {
    let ([_, values], [m, found]) = (check::matrix(NAME, "p", &p)?, check::matrix(NAME, "q", &q)?);
    if found != values {
        let expected = format!("[m, {values}]");
        return Err(LossError::Shape { loss: NAME, tensor: "q", expected, found: vec![m, found] });
    }
    let log_mean = |a: Tensor<2>, b: Tensor<2>| {
        let pairs = (a.dims()[0] * b.dims()[0]) as f64;
        log_sum_exp_all(log_kernel(a, b, config.sigma)) - pairs.ln()
    };
    Ok(log_mean(p.clone(), p.clone()) + log_mean(q.clone(), q.clone()) - log_mean(p, q) * 2.0)
}
