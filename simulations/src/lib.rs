//! The simulator of Synod: how one data set becomes many sites ([`partition`]) that differ ([`shift`]), many virtual sites
//! on this machine ([`fleet`]), one plan with several losses, strategies and seeds ([`study`]), and what a run looked like
//! ([`report`]).

pub mod fleet;
pub mod partition;
pub mod report;
pub mod shift;
pub mod study;
