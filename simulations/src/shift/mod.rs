//! How the samples of simulated sites differ beyond who owns which: inputs that look different, labels that are wrong,
//! permuted or missing, and classes that are rare.
//!
//! ```text
//! plan, seed, site ── Shifts ──► Look (applied while a batch is read), classes and rows of the one site
//! ```
//!
//! [`drifted`] changes them further, round by round. Nothing is computed before a site takes part, and what is kept of one that does is a number for each of its samples.

mod drift;
mod long_tail;
mod sites;

pub use drift::drifted;
pub use long_tail::long_tail;
pub use sites::Shifts;
