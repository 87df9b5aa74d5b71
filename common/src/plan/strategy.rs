//! The rules that combine updates, with their options.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::federation::SITES_MAX;
use super::reader::Section;
use crate::ids::SiteName;

/// The rule that combines updates. What each computes, and from which paper, stands in [`STRATEGIES`](super::STRATEGIES).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The weighted mean (McMahan et al. 2017).
    Fedavg {
        /// The say of each update.
        weighting: Weighting,
    },
    /// The sum of the updates: the model is a sum over samples.
    Sum,
    /// The mean of updates per local step, times the mean number of steps (Wang et al. 2020).
    Fednova {
        /// The say of each update.
        weighting: Weighting,
    },
    /// Sites with a larger loss have a larger say (Li et al. 2020).
    Qfedavg {
        /// How much fairness: 0 is the uniform mean.
        q: f64,
        /// The bound on the gradient's slope; absent: one over the local learning rate.
        #[serde(skip_serializing_if = "Option::is_none")]
        lipschitz: Option<f64>,
    },
    /// Principal-gradient aggregation (FedLD, Zeng et al. 2024; card 17 part B).
    PrincipalGradient(PrincipalGradient),
    /// The mean, lengthened along each principal direction the more, the less of the updates it carries.
    PrincipalProjection {
        /// How far the mean is trusted: above 0; a large one gives the mean.
        damping: f64,
        /// Share of the principal directions that is kept: above 0, at most 1.
        keep: f64,
        /// The say of each update.
        weighting: Weighting,
        /// What has directions of its own.
        scope: Scope,
    },
    /// Updates paired along the direction of past steps (FedGH as released with FedLD; card 17 part C).
    Fedgh {
        /// What has a direction of its own.
        scope: Scope,
    },
    /// Each update without what goes against another, averaged (Yu et al. 2020).
    Pcgrad {
        /// The say of each update.
        weighting: Weighting,
        /// What has directions of its own.
        scope: Scope,
    },
    /// The direction near the mean that is best for the site that gains least (Liu et al. 2021).
    Cagrad {
        /// How far from the mean, in lengths of it: 0 to below 1.
        c: f64,
        /// The say of each update.
        weighting: Weighting,
        /// What has directions of its own.
        scope: Scope,
    },
    /// A direction that is good for every site, near the weights (Hu et al. 2020).
    FedmgdaPlus {
        /// How far each weight may be from the site's share: 0 to 1.
        epsilon: f64,
        /// The length of the result.
        length: DirectionLength,
        /// The say of each update.
        weighting: Weighting,
    },
    /// The median of each parameter (Yin et al. 2018).
    Median,
    /// The mean of each parameter without its extreme values (Yin et al. 2018).
    TrimmedMean {
        /// Share of the updates cut off at either end: 0 to below 0.5.
        trim: f64,
    },
    /// The point with the smallest sum of distances to the updates (Pillutla et al. 2022).
    GeometricMedian {
        /// The say of each update.
        weighting: Weighting,
        /// The distance below which nearness counts no more.
        smoothing: f64,
        /// Steps at most.
        iterations_max: u32,
    },
    /// The mean of updates that are shortened to the median of their norms (Sun et al. 2019).
    NormClipping {
        /// The say of each update.
        weighting: Weighting,
        /// Times the median norm.
        factor: f64,
    },
    /// The update that is nearest to the others (Blanchard et al. 2017).
    Krum {
        /// Hostile sites to withstand.
        hostile: u32,
    },
    /// The mean of the updates that are nearest to the others (Blanchard et al. 2017).
    MultiKrum {
        /// Hostile sites to withstand.
        hostile: u32,
        /// Updates averaged; absent: as many as there are, less `hostile` and 2.
        #[serde(skip_serializing_if = "Option::is_none")]
        keep: Option<u32>,
    },
    /// Krum's choice, then the mean of each parameter near its median (El Mhamdi et al. 2018).
    Bulyan {
        /// Hostile sites to withstand.
        hostile: u32,
    },
    /// Updates count as far as they agree with that of a site the coordinator trusts (Cao et al. 2021).
    Fltrust {
        /// The trusted site. Its update sets direction and length, and is not averaged itself.
        root: SiteName,
    },
}

