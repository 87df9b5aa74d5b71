//! Runs one cell.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::{Outcome, RunEvent};
use synod_common::metrics::Metrics;
use synod_common::plan::Plan;
use synod_coordinator::server::NoHost;

use super::cell::{CellResult, Finished};
use crate::fleet::{Fleet, FleetOptions, Population};

/// A person ended the run: there is no result, and the study ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// What is heard of a run.
#[derive(Default)]
struct Heard {
    central: BTreeMap<u64, Metrics>,
    /// Final measurements at the sites, by round and in order of the sites' names.
    sites: BTreeMap<(u64, String), Metrics>,
    ms: u64,
}

/// Runs `plan` on `population`, whose samples must be those of the plan's seed.
///
/// # Errors
/// [`Interrupted`] when `stop` was set; every other trouble is the cell's result.
pub fn run_cell(
    plan: &Arc<Plan>,
    population: &Population,
    device: &DeviceChoice,
    options: FleetOptions,
    stop: &AtomicBool,
) -> Result<CellResult, Interrupted> {
    let failed = |reason: String| Ok(CellResult::Failed { reason });
    let trainer = match Trainer::new(Arc::clone(plan), device) {
        Ok(trainer) => Arc::new(trainer),
        Err(error) => return failed(error.to_string()),
    };
    let heard: Mutex<Heard> = Mutex::default();
    let sink = |event: &RunEvent| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RunEvent::Evaluated { round, metrics, .. } => {
                heard.central.insert(round.0, metrics.clone());
            }
            RunEvent::SiteEvaluated { round, site, metrics } => {
                heard.sites.insert((round.0, site.to_string()), metrics.clone());
            }
            RunEvent::RunFinished { ms, .. } => heard.ms = *ms,
            _ => {}
        }
    };
    let fleet = Fleet { plan: Arc::clone(plan), trainer, population, host: &NoHost, sink: &sink, stop };
    let ended = match fleet.run(options) {
        Ok(ended) => ended,
        Err(error) => return failed(error.to_string()),
    };
    match ended.outcome {
        Outcome::Completed => {}
        Outcome::Stopped { reason } => return failed(reason),
        Outcome::Interrupted => return Err(Interrupted),
    }
    let mut heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    if heard.central.is_empty()
        && let Some(last) = heard.sites.keys().map(|key| key.0).max()
    {
        let of_last = heard.sites.iter().filter(|(key, _)| key.0 == last).map(|(_, metrics)| metrics);
        heard.central.insert(last, Metrics::weighted_mean(of_last));
    }
    if heard.central.is_empty() {
        return failed("nothing was measured: set data.test_fraction or data.holdout above 0".to_owned());
    }
    let (central, model, seconds) = (heard.central, ended.model.digest, heard.ms as f64 / 1000.0);
    Ok(CellResult::Finished(Finished { central, model, seconds }))
}
