//! Losses for real numbers.

mod aggregate;
mod bandit;
mod cauchy_schwarz;
mod maps;
mod plans;
mod quality;