/// Options of principal-gradient aggregation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrincipalGradient {
    /// Share of the principal directions that is kept: above 0, at most 1.
    pub keep: f64,
    /// Which way a direction counts for a client.
    pub orientation: Orientation,
    /// Rounds at the start that use the plain mean.
    pub warmup_rounds: u32,
    /// The say of each update.
    pub weighting: Weighting,
    /// The length of the result.
    pub norm: StepNorm,
    /// What has directions of its own.
    pub scope: Scope,
}

/// The say of an update in a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Proportional to its training samples.
    Samples,
    /// The same for each.
    Uniform,
    /// Proportional to its training samples, of which at most so many count: no site outweighs the rest by its size
    /// alone. `{ capped = 1 }` is `uniform`, a cap above every site's samples is `samples`.
    Capped(NonZeroU32),
}

impl Weighting {
    /// The weight of an update behind which there are `samples` samples.
    #[must_use]
    pub fn weight(self, samples: NonZeroU32) -> NonZeroU32 {
        match self {
            Self::Samples => samples,
            Self::Uniform => NonZeroU32::MIN,
            Self::Capped(most) => samples.min(most),
        }
    }
}

/// Which way a principal direction counts for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Towards the client's own update: what the authors' released code computes.
    Own,
    /// Towards the majority's updates: what the paper's text describes.
    Majority,
}

/// The length of a principal-gradient step, per block or for the whole model as `scope` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepNorm {
    /// As the formula gives it: shorter than the updates.
    AsReleased,
    /// The length of the plain mean.
    Mean,
    /// The mean of the updates' lengths.
    MeanOfNorms,
}

/// The length of a FedMGDA+ step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectionLength {
    /// That of a mean of directions, at most 1: as published, `server_lr` gives the length.
    Direction,
    /// The same times the mean length of the updates, so that equal updates give that update.
    MeanOfNorms,
}

/// What a rule that looks at directions is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Each block by itself.
    Block,
    /// The whole model at once.
    Model,
}

