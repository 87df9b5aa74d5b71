//! Studies: one plan with several losses, strategies and seeds, each a simulated run, compared over the seeds.
//!
//! ```text
//! plan x losses x strategies x seeds ──► cells (runs) ──► rows: mean, spread, paired difference to the first ──► table, page
//! ```
//!
//! Runs of one seed share everything that the seed draws (split, partition, first values), so that differences are taken
//! within seeds and their spread is not that of the seeds.

mod cell;
mod csv;
mod run;
mod statistics;
mod summary;

pub use cell::{Cell, CellResult, Finished, Variant};
pub use csv::csv;
pub use run::{Interrupted, run_cell};
pub use summary::{Difference, Row, Spread, summarise};

#[cfg(test)]
pub(crate) use summary::tests;
