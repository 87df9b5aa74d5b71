//! Densities and scores of outliers.

mod mean_shift;
mod unnormalised;
