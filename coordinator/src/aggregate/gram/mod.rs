//! All inner products of a set of updates, in `f64`, the same bits on every machine.
//!
//! **What is computed.** The product of two `f32` is exact in `f64`, so multiplying and adding gives the same bits as a
//! fused multiply-add, and an inner product is defined by the order of its additions alone. That order is fixed: a block
//! is cut into chunks of 32,768 parameters; inside a chunk parameter `i` is added to lane `i % 8`, lanes are added in a
//! fixed tree, chunks from the first to the last. No instruction set, number of threads, tile size, companion or order of
//! arrival appears in this definition, and `<a, b>` equals `<b, a>`.
//!
//! **Accuracy.** Within about `4100 * 2^-53` (5e-13) of the exact value relative to `sum |a_i b_i|`, far less in practice.

mod arrival;
mod batch;
mod kernel;
mod matrix;

pub use arrival::{GramBlocks, SortedUpdates};
pub use batch::{gram, gram_blocks};
pub(super) use kernel::{CHUNK, LANES, add_lanes};
pub use matrix::Gram;
