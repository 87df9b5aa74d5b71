//! Components and loops of a prediction should be those of the mask, at the same places.
//!
//! - `cubes`: an image as a filtered cubical complex, its cubes in one total order
//! - `persistence`: bars of an image, and of the inclusion of one image in another, by union-find
//! - `matching`: which bars of two images are the same feature, and what the images lack to agree
//! - `loss`, `with_dice`, `error`: the objectives

mod cubes;
pub mod error;
pub mod loss;
mod matching;
mod persistence;
pub mod with_dice;

pub use error::betti_matching_error;
pub use loss::betti_matching;
pub use with_dice::dice_betti_matching;
