//! How one data set becomes many sites: who owns which row.
//!
//! ```text
//! rule, labels (or owners), random stream ── partition ──► rows of site 0, site 1, …   (every row exactly once)
//!                                                     └──► measures: how different the sites are
//! ```
//!
//! Everything here is a pure function. The same rule, labels and stream give the same rows on one platform, whatever
//! else runs. The rules `dirichlet` and `sizes` use `ln`, `exp` and `pow`, whose last bit may differ between
//! platforms and compilers' math libraries: there a row can, rarely, move to a neighbouring site. The others use
//! integers only and are the same everywhere.

mod dirichlet;
mod error;
mod measures;
mod rule;
mod shards;
mod sizes;

pub use dirichlet::{DRAWS_MAX, REDRAWS_MAX};
pub use error::PartitionError;
pub use measures::{Measures, class_counts, site_class_counts};
pub use rule::partition;
