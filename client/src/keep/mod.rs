//! What a site keeps between rounds, for algorithms that need it: in memory for simulated sites, in a folder for real ones.
//!
//! A state belongs to the round that made it. Each task names the last committed round in which the site's update counted,
//! and the site goes on with the state of exactly that round. So nothing advances twice: a round that is asked for again, or
//! that was trained in vain, begins where the site stood before it. Two states are enough: the one a round begins with and
//! the one it ends with.

mod folder;
mod memory;

pub use folder::{KeepError, StateFolder};
pub use memory::Kept;
