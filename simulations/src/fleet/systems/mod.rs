//! The machines and lines of simulated sites: when they are there, how long a task takes them, and what fails.
//!
//! Pure functions of the plan, the seed and the site. Times are milliseconds on the virtual clock of the run.

mod availability;
mod site;

pub(super) use availability::Presence;
pub(super) use site::{Fate, Load, Systems};
