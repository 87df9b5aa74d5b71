//! Why a simulation did not begin.

use synod_client::data::DataError;
use synod_client::train::TrainError;

use crate::partition::PartitionError;

/// Why a simulation did not begin. What goes wrong later is the run's outcome.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The plan says nothing of sites.
    #[error(
        "the plan has no [simulation] section, so there are no sites to simulate; add one with clients and a partition"
    )]
    NoSimulation,
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data cannot be split as the plan says.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// There are more or fewer natural sites than the plan has names or clients.
    #[error(
        "the data has {found} natural sites, the plan says {expected}; correct simulation.clients or simulation.names, or leave them out"
    )]
    Natural {
        /// Sites in the data.
        found: usize,
        /// Sites in the plan.
        expected: usize,
    },
    /// The file of a partition is about another number of samples.
    #[error(
        "the file of the partition names sites for {owners} samples, there are {rows} to train on; make it anew with \
         `synod partition`, with the same seed and data.test_fraction"
    )]
    Assignment {
        /// Samples in the file.
        owners: usize,
        /// Samples to train on.
        rows: usize,
    },
    /// The model cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A worker thread could not be started.
    #[error("cannot start worker threads: {0}; lower --threads")]
    Threads(String),
    /// There is no such site.
    #[error("there is no site {name} in this plan's simulation; its sites are {sites}")]
    NoSite {
        /// The name asked for.
        name: String,
        /// A few of those there are.
        sites: String,
    },
}
