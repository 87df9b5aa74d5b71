//! Real numbers on a grid.

pub mod map_generator;
pub mod map_gradient;

pub use map_generator::map_generator;
pub use map_gradient::map_gradient;
