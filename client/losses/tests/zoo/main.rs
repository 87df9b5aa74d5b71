//! The whole zoo: golden numbers, naive oracles, finite differences, laws and extremes.

mod edges;
mod golden;
mod laws;
mod listing;
mod matrices;
mod multilabel;
mod oracle;
mod reduction;
mod regression;
mod support;
