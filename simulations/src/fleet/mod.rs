//! Many virtual sites on this machine: the engine of a deployment, driven without sockets.
//!
//! ```text
//! Machine ── Send ──► queue ──► worker threads (one-thread pools, one buffer each) ──► Update ──► Machine
//! ```
//!
//! Where the plan has profiles, a virtual clock decides in which order updates arrive and who is late.
//!
//! Sites share one read-only data set; a site that does not take part costs its row numbers and nothing else. What a
//! worker computes depends on the plan, the round and the site alone, so any number of threads gives the same bits.
//! Memory besides the data: one model and one delta a worker, a few deltas on their way, what the strategy holds, and what
//! the plan's algorithms let each site keep that has taken part.

mod clock;
mod clocked;
mod crew;
mod driver;
mod error;
mod gang;
mod hostile;
mod kept;
mod pace;
mod population;
mod references;
mod split;
mod systems;
mod timeline;
mod turnover;

#[cfg(test)]
mod clocked_tests;
#[cfg(test)]
mod closed_form_tests;
#[cfg(test)]
mod loss_memory_tests;
#[cfg(test)]
mod personal_tests;
#[cfg(test)]
mod tests;

pub use driver::{Fleet, FleetOptions};
pub use error::FleetError;
pub use hostile::Hostile;
pub use population::Population;
pub use references::{Reference, references};