impl Strategy {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fedavg { .. } => "fedavg",
            Self::Sum => "sum",
            Self::Fednova { .. } => "fednova",
            Self::Qfedavg { .. } => "qfedavg",
            Self::PrincipalGradient(_) => "principal_gradient",
            Self::PrincipalProjection { .. } => "principal_projection",
            Self::Fedgh { .. } => "fedgh",
            Self::Pcgrad { .. } => "pcgrad",
            Self::Cagrad { .. } => "cagrad",
            Self::FedmgdaPlus { .. } => "fedmgda_plus",
            Self::Median => "median",
            Self::TrimmedMean { .. } => "trimmed_mean",
            Self::GeometricMedian { .. } => "geometric_median",
            Self::NormClipping { .. } => "norm_clipping",
            Self::Krum { .. } => "krum",
            Self::MultiKrum { .. } => "multi_krum",
            Self::Bulyan { .. } => "bulyan",
            Self::Fltrust { .. } => "fltrust",
        }
    }

    /// Fewest updates that the rule can combine.
    #[must_use]
    pub fn updates_min(&self) -> u32 {
        match self {
            Self::Krum { hostile } => 2 * hostile + 3,
            Self::MultiKrum { hostile, keep } => (2 * hostile + 3).max(keep.unwrap_or(1)),
            Self::Bulyan { hostile } => 4 * hostile + 3,
            Self::Fltrust { .. } => 2,
            Self::Fedavg { .. }
            | Self::Sum
            | Self::Fednova { .. }
            | Self::Qfedavg { .. }
            | Self::PrincipalGradient(_)
            | Self::PrincipalProjection { .. }
            | Self::Fedgh { .. }
            | Self::Pcgrad { .. }
            | Self::Cagrad { .. }
            | Self::FedmgdaPlus { .. }
            | Self::Median
            | Self::TrimmedMean { .. }
            | Self::GeometricMedian { .. }
            | Self::NormClipping { .. } => 1,
        }
    }

    /// The options of the rule `name`; `None` if there is no such rule.
    pub(super) fn read(name: &str, o: &mut Section<'_, '_>) -> Option<Self> {
        Some(match name {
            "fedavg" => Self::Fedavg { weighting: o.or("weighting", Weighting::Samples) },
            "sum" => Self::Sum,
            "fednova" => Self::Fednova { weighting: o.or("weighting", Weighting::Samples) },
            "qfedavg" => Self::Qfedavg {
                q: o.number("q", 0.2, 0.0..=100.0),
                lipschitz: o.optional_number("lipschitz", 1e-9..=1e9),
            },
            "principal_gradient" => Self::PrincipalGradient(PrincipalGradient {
                keep: o.number("keep", 0.8, 1e-6..=1.0),
                orientation: o.or("orientation", Orientation::Own),
                warmup_rounds: o.number("warmup_rounds", 1, 0..=1_000_000),
                weighting: o.or("weighting", Weighting::Uniform),
                norm: o.or("norm", StepNorm::AsReleased),
                scope: o.or("scope", Scope::Block),
            }),
            "principal_projection" => Self::PrincipalProjection {
                damping: o.number("damping", 1.0, 1e-6..=1e9),
                keep: o.number("keep", 1.0, 1e-6..=1.0),
                weighting: o.or("weighting", Weighting::Samples),
                scope: o.or("scope", Scope::Model),
            },
            "fedgh" => Self::Fedgh { scope: o.or("scope", Scope::Block) },
            "pcgrad" => {
                Self::Pcgrad { weighting: o.or("weighting", Weighting::Uniform), scope: o.or("scope", Scope::Model) }
            }
            "cagrad" => Self::Cagrad {
                c: o.number("c", 0.5, 0.0..=0.999_999),
                weighting: o.or("weighting", Weighting::Uniform),
                scope: o.or("scope", Scope::Model),
            },
            "fedmgda_plus" => Self::FedmgdaPlus {
                epsilon: o.number("epsilon", 0.1, 0.0..=1.0),
                length: o.or("length", DirectionLength::MeanOfNorms),
                weighting: o.or("weighting", Weighting::Uniform),
            },
            "median" => Self::Median,
            "trimmed_mean" => Self::TrimmedMean { trim: o.number("trim", 0.1, 0.0..=0.499_999) },
            "geometric_median" => Self::GeometricMedian {
                weighting: o.or("weighting", Weighting::Samples),
                smoothing: o.number("smoothing", 1e-6, 1e-12..=1e6),
                iterations_max: o.number("iterations_max", 1000, 0..=100_000),
            },
            "norm_clipping" => Self::NormClipping {
                weighting: o.or("weighting", Weighting::Samples),
                factor: o.number("factor", 1.0, 1e-6..=1e6),
            },
            "krum" => Self::Krum { hostile: hostile(o) },
            "multi_krum" => Self::MultiKrum { hostile: hostile(o), keep: o.optional_number("keep", 1..=SITES_MAX) },
            "bulyan" => Self::Bulyan { hostile: hostile(o) },
            // Without a root the plan is refused, whatever stands here.
            "fltrust" => match o.required("root", "the site whose update the others are measured by") {
                Some(root) => Self::Fltrust { root },
                None => Self::Fedavg { weighting: Weighting::Samples },
            },
            _ => return None,
        })
    }
}

fn hostile(o: &mut Section<'_, '_>) -> u32 {
    o.number("hostile", 1, 0..=SITES_MAX)
}
