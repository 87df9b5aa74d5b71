//! A weighted sum that does not depend on the order of its terms: same bits for every order of arrival, every way of
//! splitting over accumulators, every order of merging them and every number of threads.
//!
//! Floating-point addition does not associate, integer addition does. Each term `weight * value` is therefore rounded
//! once, by itself, to a multiple of `2^-58`, and the multiples are added as integers of about 110 bits in two limbs.

mod buffered;
mod kernel;
mod sum;

pub use buffered::BufferedSum;
pub use kernel::GROUP;
pub use sum::{ExactSum, Weighted};
