//! Losses on embeddings of two or more views of a sample, without labels or with labels that say which views belong
//! together.

mod adaptive_temperature;
pub mod amcl_barlow;
pub mod amcl_simclr;
pub mod amcl_simsiam;
pub mod barlow_twins;
pub mod easy_to_hard_mask;
#[cfg(feature = "golden")]
mod golden;
pub mod groco;
pub mod hard_patches;
pub mod hydra;
mod hydra_gate;
pub mod info_nce;
pub mod isogclr;
pub mod isogclr_bimodal;
pub mod masked_reconstruction;
pub mod mixed_barlow_twins;
pub mod noise_injection;
pub mod nt_xent;
mod option;
mod patch_mask;
pub mod pseudo_label_batches;
pub mod robust_contrastive;
pub mod scaled_negatives;
mod similarity;
pub mod simple_contrastive;
mod soft_sort;
pub mod target_anchored;
pub mod tolerance;
pub mod uniformity;

pub use adaptive_temperature::TemperatureNetwork;
pub use amcl_barlow::amcl_barlow;
pub use amcl_simclr::amcl_simclr;
pub use amcl_simsiam::amcl_simsiam;
pub use barlow_twins::barlow_twins;
pub use easy_to_hard_mask::easy_to_hard_mask;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use groco::groco;
pub use hard_patches::hard_patches;
pub use hydra::hydra;
pub use hydra_gate::{GateNetwork, hydra_gate};
pub use info_nce::info_nce;
pub use isogclr::isogclr;
pub use isogclr_bimodal::isogclr_bimodal;
pub use masked_reconstruction::masked_reconstruction;
pub use mixed_barlow_twins::mixed_barlow_twins;
pub use noise_injection::inject_noise;
pub use nt_xent::nt_xent;
pub use patch_mask::PatchMask;
pub use pseudo_label_batches::pseudo_label_batches;
pub use robust_contrastive::robust_contrastive;
pub use simple_contrastive::simple_contrastive;
pub use soft_sort::{Sorted, soft_sort};
pub use target_anchored::target_anchored;
pub use tolerance::tolerance;
pub use uniformity::uniformity;
