//! Losses for a class per pixel or voxel.

pub mod betti;
pub mod bev_dice;
pub mod dice;
pub mod focal_tversky;
#[cfg(feature = "golden")]
mod golden;
pub mod mip;
mod overlap;
pub mod raters;
pub mod tversky;

pub use bev_dice::bev_dice;
pub use dice::dice;
pub use focal_tversky::focal_tversky;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use mip::mip;
pub use tversky::tversky;
