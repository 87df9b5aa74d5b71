//! Terms on weights and on fields of a graph.

mod signed_measure;
mod weight_distribution;
mod wgsef;
