//! The words of Synod as types, for every other crate: names and digests ([`ids`]), the plan of a run ([`plan`]),
//! parameter blocks over one flat buffer ([`blocks`]), what a client sends back ([`update`]), messages on the wire
//! ([`wire`]), what happened in a run ([`event`]), what travels beside models ([`extra`]), what methods remember between
//! rounds ([`state`]), random streams ([`random`]), and time ([`time`]).
//!
//! Nothing here does I/O, reads a clock, or knows burn or quinn.

pub mod absences;
pub mod blocks;
pub mod event;
pub mod extra;
pub mod ids;
pub mod metrics;
pub mod plan;
pub mod random;
pub mod state;
pub mod status;
pub mod time;
pub mod update;
pub mod wire;
