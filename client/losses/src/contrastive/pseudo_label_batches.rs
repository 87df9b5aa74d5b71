//! Batches by pseudo label, from G-SimCLR: samples of different clusters come together, so that fewer are false
//! negatives.
//!
//! # Formula
//! The rank of a sample is the number of samples of its cluster before it. Samples are put in the order of (rank,
//! cluster, index) and cut into batches of `batch_size`; what is left over is dropped.
//!
//! # Shapes
//! One cluster per sample; the result is an order of all samples.
//!
//! # Range and gradient
//! No gradient. If each of at least `batch_size` clusters has the same number of samples, no batch has two of one
//! cluster. If each of exactly `batch_size` clusters has at least `m` samples, the first `m` batches have none.
//!
//! # Choices
//! The released notebook sorts by rank with a sort that may exchange equals; here the cluster and the index decide. The
//! number of clusters is meant to be the batch size. Do not shuffle samples across batches afterwards. Clusters and
//! order stay at the site.
//!
//! # Source
//! Chakraborty, Gosthipaty, Paul: G-SimCLR: Self-Supervised Contrastive Learning with Guided Projection via Pseudo
//! Labelling, ICDM workshops 2020; the released notebooks.
//!
//! # Example
//! ```
//! use synod_losses::contrastive::pseudo_label_batches::{Config, pseudo_label_batches};
//!
//! let batches = pseudo_label_batches(&[0, 0, 1, 1], &Config::default().with_batch_size(2))?;
//! assert_eq!(batches.order, [0, 2, 1, 3]);
//! assert_eq!((batches.full_batches, batches.repeats), (2, 0));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::error::LossError;
use crate::info::Objective;
use crate::option::{AT_LEAST_ONE, objective};

objective! {
    "pseudo_label_batches", family: "contrastive", file: "pseudo_label_batches.rs", role: Step, tasks: [SelfSupervised],
    remembers: None, cost: "O(n log n)",
    options: {
        batch_size / with_batch_size: usize = 64, AT_LEAST_ONE, "number of samples of a batch";
    }
}

/// An order of the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batches {
    /// Every sample once; batches are cut from the front.
    pub order: Vec<usize>,
    /// Number of whole batches.
    pub full_batches: usize,
    /// Samples of whole batches whose cluster occurs in the batch already.
    pub repeats: usize,
}

/// The order of samples that have these clusters.
///
/// # Errors
/// [`LossError::EmptyBatch`] if there are no samples, [`LossError::Config`] if the batch size is 0.
pub fn pseudo_label_batches(clusters: &[u64], config: &Config) -> Result<Batches, LossError> {
    let Config { batch_size } = config.clone().validate().map_err(|source| LossError::Config { name: NAME, source })?;
    if clusters.is_empty() {
        return Err(LossError::EmptyBatch { loss: NAME });
    }
    let mut seen = BTreeMap::<u64, usize>::new();
    let mut keyed: Vec<(usize, u64, usize)> = Vec::with_capacity(clusters.len());
    for (index, &cluster) in clusters.iter().enumerate() {
        let count = seen.entry(cluster).or_default();
        keyed.push((*count, cluster, index));
        *count += 1;
    }
    keyed.sort_unstable();
    let distinct = |batch: &[(usize, u64, usize)]| batch.iter().map(|key| key.1).collect::<BTreeSet<_>>().len();
    let repeats = keyed.chunks_exact(batch_size).map(|batch| batch_size - distinct(batch)).sum();
    let full_batches = clusters.len() / batch_size;
    Ok(Batches { order: keyed.into_iter().map(|key| key.2).collect(), full_batches, repeats })
}
