//! End to end: real processes of the built binary over loopback. Servers listen on ports the system picks and end by
//! themselves.

mod bad_input;
mod federation;
mod plans;
mod rig;
