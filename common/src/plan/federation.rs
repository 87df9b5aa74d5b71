//! The `[screening]`, `[evaluate]` and `[simulation]` sections: how sites work together.

use serde::Serialize;

use super::reader::Section;
use crate::ids::SiteName;

/// Most sites of one run, virtual or real.
pub const SITES_MAX: u32 = 10_000_000;

/// What an update must satisfy before it counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Screening {
    /// Largest L2 norm of a delta.
    pub norm_max: f64,
    /// Most samples a site may claim.
    pub samples_max: u64,
}

impl Screening {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let screening = Self {
            norm_max: s.number("norm_max", 1e4, 1e-9..=1e12),
            samples_max: s.number("samples_max", 100_000_000, 1..=1_000_000_000),
        };
        s.finish();
        screening
    }
}

/// When and how models are measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluate {
    /// The global model on the central test set, each so many rounds; 0 only at the end.
    pub central_every: u32,
    /// Global and local models on each site's held-out samples, each so many rounds; 0 only at the end.
    pub site_every: u32,
    /// Samples of one evaluation batch.
    pub batch: u32,
}

impl Evaluate {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let evaluate = Self {
            central_every: s.number("central_every", 1, 0..=1_000_000),
            site_every: s.number("site_every", 1, 0..=1_000_000),
            batch: s.number("batch", 512, 1..=65_536),
        };
        s.finish();
        evaluate
    }

    /// Whether sites measure models in round `round` of `rounds`.
    #[must_use]
    pub fn sites_in(&self, round: u64) -> bool {
        self.site_every > 0 && round.is_multiple_of(u64::from(self.site_every))
    }

    /// Whether the global model of round `round` is measured centrally; the last one always is.
    #[must_use]
    pub fn central_in(&self, round: u64, rounds: u64) -> bool {
        round == rounds || (self.central_every > 0 && round.is_multiple_of(u64::from(self.central_every)))
    }
}

/// How one data set becomes many sites on one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// Number of sites; 0 with the partition `natural`: as many as the data has.
    pub clients: u32,
    /// Names of the sites in order; empty: `site-0`, `site-1`, … or the names in the data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<SiteName>,
    /// Who owns which sample.
    pub partition: Partition,
    /// What hostile sites do, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<Attack>,
}

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

/// Who owns which sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// At random, equal sizes.
    Iid,
    /// Label skew: each class is shared out by a draw from Dirichlet(alpha) over the sites, and a site that has its equal
    /// share already gets no more (NIID-Bench, Li et al. 2022).
    Dirichlet {
        /// Concentration: small is skewed.
        alpha: f64,
        /// Drawn again until each site has this many samples.
        samples_min: u32,
    },
    /// Label skew: each site has samples of so many classes only.
    Shards {
        /// Classes of one site.
        classes_per_site: u32,
    },
    /// Size skew: site i has a share proportional to (i+1)^-exponent, labels at random.
    Sizes {
        /// 0 is equal sizes.
        exponent: f64,
    },
    /// The sites the data names: a column, or one file a site.
    Natural,
    /// A file says which site owns which training sample.
    File {
        /// One number for each training sample in order, the position of its site: IDX of unsigned bytes, which may be
        /// compressed with gzip. Inside the data folder.
        path: String,
    },
}

const PARTITIONS: &[&str] = &["iid", "dirichlet", "shards", "sizes", "natural", "file"];

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

impl Partition {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Iid => "iid",
            Self::Dirichlet { .. } => "dirichlet",
            Self::Shards { .. } => "shards",
            Self::Sizes { .. } => "sizes",
            Self::Natural => "natural",
            Self::File { .. } => "file",
        }
    }
}

impl Simulation {
    /// The names of the sites in order, where the data does not name them.
    pub fn site_names(&self) -> impl Iterator<Item = SiteName> + '_ {
        let numbered = if self.names.is_empty() { self.clients } else { 0 };
        self.names.iter().cloned().chain((0..numbered).filter_map(|i| SiteName::new(&format!("site-{i}")).ok()))
    }

    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let names: Vec<SiteName> = s.or("names", Vec::new());
        let default = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let clients = s.number("clients", default, 0..=SITES_MAX);
        let partition = read_partition(&mut s);
        let natural = partition == Partition::Natural;
        if clients == 0 && !natural && !s.has("clients") {
            s.problem("", "`clients` is missing: the number of simulated sites", Some("add clients = 10"));
        }
        if !names.is_empty() && !natural && names.len() != clients as usize {
            s.problem("names", format!("there are {} names for {clients} clients", names.len()), None);
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            s.problem("names", format!("the name {twice} is used twice"), None);
        }
        let attack = read_attack(&mut s);
        s.finish();
        Self { clients, names, partition, attack }
    }
}

fn read_attack(s: &mut Section<'_, '_>) -> Option<Attack> {
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

fn read_partition(s: &mut Section<'_, '_>) -> Partition {
    let Some(choice) = s.choice("partition") else { return Partition::Iid };
    let name = choice.name.clone();
    if !PARTITIONS.contains(&name.as_str()) {
        choice.unknown("partition", PARTITIONS);
        return Partition::Iid;
    }
    let mut o = choice.options;
    let partition = match name.as_str() {
        "dirichlet" => Partition::Dirichlet {
            alpha: o.number("alpha", 0.5, 1e-4..=1e6),
            samples_min: o.number("samples_min", 10, 1..=1_000_000),
        },
        "shards" => Partition::Shards { classes_per_site: o.number("classes_per_site", 2, 1..=100_000) },
        "sizes" => Partition::Sizes { exponent: o.number("exponent", 1.0, 0.0..=10.0) },
        "natural" => Partition::Natural,
        "file" => Partition::File {
            path: o.required("path", "the file that says which site owns which training sample").unwrap_or_default(),
        },
        _ => Partition::Iid,
    };
    o.finish();
    partition
}
