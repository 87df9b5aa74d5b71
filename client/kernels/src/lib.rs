//! Training steps written by hand, for networks that are a few convolutions and linear layers, on one thread of a CPU.
//!
//! ```text
//! flat model ──► Training ── forward(inputs) ──► logits ──► loss and its slopes ──► backward(lr) ──► flat model
//!                            │                              └ cross-entropy here, any other by the caller
//!                            └ products in registers over padded buffers that live as long as the training
//! ```
//!
//! For networks as small as federated learning trains on CPUs, a tensor library spends most of its time not on products
//! but around them: on buffers, on copies that bring a convolution into the shape of a product, on one pass over memory
//! for each operation. Here the products read images where they lie, plain SGD is part of the product that makes the
//! gradient, and a step allocates nothing.
//!
//! Instructions are chosen at run time. On one machine the same call gives the same bits, whatever else runs.

mod aligned;
mod conv;
mod linear;
mod matrix;
mod network;
mod optimise;
mod pool;
mod softmax;
mod training;

pub use network::{Activation, Layer, Network};
pub use optimise::Correction;
pub use softmax::{Margin, MarginScope};
pub use training::{Progress, Training};
