//! The rounds of a run as a pure state machine: events and the time in, actions out; no sockets, no files, no clock.
//!
//! ```text
//! Assembling ──► Gathering ──► Committing ──► Gathering … ──► FinalEvaluation ──► Done
//!   sites arrive   updates in     model made      next round      sites measure
//!                  or deadline    durable                         the last model
//! ```
//!
//! The network server and the simulator drive the very same [`Machine`]. It decides who takes part, screens every
//! update, combines what came in time, names who was left out, and never waits without a deadline.

mod actions;
mod aggregator;
mod closing;
mod cohort;
mod machine;
mod phase;
mod record;
mod resume;
mod screening;
mod sites;
mod status;

#[cfg(test)]
mod collaboration_tests;
#[cfg(test)]
mod drift_tests;
#[cfg(test)]
mod durable_tests;
#[cfg(test)]
mod old_updates_tests;
#[cfg(test)]
mod quorum_tests;
#[cfg(test)]
mod tests;

pub use actions::{Action, Ended, Event, Measured, Millis, ModelVersion, OutTask, Received};
pub use aggregator::{Aggregator, Contribution, Step, StepError};
pub use machine::{Machine, Setup};
pub use record::Record;
pub use resume::{OpenRound, Position, Recovered, ResumeError};
