//! Samples: the formats that sites really have, read into memory once and shared by everyone who trains on them.
//!
//! ```text
//! files ── load / load_site ──► Dataset (raw values, bytes stay bytes) ── Share (some rows, normalised) ──► batches
//!                                                    for_site: training rows + held-out rows, fitted at the site
//! ```
//!
//! This module answers for the data contract: every file is checked against the plan before a number of it is used, and
//! each refusal says which file and line, why, and what to do. Who owns which sample of a simulation is decided elsewhere.

mod check;
mod csv;
mod dataset;
mod digits;
mod error;
mod file;
mod idx;
mod labels;
mod limits;
mod load;
mod look;
mod normalise;
mod npy;
mod npz;
mod share;
mod site;
mod split;
mod targets;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trace;

pub use check::{FileReport, PartReport, Range, Report, Spread, check};
pub use dataset::{Dataset, Inputs, Owners};
pub use error::{CellProblem, DataError, Names, Position};
pub use limits::{DATA_BYTES_MAX, FILE_BYTES_MAX, LINE_BYTES_MAX, ROWS_MAX};
pub use load::{Loaded, Place, load, load_site};
pub use look::Look;
pub use normalise::Normaliser;
pub use share::{Rows, Share};
pub use site::SiteData;
pub use targets::{Matrix, Targets};
pub use trace::Trace;
