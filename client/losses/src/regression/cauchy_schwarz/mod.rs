//! Divergence and dependence of samples, estimated with Gaussian kernels.

pub mod cs_conditional;
pub mod cs_divergence;
pub mod cs_ib;
pub mod cs_qmi;
mod kernel;

pub use cs_conditional::cs_conditional;
pub use cs_divergence::cs_divergence;
pub use cs_ib::cs_ib;
pub use cs_qmi::{cs_qmi, cs_qmi_normalised};
