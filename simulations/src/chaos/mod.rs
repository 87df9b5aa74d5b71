//! A whole federation in one thread and in no time: the coordinator's machine and journal, the clients' sessions, and between them
//! a network and disks that fail. One seed decides everything, and invariants are checked after every step.
//!
//! ```text
//!             seed ──► Scenario: plan, sites, faults, when what happens
//!                         │
//!   World: virtual time, a queue of happenings, a log
//!     ├── coordinator   round::Machine, journal::Journal, disk        crashes between any two actions, also in a write
//!     ├── sites         session::Session, what is on disk             crash at any step, slow, hostile
//!     └── network       connections, streams                          delay, partition, breaks
//!                         │
//!                       facts ──► invariants
//! ```
//!
//! **QUIC as modelled.** A site opens a connection; a greeting on it ends with `Ready`, and nothing else is taken before. Within a
//! stream messages come whole, once and in order; streams of one connection do not wait for each other. Loss is delay, because
//! QUIC sends again. A partition shorter than the idle limit is delay, a longer one ends the connection. A connection that breaks
//! loses what is on its way, or some of it; its two sides notice at different times, and what one of them had read before
//! counts. So the same update comes twice when its answer was lost, and an old connection's words come after a new one's. Damage on
//! the way is found by digests before a machine sees it, and is not modelled; how much of an upload need not be sent again is not
//! either, since no machine knows of it.
//!
//! **Disks.** See `storage`: the journal is the real one, on a disk that loses and tears what was not synced.
//!
//! **Clocks.** Each life of a process begins its clock at another time, and clocks go up to 5 % wrong.
//!
//! What this does not cover: TLS, the bytes of frames (they are fuzzed), threads of the two drivers, and training itself, for
//! which a function of site, round and model stands.

mod campaign;
mod coordinator;
mod door;
mod fact;
mod hostile;
mod invariants;
mod network;
mod run;
mod scenario;
mod site;
mod storage;
mod world;

#[cfg(test)]
mod tests;

pub use campaign::Campaign;
pub use run::{Failure, Sabotage, Survived, play};
