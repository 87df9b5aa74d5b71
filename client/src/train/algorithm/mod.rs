//! What the algorithms of `[train.algorithm]` add to plain local training, one piece each.
//!
//! ```text
//! batch ──► features ──► logits ──► FedLC ──► loss + margin control ──► + FedNTD, FedPAC, FedDecorr, MOON, iSogCLR ──► gradient
//!                                                                          (FedSAM: once more, at the worst point nearby)
//! gradient ──► + SCAFFOLD or FedDyn offset ──► + FedProx or FedDyn pull ──► clip to a norm ──► optimiser
//! ```
//!
//! A piece whose strength is 0 is left out altogether, so that the step is FedAvg's to the bit. What a site keeps for its
//! next round ([`SiteMemory`]) is a function of what it kept before, the received model and its delta.

mod alignment;
mod decorrelation;
mod gradient;
mod label_calibration;
mod model_contrast;
mod not_true_distillation;
mod site_memory;
mod terms;
mod views;

pub(super) use gradient::{Correction, ascend, clip};
pub(super) use site_memory::{Remembered, SiteMemory};
pub(super) use terms::Terms;
pub(super) use views::{Pair, Views, initial as views_initial};
