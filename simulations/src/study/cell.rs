//! One run of a study.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use synod_common::ids::Digest;
use synod_common::metrics::Metrics;

/// A loss and a strategy, as they are called in tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Variant {
    /// The loss, with the options that were asked for.
    pub loss: String,
    /// The strategy, with the options that were asked for.
    pub strategy: String,
}

/// One run of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What was run.
    pub variant: Variant,
    /// The seed in place of the plan's.
    pub seed: u64,
    /// The digest of the plan that was run.
    pub plan: Digest,
    /// What came out.
    pub result: CellResult,
}

/// What came out of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellResult {
    /// It ran to its end.
    Finished(Finished),
    /// It did not.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A run that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Central measurements by round, the first before any training; where there is no central test set the mean over
    /// the sites' held-out samples of the last model.
    pub central: BTreeMap<u64, Metrics>,
    /// The last model.
    pub model: Digest,
    /// Wall time.
    pub seconds: f64,
}

impl Finished {
    /// Metrics of the last model.
    #[must_use]
    pub fn last(&self) -> Option<&Metrics> {
        self.central.last_key_value().map(|(_, metrics)| metrics)
    }
}

impl Cell {
    /// The run, if it came to its end.
    #[must_use]
    pub fn finished(&self) -> Option<&Finished> {
        match &self.result {
            CellResult::Finished(finished) => Some(finished),
            CellResult::Failed { .. } => None,
        }
    }

    /// The last model's value of a metric.
    #[must_use]
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.finished()?.last()?.get(metric)
    }
}
