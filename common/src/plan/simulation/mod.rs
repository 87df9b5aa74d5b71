//! The `[simulation]` section: how one data set becomes many sites on one machine.

mod attack;
mod partition;
mod section;

pub use attack::Attack;
pub use partition::Partition;
pub use section::Simulation;
