//! Losses for labels that are incomplete and long-tailed: a 0 may mean that nobody looked, and few classes have most
//! of the labels.

pub mod balancer;
pub mod corrector;
pub mod modifier;
mod prior;

pub use balancer::balancer;
pub use corrector::corrector;
pub use modifier::modifier;
pub use prior::{Prior, attention, class_weights};
