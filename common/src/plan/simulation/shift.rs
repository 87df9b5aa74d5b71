//! `[simulation.shift]`: how the samples of simulated sites differ beyond who owns which.

use serde::{Deserialize, Serialize};

use crate::plan::reader::Section;

/// How the samples of sites differ. Every entry is optional and they work together; files are never changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shift {
    /// Gaussian noise on inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<InputNoise>,
    /// Turned images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Contrast about the mean of each sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contrast: Option<Contrast>,
    /// Gain and bias, as instruments differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanner: Option<Scanner>,
    /// Wrong labels among training samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_noise: Option<LabelNoise>,
    /// Sites in groups that mean different things by the same label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concept: Option<Concept>,
    /// Samples without a label, on which nobody trains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<Unlabelled>,
    /// Classes that grow rarer with their number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_tail: Option<LongTail>,
}

/// How strongly an effect acts at each of n sites, as a share of its full strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// 1 at every site.
    Same,
    /// i / (n - 1) at site i: nothing at the first, everything at the last.
    Linear,
    /// Drawn uniformly from 0 to 1 at each site.
    Random,
}

/// Gaussian noise on inputs, the same in every epoch (feature skew of NIID-Bench, Li et al. 2022).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputNoise {
    /// Standard deviation at full strength, in the unit of normalised inputs.
    pub deviation: f64,
    /// How it is spread over sites.
    pub spread: Spread,
}

/// Images turned about their middle, counter-clockwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rotation {
    /// Degrees at full strength.
    pub degrees: f64,
    /// How it is spread over sites.
    pub spread: Spread,
}

/// Inputs multiplied about the mean of their sample, by `1 - strength` to `1 + strength`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contrast {
    /// Largest change of the factor, 0 to below 1.
    pub strength: f64,
    /// How it is spread over sites, from the smallest factor to the largest.
    pub spread: Spread,
}

/// Inputs multiplied and moved, by draws of each site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scanner {
    /// The factor is drawn from `1 - gain` to `1 + gain`.
    pub gain: f64,
    /// What is added is drawn from `-bias` to `bias`, in the unit of normalised inputs.
    pub bias: f64,
}

/// Wrong labels among training samples; held-out ones stay right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelNoise {
    /// Share of wrong labels at full strength, 0 to 1.
    pub rate: f64,
    /// Which labels stand in their place.
    pub kind: LabelNoiseKind,
    /// How the rate is spread over sites.
    pub spread: Spread,
}

/// Which labels stand in the place of right ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelNoiseKind {
    /// Any other class, each as likely.
    Symmetric,
    /// The next class, and for the last the first (pair flips, Han et al., Co-teaching, NeurIPS 2018).
    Pairs,
}

/// Sites in groups; each but the first has its own permutation of the classes, for all its samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Concept {
    /// Number of groups; site i is in group i modulo this.
    pub groups: u32,
}

/// Samples without a label: they are a site's, count as such, and are not trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unlabelled {
    /// Share of a site's training samples at full strength, 0 to 1; one sample always keeps its label.
    pub fraction: f64,
    /// How it is spread over sites.
    pub spread: Spread,
}

/// Class c of C keeps a share `ratio^(-c / (C - 1))` of as many samples as the largest class has, and at least one (Cui et
/// al., Class-Balanced Loss, CVPR 2019).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LongTail {
    /// Samples of the first class for one of the last.
    pub ratio: f64,
}

impl Shift {
    /// Whether labels are changed, or left out by class.
    #[must_use]
    pub fn changes_labels(&self) -> bool {
        self.label_noise.is_some() || self.concept.is_some() || self.long_tail.is_some()
    }

    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let shift = Self {
            noise: read(&mut s, "noise", |o| InputNoise {
                deviation: o.number("deviation", 0.1, 0.0..=1e6),
                spread: o.or("spread", Spread::Linear),
            }),
            rotation: read(&mut s, "rotation", |o| Rotation {
                degrees: o.number("degrees", 90.0, -360.0..=360.0),
                spread: o.or("spread", Spread::Linear),
            }),
            contrast: read(&mut s, "contrast", |o| Contrast {
                strength: o.number("strength", 0.5, 0.0..=0.99),
                spread: o.or("spread", Spread::Linear),
            }),
            scanner: read(&mut s, "scanner", |o| Scanner {
                gain: o.number("gain", 0.2, 0.0..=0.99),
                bias: o.number("bias", 0.1, 0.0..=1e6),
            }),
            label_noise: read(&mut s, "label_noise", |o| LabelNoise {
                rate: o.number("rate", 0.2, 0.0..=1.0),
                kind: o.or("kind", LabelNoiseKind::Symmetric),
                spread: o.or("spread", Spread::Same),
            }),
            concept: read(&mut s, "concept", |o| Concept { groups: o.number("groups", 2, 1..=100_000) }),
            unlabelled: read(&mut s, "unlabelled", |o| Unlabelled {
                fraction: o.number("fraction", 0.5, 0.0..=1.0),
                spread: o.or("spread", Spread::Same),
            }),
            long_tail: read(&mut s, "long_tail", |o| LongTail { ratio: o.number("ratio", 100.0, 1.0..=1e9) }),
        };
        s.finish();
        shift
    }
}

fn read<'p, 'i, T>(
    s: &mut Section<'p, 'i>,
    key: &'static str,
    options: impl FnOnce(&mut Section<'p, 'i>) -> T,
) -> Option<T> {
    let mut o = s.section(key)?;
    let read = options(&mut o);
    o.finish();
    Some(read)
}
