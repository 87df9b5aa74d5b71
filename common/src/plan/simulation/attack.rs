//! `[simulation.attack]`: what hostile sites do.

use serde::Serialize;

use crate::plan::reader::Section;

/// What hostile sites do. They are drawn from the seed, `fraction` of all sites (rounded down), and take part like the
/// others.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Sends its honest delta times `-scale`.
    SignFlip {
        /// Share of hostile sites, 0 to 1.
        fraction: f64,
        /// Above 0.
        scale: f64,
    },
    /// Sends its honest delta times `scale`.
    LargeNorm {
        /// Share of hostile sites, 0 to 1.
        fraction: f64,
        /// Above 0.
        scale: f64,
    },
    /// Sends Gaussian noise with `scale` times the norm of its honest delta.
    Noise {
        /// Share of hostile sites, 0 to 1.
        fraction: f64,
        /// Above 0.
        scale: f64,
    },
    /// Trains on labels `classes - 1 - label`.
    LabelFlip {
        /// Share of hostile sites, 0 to 1.
        fraction: f64,
    },
    /// Inner-product manipulation (Xie, Koyejo, Gupta: Fall of Empires, UAI 2019): all hostile sites send `-scale` times
    /// the mean of their honest deltas.
    InnerProduct {
        /// Share of hostile sites, 0 to 1.
        fraction: f64,
        /// Above 0.
        scale: f64,
    },
    /// A little is enough (Baruch, Baruch, Goldberg, NeurIPS 2019, algorithm 3): all hostile sites send the mean of their
    /// honest deltas minus `z` of their standard deviations, value by value.
    LittleIsEnough {
        /// Share of hostile sites, 0 to 1.
        fraction: f64,
        /// Above 0; absent: the largest that hides among the cohort's members, as the paper computes it.
        #[serde(skip_serializing_if = "Option::is_none")]
        z: Option<f64>,
    },
}

const ATTACKS: &[&str] = &["sign_flip", "large_norm", "noise", "label_flip", "inner_product", "little_is_enough"];

impl Attack {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SignFlip { .. } => "sign_flip",
            Self::LargeNorm { .. } => "large_norm",
            Self::Noise { .. } => "noise",
            Self::LabelFlip { .. } => "label_flip",
            Self::InnerProduct { .. } => "inner_product",
            Self::LittleIsEnough { .. } => "little_is_enough",
        }
    }

    /// Share of hostile sites.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        match self {
            Self::SignFlip { fraction, .. }
            | Self::LargeNorm { fraction, .. }
            | Self::Noise { fraction, .. }
            | Self::LabelFlip { fraction }
            | Self::InnerProduct { fraction, .. }
            | Self::LittleIsEnough { fraction, .. } => *fraction,
        }
    }
}

pub(super) fn read(s: &mut Section<'_, '_>) -> Option<Attack> {
    let choice = s.choice("attack")?;
    let name = choice.name.clone();
    if !ATTACKS.contains(&name.as_str()) {
        choice.unknown("attack", ATTACKS);
        return None;
    }
    let mut o = choice.options;
    let fraction = o.number("fraction", 0.2, 0.0..=1.0);
    let mut scale = |default| o.number("scale", default, 1e-6..=1e9);
    let attack = match name.as_str() {
        "sign_flip" => Attack::SignFlip { fraction, scale: scale(1.0) },
        "large_norm" => Attack::LargeNorm { fraction, scale: scale(10.0) },
        "noise" => Attack::Noise { fraction, scale: scale(1.0) },
        "inner_product" => Attack::InnerProduct { fraction, scale: scale(1.0) },
        "little_is_enough" => Attack::LittleIsEnough { fraction, z: o.optional_number("z", 1e-6..=100.0) },
        _ => Attack::LabelFlip { fraction },
    };
    o.finish();
    Some(attack)
}
