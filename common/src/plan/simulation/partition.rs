//! `simulation.partition`: who owns which sample.

use serde::{Deserialize, Serialize};

/// Who owns which sample. Where nothing else is said, every sample belongs to exactly one site.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// At random, equal sizes.
    Iid,
    /// Label skew: each class is shared out by a draw from Dirichlet(alpha) over the sites.
    Dirichlet {
        /// Concentration: small is skewed.
        alpha: f64,
        /// Drawn again until each site has this many samples.
        samples_min: u32,
        /// A site that has its equal share already gets no more (NIID-Bench, Li et al. 2022); otherwise the plain rule
        /// (Hsu, Qi, Brown 2019), whose sites differ in size as well.
        balanced: bool,
    },
    /// Label skew with given sizes: each site draws its own class shares from Dirichlet(alpha) and is filled by them (Acar
    /// et al., FedDyn, ICLR 2021). Samples beyond the sizes belong to nobody.
    InnerDirichlet {
        /// Concentration: small is skewed.
        alpha: f64,
        /// Samples of each site; empty: equal sizes of all samples.
        sizes: Vec<u32>,
    },
    /// Label skew: each site has samples of so many classes only, and no class is lost.
    Shards {
        /// Classes of one site.
        classes_per_site: u32,
    },
    /// Label skew: each site has samples of so many classes only, dealt as the pathological partitioner of flwr-datasets
    /// does. Samples of a class that was dealt to no site belong to nobody.
    Pathological {
        /// Classes of one site.
        classes_per_site: u32,
        /// How classes are dealt.
        deal: Deal,
    },
    /// Samples sorted by class are cut into pieces, which are dealt at random (McMahan et al. 2017).
    LabelShards {
        /// Pieces of one site; 0 with a `size`: all pieces there are, as evenly as possible.
        per_site: u32,
        /// Samples of a piece; 0: as large as all samples allow. Samples beyond belong to nobody.
        size: u32,
    },
    /// Size skew: site i has a share proportional to (i+1)^-exponent, labels at random.
    Sizes {
        /// 0 is equal sizes.
        exponent: f64,
    },
    /// Size skew: site i has a share proportional to i+1, labels at random.
    Linear,
    /// Size skew: site i has a share proportional to (i+1)^2, labels at random.
    Square,
    /// Size skew: site i has a share proportional to exp(rate i), labels at random.
    Exponential {
        /// 0 is equal sizes.
        rate: f64,
    },
    /// Site i has so many samples, labels at random. Samples beyond belong to nobody.
    ExactSizes {
        /// Samples of each site.
        sizes: Vec<u32>,
    },
    /// Sites get ranges of a number that each sample has, blurred by noise.
    Continuous {
        /// The number.
        by: Property,
        /// The input whose value is the number, counted from 0; only with `by = "input"`.
        #[serde(skip_serializing_if = "Option::is_none")]
        input: Option<u32>,
        /// 1 sorts by the number alone, 0 is at random.
        strictness: f64,
    },
    /// Label skew by a table: site i holds the classes i, i+1, …, of each `preassigned` samples and then a share of the
    /// rest (FedProx, Li et al. 2020).
    Distribution {
        /// Classes of one site.
        classes_per_site: u32,
        /// Samples that each site gets of each of its classes before the rest is shared out.
        preassigned: u32,
        /// Without `shares`: standard deviation of the logarithm of the log-normal shares, drawn from the seed.
        sigma: f64,
        /// For each class the shares of the sites that hold it, in the order of sites; scaled to sum to 1.
        shares: Vec<Vec<f64>>,
    },
    /// The sites the data names: a column, or one file a site.
    Natural,
    /// So many of the sites that the data names make one.
    Grouped {
        /// Sites of the data in one site.
        group_size: u32,
        /// What becomes of those that make no whole group.
        remainder: Remainder,
    },
    /// Every site has all samples, and some of their inputs: for looking at and writing out, nothing trains on it.
    Vertical {
        /// Inputs of each site; empty: equal numbers.
        sizes: Vec<u32>,
        /// Inputs that every site has, counted from 0; they are not among those dealt out.
        shared: Vec<u32>,
        /// Inputs in the order of the data, or dealt at random.
        order: ColumnOrder,
    },
    /// A file says which site owns which training sample.
    File {
        /// One number for each training sample in order, the position of its site: IDX of unsigned bytes, or of f32 with
        /// whole numbers where -1 stands for no site; may be compressed with gzip. Inside the data folder.
        path: String,
    },
}

/// How the pathological partition deals classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deal {
    /// Each site draws its classes.
    Random,
    /// Site i has the classes i, i+1, ….
    Deterministic,
    /// The first class of site i is class i, the others are drawn.
    FirstDeterministic,
}

/// A number that each sample has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// Its first target; its class in a classification.
    Target,
    /// The mean of its raw inputs, like the brightness of an image.
    Mean,
    /// One of its raw inputs.
    Input,
}

/// What becomes of the sites of the data that make no whole group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// They make a smaller group.
    Smaller,
    /// They join the last group.
    Bigger,
    /// Their samples belong to nobody.
    Drop,
    /// The run is refused.
    Refuse,
}

/// How a vertical split orders inputs before it deals them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnOrder {
    /// As in the data.
    Data,
    /// Drawn from the seed.
    Random,
}

/// The kinds by name.
pub(super) const PARTITIONS: &[&str] = &[
    "iid",
    "dirichlet",
    "inner_dirichlet",
    "shards",
    "pathological",
    "label_shards",
    "sizes",
    "linear",
    "square",
    "exponential",
    "exact_sizes",
    "continuous",
    "distribution",
    "natural",
    "grouped",
    "vertical",
    "file",
];

impl Partition {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Iid => "iid",
            Self::Dirichlet { .. } => "dirichlet",
            Self::InnerDirichlet { .. } => "inner_dirichlet",
            Self::Shards { .. } => "shards",
            Self::Pathological { .. } => "pathological",
            Self::LabelShards { .. } => "label_shards",
            Self::Sizes { .. } => "sizes",
            Self::Linear => "linear",
            Self::Square => "square",
            Self::Exponential { .. } => "exponential",
            Self::ExactSizes { .. } => "exact_sizes",
            Self::Continuous { .. } => "continuous",
            Self::Distribution { .. } => "distribution",
            Self::Natural => "natural",
            Self::Grouped { .. } => "grouped",
            Self::Vertical { .. } => "vertical",
            Self::File { .. } => "file",
        }
    }

    /// Whether the data must say whose each sample is.
    #[must_use]
    pub fn takes_owners_of_data(&self) -> bool {
        matches!(self, Self::Natural | Self::Grouped { .. })
    }

    /// Samples, or inputs, of each site, where the plan lists them.
    #[must_use]
    pub fn listed_sizes(&self) -> Option<&[u32]> {
        match self {
            Self::InnerDirichlet { sizes, .. } | Self::ExactSizes { sizes } | Self::Vertical { sizes, .. } => {
                Some(sizes).filter(|sizes| !sizes.is_empty()).map(Vec::as_slice)
            }
            Self::Iid
            | Self::Dirichlet { .. }
            | Self::Shards { .. }
            | Self::Pathological { .. }
            | Self::LabelShards { .. }
            | Self::Sizes { .. }
            | Self::Linear
            | Self::Square
            | Self::Exponential { .. }
            | Self::Continuous { .. }
            | Self::Distribution { .. }
            | Self::Natural
            | Self::Grouped { .. }
            | Self::File { .. } => None,
        }
    }
}
