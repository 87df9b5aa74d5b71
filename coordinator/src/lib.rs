//! The coordinator of Synod: the round as a state machine ([`round`]), aggregation ([`aggregate`]) with its
//! comparison with golden files ([`golden`]), what outlives a crash ([`journal`]),
//! the members of a federation ([`enrol`]), and the QUIC endpoint ([`server`]) around them. It does not link burn: what it needs of a model comes in as numbers or through a trait.

pub mod aggregate;
pub mod enrol;
pub mod golden;
pub mod journal;
pub mod round;
pub mod server;
