//! Whole handshakes in memory, another tool's view of the certificates, and what text may never show.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod enrolment;
mod handshake;
mod other_tools;
mod secrets;
mod world;
