//! What a run looked like: one self-contained HTML page, and a comparison as plain text.
//!
//! ```text
//! events, plan ──► Story (sums, series) ──► page: text, tables, charts (SVG) ──► one HTML file
//! comparison rows ───────────────────────────► the same page, and a table for the terminal
//! ```
//!
//! The page has no scripts and asks for nothing outside itself; it follows the reader's light or dark setting and
//! prints in light. What comes from plans, sites and data is escaped. Large runs are thinned out (lines keep the
//! extremes of what they leave out), grouped, or cut with a note of what was left out, so that the page of a
//! thousand rounds with ten thousand sites stays at a few hundred kilobytes.

mod chart;
mod clock;
mod figures;
mod input;
mod page;
mod quantity;
mod story;
mod study;
mod table;
mod tables;
#[cfg(test)]
mod tests;

pub use clock::{Reached, TimeTo, time_to_text, times_to};
pub use input::{ComparisonRow, ReportInput};
pub use page::html;
pub use study::{StudyInput, study_html, study_table};
pub use table::table;
