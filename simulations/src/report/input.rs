//! What a report is made from.

use serde::{Deserialize, Serialize};
use synod_common::event::Stamped;
use synod_common::ids::SiteName;
use synod_common::metrics::Metrics;
use synod_common::plan::Plan;

/// What a report is made from. The events alone make a complete page; the rest adds to it.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    /// The heading; `None` is the plan's name.
    pub title: Option<&'a str>,
    /// The plan of the run.
    pub plan: &'a Plan,
    /// The resolved plan as text.
    pub plan_toml: &'a str,
    /// What happened, in order.
    pub events: &'a [Stamped],
    /// Models to compare, the run's own first; may be empty.
    pub comparison: &'a [ComparisonRow],
    /// Values of the main metric to which times are asked for; empty: shares of the best one. Only where a simulation has a
    /// virtual clock.
    pub targets: &'a [f64],
    /// Training samples per class at each site; `None` takes what sites said when they arrived.
    pub site_class_counts: Option<Vec<(SiteName, Vec<u64>)>>,
}

/// One model in a comparison: the global model, a site alone, another strategy, pooled training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// What it is.
    pub name: String,
    /// Metrics on the central test set.
    pub metrics: Metrics,
    /// Rounds; for models that are trained in one place, passes of the same length.
    pub rounds: u64,
    /// Bytes from sites to the coordinator.
    pub bytes_up: u64,
    /// Bytes from the coordinator to sites.
    pub bytes_down: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// What a reader should know about the row; may be empty.
    pub note: String,
}
