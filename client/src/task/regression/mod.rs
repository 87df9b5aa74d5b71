//! Real numbers per sample: metrics from predictions and targets, in the unit of the targets.
//!
//! `rmse` and `mae` are over all numbers of all samples. `r2` (the share of variance explained, 1 - squared errors /
//! squared deviations from the mean), `pearson` and `spearman` (Pearson's correlation of ranks, tied values sharing their
//! mean rank) are means over the outputs for which they are defined: not where the targets, or for the correlations the
//! predictions, are all alike.

mod moments;
mod ranks;
mod tally;

pub(crate) use tally::Tally;
pub(crate) use tally::standardise;
