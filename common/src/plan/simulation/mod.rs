//! The `[simulation]` section: how one data set becomes many sites on one machine.

mod attack;
mod partition;
mod partition_options;
mod profile;
mod section;
mod shift;

pub use attack::Attack;
pub use partition::{ColumnOrder, Deal, Partition, Property, Remainder};
pub use profile::{Availability, Drift, DriftKind, Profile, SiteArrival};
pub use section::Simulation;
pub use shift::{
    Concept, Contrast, InputNoise, LabelNoise, LabelNoiseKind, LongTail, Rotation, Scanner, Shift, Spread, Unlabelled,
};
