//! How updates become one: pure arithmetic over slices of `f32`.
//!
//! Nothing here knows of sites, rounds, journals or networks. Every function takes numbers and returns numbers, and gives
//! the same bits on every run, for every number of threads and for every order in which updates arrived.
//!
//! ```text
//!             screen ── refuses NaN and infinity, measures the norm
//!               │
//!     ┌─────────┴────────────┐
//!  ExactSum               GramBlocks / gram        on arrival, or when the round closes
//!  (order-free sum)       (all inner products, f64)
//!     │                      │
//!   mean              principal, fedgh, PCGrad, CAGrad, FedMGDA+,
//!                     geometric median, Krum       one coefficient per update and block
//!                            │
//!                 combine ── weighted_sum          one pass over the updates
//!
//!   coordinate median, trimmed mean, Bulyan        order statistics of every parameter, one pass
//! ```
//!
//! Two ways lead to results that do not depend on the order of arrival. A sum goes through [`ExactSum`], whose additions
//! are integer additions and commute. Whatever holds the updates (all but the sums) works on them **in the order given**:
//! the caller sorts by client id first, or lets [`GramBlocks`] sort by its key.
//!
//! Parallel parts split ranges of parameters, never updates, and run on rayon's current pool.

mod clip;
mod combine;
mod error;
mod exact;
mod feddyn;
mod fedgh;
mod fednova;
mod geometry;
mod gram;
mod layout;
mod principal;
mod qfedavg;
mod robust;
mod screen;
mod server_optimiser;
mod shares;
mod weighted;

pub use clip::{clip_norm, scale};
pub use combine::{combine, combine_from_grams};
pub use error::AggregateError;
pub use exact::{BufferedSum, ExactSum, GROUP, Weighted};
pub use feddyn::feddyn_step;
pub use fedgh::{fedgh, fedgh_coefficients, follow};
pub use fednova::fednova_coefficients;
pub use geometry::{
    Cagrad, DirectionLength, FedMgda, cagrad_coefficients, collaboration_weights, fedmgda_coefficients,
    pcgrad_coefficients,
};
pub use gram::{Gram, GramBlocks, SortedUpdates, gram, gram_blocks};
pub use layout::Layout;
pub use principal::{
    Keep, NormRule, Orientation, Principal, Projection, Scope, principal, principal_coefficients, principal_from_grams,
    projection_coefficients,
};
pub use qfedavg::qfedavg_coefficients;
pub use robust::{
    ClipBound, GeometricMedian, Krum, Trim, bulyan, bulyan_from_gram, bulyan_selection, clip_coefficients,
    coordinate_median, fltrust, fltrust_coefficients, geometric_median_coefficients, krum_coefficients, trimmed_mean,
};
pub use screen::{Screened, screen};
pub use server_optimiser::{SecondMoment, adaptive_step, momentum_step};
pub use shares::{Shares, Weighting};
pub use weighted::{mean, weighted_sum, weighted_sum_blocks};
