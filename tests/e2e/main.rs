//! End to end: real processes of the built binary over loopback. Servers listen on ports the system picks and end by
//! themselves.

#![allow(clippy::unwrap_used, reason = "a test helper that fails says where by itself")]

mod bad_input;
mod compare;
mod crash;
mod enrolment;
mod federation;
mod hostile;
mod killed_clients;
mod personal;
mod plans;
mod rig;
mod simulating;
mod site_state;
