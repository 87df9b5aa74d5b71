//! Gradient geometry: rules for updates that contradict each other.
//!
//! | rule | what it does about a conflict |
//! |---|---|
//! | [`pcgrad_coefficients`] | takes from each update what goes against another |
//! | [`cagrad_coefficients`] | moves from the mean towards the update that gains least |
//! | [`fedmgda_coefficients`] | seeks a direction that is good for every update |
//! | [`collaboration_weights`] | mixes heads for each site: FedPAC |
//! | [`principal_coefficients`](super::principal_coefficients()), [`fedgh_coefficients`](super::fedgh_coefficients()) | in their own modules |
//!
//! Each result is a linear combination of the updates whose coefficients follow from their inner products: they are made
//! from a [`Gram`](super::Gram) matrix and combined with [`combine`](super::combine()), block by block or for the whole
//! model at once. That is two passes over the updates, one where rows of the matrix were made on arrival.
//!
//! The papers speak of gradients to descend along, we of updates to add: the signs of both change together, and the
//! formulas stay.

mod cagrad;
mod collaboration;
mod fedmgda;
mod pcgrad;
mod simplex;

#[cfg(test)]
mod laws;

pub use cagrad::{Cagrad, cagrad_coefficients};
pub use collaboration::collaboration_weights;
pub use fedmgda::{DirectionLength, FedMgda, fedmgda_coefficients};
pub use pcgrad::pcgrad_coefficients;
