//! How one data set becomes many sites: who owns which row.
//!
//! ```text
//! rule, labels (owners, numbers), random stream ── partition ──► rows of site 0, site 1, …   (no row twice)
//!                                                          └──► measures: how different the sites are
//! ```
//!
//! Everything here is a pure function. The same rule, labels and stream give the same rows on one platform, whatever
//! else runs. The rules with shares, laws of sizes and numbers to sort by (`dirichlet`, `inner_dirichlet`, `distribution`,
//! `sizes`, `exponential`, `continuous`) use `ln`, `exp` and `pow`, whose last bit may differ between platforms and
//! compilers' math libraries: there a row can, rarely, move to a neighbouring site. The others use integers only, or exact
//! quotients, and are the same everywhere.

mod assignment;
mod continuous;
mod dirichlet;
mod distribution;
mod error;
mod inner_dirichlet;
mod label_shards;
mod measures;
mod owners;
mod pathological;
mod picture;
mod rule;
mod shards;
mod sizes;
mod vertical;

pub use assignment::{assignment_file, owners_of};
pub use dirichlet::{DRAWS_MAX, REDRAWS_MAX};
pub use error::PartitionError;
pub use measures::{Measures, class_counts, site_class_counts};
pub use owners::NOBODY;
pub use picture::{COLUMNS_MAX, SITES_SHOWN_MAX, Shades, picture, shown};
pub use rule::{Samples, partition};
pub use vertical::columns;
