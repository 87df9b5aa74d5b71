//! Local training: one round at one site, and evaluation.
//!
//! ```text
//! Trainer ── order of samples (seeded) ── batches (gathered from a Share) ──► Engine: forward, backward, optimiser
//!                                                                             └ burn on the chosen device
//! ```
//!
//! What comes out depends on (plan, round, client, global model, site data, what the site keeps) alone: not on the thread, not on other
//! clients trained at the same time, and on no shared generator of random numbers.

mod algorithm;
mod burn_engine;
mod course;
mod engine;
mod error;
mod loss_memory;
mod optimiser;
mod order;
mod personal;
mod progress;
mod sums;
mod trainer;

pub use crate::task::Evaluation;
pub use error::TrainError;
pub use progress::{KeepProgress, Watch};
pub use trainer::{Assignment, StepReport, Trained, Trainer};

#[cfg(test)]
mod algorithm_tests;
#[cfg(test)]
mod loss_memory_tests;
#[cfg(test)]
mod progress_tests;
#[cfg(test)]
mod tests;
