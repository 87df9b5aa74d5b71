//! Distances between the segmentations that a model samples and those that several raters drew.

pub mod energy_distance;
pub mod frechet;
mod nuclear;
pub mod pulaski;
mod samples;
pub mod sinkhorn;
pub mod soft_ged;

pub use energy_distance::energy_distance;
pub use frechet::frechet;
pub use pulaski::pulaski;
pub use sinkhorn::sinkhorn;
pub use soft_ged::{hard_ged, soft_ged};
