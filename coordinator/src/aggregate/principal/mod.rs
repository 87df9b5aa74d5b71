//! Principal-gradient aggregation (FedLD): the update along the directions that matter to most clients, block by block.
//!
//! **Formula.** For a block with updates `g_i` (rows of `G [m, d]`) and shares `q_i` (`1/m` where every client counts
//! once), `S = Q^1/2 G G^T Q^1/2 = E diag(s) E^T` with `s` descending; the principal directions are `w_j = G^T Q^1/2 e_j`.
//! Each client's update is revised to `r_i = sum_{j<k} o_ij (s_j / sum_l s_l) |g_i| w_j / |w_j|`, and the result is
//! `sum_i q_i r_i`. As `<g_i, w_j> = s_j e_ij / sqrt(q_i)` and `|w_j|^2 = s_j`, all of it lives in the Gram matrix:
//!
//! ```text
//! result = sum_i c_i g_i,    c_i = sum_{j<k} (s_j / sum s) (sum_l q_l o_lj |g_l|) sqrt(q_i) e_ij / sqrt(s_j)
//! ```
//!
//! One matrix of inner products, one small eigenproblem and one weighted sum: two passes over the updates.
//!
//! **What it promises.** `|result| <= sum q_i |g_i|`; scaling all updates scales the result; equal updates give that
//! update; a single update comes back unchanged. Where eigenvalues coincide the directions are not unique and the result
//! is one of several, but finite, within the bound, and the same every time for the same updates in the same order.
//! The eigenvectors come from a library that chooses its instructions at run time: machines with different instruction
//! sets may differ in the last bits, and by more where eigenvalues coincide. Nothing else here does.
//!
//! **Order.** Updates are used as given; sort them by client id.
//!
//! Source: Zeng, Guo, Wang, Wang, Zhou, Qu, "Tackling Data Heterogeneity in Federated Learning via Loss Decomposition",
//! MICCAI 2024, and its released code, function `pcgrad_svd`.

mod coefficients;
mod combine;
mod config;
mod eigen;
mod projection;

#[cfg(test)]
mod laws;

pub use coefficients::principal_coefficients;
pub use combine::{principal, principal_from_grams};
pub use config::{Keep, NormRule, Orientation, Principal, Scope};
pub use projection::{Projection, projection_coefficients};
