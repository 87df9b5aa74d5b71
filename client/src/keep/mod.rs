//! What a site keeps between rounds, for algorithms that need it: in memory for simulated sites, in a folder for real ones.
//!
//! A state belongs to the round that made it. Each task names the last committed round in which the site's update counted,
//! and the site goes on with the state of exactly that round. So nothing advances twice: a round that is asked for again, or
//! that was trained in vain, begins where the site stood before it. Two states are enough: the one a round begins with and
//! the one it ends with.
//!
//! And the work in hand ([`WorkFolder`]): a finished update until it is acknowledged, and how far a training is.

mod durable;
mod folder;
mod keeper;
mod memory;
mod work;

pub use folder::{KeepError, StateFolder};
pub use keeper::{Keeper, Stored};
pub use memory::Kept;
pub use work::WorkFolder;
pub(crate) use work::vectors;
