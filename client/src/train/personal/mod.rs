//! Models of a site's own, as `[personal]` has them.
//!
//! ```text
//! received model + what the site keeps ──► the model a round begins with ──► phases of training ──► delta, 0 where blocks stay
//!                                      └─► the site's own model ──► fine-tuning ──► metrics on held-out samples
//! ```
//!
//! | method | kept at the site | in the first round | source |
//! |---|---|---|---|
//! | FedBN, FedPer, FedRep, blocks | `personal.blocks`: the blocks that stay, one after the other | as received | see [`Personal`] |
//! | Ditto | `personal.model`: the model `v`, `[layout.len()]` | as received | algorithm 1 |
//! | APFL | `personal.model`: the model `v`; `personal.alpha`, where it adapts | as received; the plan's | algorithm 1 and equation 11 |
//! | FedBABU, fine-tuning, FedPAC (its heads come with the tasks) | nothing | | |
//!
//! [`Personal`]: synod_common::plan::Personal

mod blocks;
mod class_statistics;
mod mixture;
mod own;
mod training;

pub(super) use blocks::freeze;
pub(super) use mixture::Companion;
pub(super) use own::Personalisation;

#[cfg(test)]
mod tests;
