//! The whole zoo: golden numbers, naive oracles, finite differences, laws and extremes.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod calibration;
mod classification;
mod contrastive;
mod density;
mod distillation;
mod document;
mod edges;
mod golden;
mod laws;
mod listing;
mod matrices;
mod metric;
mod multilabel;
mod oracle;
mod reduction;
mod regression;
mod regulariser;
mod segmentation;
mod support;
mod unlearning;
