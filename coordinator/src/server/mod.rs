//! The QUIC endpoint around the round machine: reads, steps, carries out actions, sleeps until the next wake-up. It
//! decides nothing about rounds.
//!
//! ```text
//!  site ══ connection task ──► Input ──► main loop ── step ──► Machine
//!   ▲          │ one upload at a time       │
//!   └──────────┴──────── Outgoing ◄─────────┘
//! ```
//!
//! Bounds: [`CONNECTIONS_MAX`] connections, [`UPLOADS_MAX`] uploads being read at a time (the others wait in QUIC's flow
//! control), one upload a site, and 16 interrupted uploads of 1 GiB together. So besides what the strategy holds, at most
//! [`UPLOADS_MAX`] updates are in flight and 16 wait for their rest.

mod connection;
mod enrolment;
#[cfg(test)]
mod enrolment_tests;
mod host;
mod serve;
mod uploads;

pub use enrolment::Members;
pub use host::{Host, NoHost};
pub use serve::{ServeError, ServeOptions, serve};

/// Most connections at a time; each costs some 100 KiB.
pub const CONNECTIONS_MAX: usize = 4096;
/// Most uploads read at a time.
pub const UPLOADS_MAX: usize = 8;
