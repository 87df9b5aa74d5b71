//! The three products of a layer: forward, the gradient of its input, and that of its parameters.
//!
//! They are general matrix products in registers: a tile of the result is summed up in them, and a row of one operand is
//! read where it lies ([`Rows`]). Padded columns hold zeros and cost a little arithmetic, so that no tile needs an end.

mod inner;
mod outer;
mod product;
mod rows;
mod tile;

pub(crate) use inner::Inner;
pub(crate) use outer::Outer;
pub(crate) use product::Product;
pub(crate) use rows::Rows;

#[cfg(test)]
mod tests;
