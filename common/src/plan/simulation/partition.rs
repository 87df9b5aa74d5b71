//! `simulation.partition`: who owns which sample.

use serde::Serialize;

use crate::plan::reader::Section;

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

pub(super) fn read(s: &mut Section<'_, '_>) -> Partition {
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
