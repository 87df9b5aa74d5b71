//! Robust rules: what a few hostile or broken sites can do to the result is bounded.
//!
//! | rule | withstands | passes |
//! |---|---|---|
//! | [`coordinate_median`] | fewer than half | 1 |
//! | [`trimmed_mean`] | the fraction that is trimmed | 1 |
//! | [`geometric_median_coefficients`] | less than half of the shares | 2 |
//! | [`krum_coefficients`] | `(m - 3) / 2` | 2 |
//! | [`bulyan`] | `(m - 3) / 4` | 2 |
//! | [`clip_coefficients`] | bounds each site's say | 1 |
//! | [`fltrust`] | all but the root | 2 |
//!
//! All take the updates in the order of their client ids, which decides between equals. Rules of whole updates need
//! nothing but inner products and give coefficients for [`combine`](super::combine()); where rows of the Gram matrix were
//! made on arrival, one pass less is left.

mod bulyan;
mod clip;
mod coordinate;
mod fltrust;
mod geometric_median;
mod krum;
mod neighbours;
mod network;
mod order;

#[cfg(test)]
mod laws;

pub use bulyan::{bulyan, bulyan_from_gram, bulyan_selection};
pub use clip::{ClipBound, clip_coefficients};
pub use coordinate::{Trim, coordinate_median, trimmed_mean};
pub use fltrust::{fltrust, fltrust_coefficients};
pub use geometric_median::{GeometricMedian, geometric_median_coefficients};
pub use krum::{Krum, krum_coefficients};
