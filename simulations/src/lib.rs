//! The simulator of Synod: how one data set becomes many sites ([`partition`]) that differ ([`shift`]), many virtual sites
//! on this machine ([`fleet`]), one plan with several losses, strategies and seeds ([`study`]), and what a run looked like
//! ([`report`]). [`chaos`] plays whole federations in which everything fails,
//! and [`fuzz`] gives any bytes to whatever reads bytes.

pub mod chaos;
pub mod fleet;
pub mod fuzz;
pub mod partition;
pub mod report;
pub mod shift;
pub mod study;
