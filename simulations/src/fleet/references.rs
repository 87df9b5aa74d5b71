//! What a federated model is compared with: each site alone, all data in one place, and plain averaging.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::RunEvent;
use synod_common::metrics::Metrics;
use synod_common::plan::{Aggregate, Algorithms, Count, Plan};
use synod_coordinator::server::NoHost;

use super::driver::{Fleet, FleetOptions};
use super::error::FleetError;
use super::population::Population;
use crate::report::ComparisonRow;

/// Something to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Each site trains by itself, as long as the federated run.
    Alone,
    /// The same plan with plain averaging; no row where the model is in closed form, whose sums have no mean that answers.
    Fedavg,
    /// All sites' samples in one place.
    Pooled,
}

/// Runs the references, one after the other, and measures each on the central test set. `stop` ends it early with the
/// rows so far. `progress` hears the name of each before it runs.
///
/// # Errors
/// When a reference cannot begin.
pub fn references(
    plan: &Arc<Plan>,
    population: &Population,
    which: &[Reference],
    device: &DeviceChoice,
    options: FleetOptions,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<ComparisonRow>, FleetError> {
    let mut rows = Vec::new();
    let one = Arc::new(single(plan));
    let mut add = |name: String, note: &str, plan: &Arc<Plan>, population: &Population| -> Result<(), FleetError> {
        if !stop.load(std::sync::atomic::Ordering::Relaxed) {
            progress(&name);
            rows.push(measure(name, note, plan, population, device, options, stop)?);
        }
        Ok(())
    };
    for reference in which {
        match reference {
            Reference::Alone => {
                let names: Vec<_> = population.names().cloned().collect();
                for (index, name) in names.iter().enumerate() {
                    let alone = population.alone(Arc::clone(&one), index)?;
                    add(format!("{name} alone"), "trained on this site's samples only", &one, &alone)?;
                }
            }
            Reference::Fedavg if plan.model.is_closed_form() => {}
            Reference::Fedavg => {
                let mut averaged = plan.as_ref().clone();
                averaged.aggregate = Aggregate::default();
                averaged.train.algorithm = Algorithms::default();
                averaged.personal = None;
                add("FedAvg".to_owned(), "the same plan with plain averaging", &Arc::new(quiet(averaged)), population)?;
            }
            Reference::Pooled => {
                let pooled = population.pooled(Arc::clone(&one))?;
                add("pooled".to_owned(), "all samples in one place, which a federation avoids", &one, &pooled)?;
            }
        }
    }
    Ok(rows)
}

/// The plan for one site by itself: as many rounds, the update taken as it is.
fn single(plan: &Plan) -> Plan {
    let mut single = quiet(plan.clone());
    single.aggregate = Aggregate::default();
    // Nothing drifts where there is one site.
    single.train.algorithm = Algorithms::default();
    single.personal = None;
    // One place has no line, is always there and never late.
    if let Some(simulation) = &mut single.simulation {
        simulation.profiles.clear();
        simulation.arrival = None;
    }
    single.round.arrival.count = Count { min: 1, max: None };
    single.round.cohort = 0;
    single.round.updates.count = Count { min: 0, max: None };
    single
}

/// Measures at the end only.
fn quiet(mut plan: Plan) -> Plan {
    plan.evaluate.central_every = 0;
    plan.evaluate.site_every = 0;
    plan
}

fn measure(
    name: String,
    note: &str,
    plan: &Arc<Plan>,
    population: &Population,
    device: &DeviceChoice,
    options: FleetOptions,
    stop: &AtomicBool,
) -> Result<ComparisonRow, FleetError> {
    let heard: Mutex<(Metrics, u64, u64, u64, u64)> = Mutex::default();
    let sink = |event: &RunEvent| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RunEvent::Evaluated { metrics, .. } => heard.0 = metrics.clone(),
            RunEvent::RunFinished { rounds, bytes_up, bytes_down, ms, .. } => {
                (heard.1, heard.2, heard.3, heard.4) = (*rounds, *bytes_up, *bytes_down, *ms);
            }
            _ => {}
        }
    };
    let trainer = Arc::new(Trainer::new(Arc::clone(plan), device)?);
    let fleet = Fleet { plan: Arc::clone(plan), trainer, population, host: &NoHost, sink: &sink, stop };
    fleet.run(options)?;
    let (metrics, rounds, bytes_up, bytes_down, ms) = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Nothing travels where there is one place only.
    let travels = population.len() > 1;
    Ok(ComparisonRow {
        name,
        metrics,
        rounds,
        bytes_up: if travels { bytes_up } else { 0 },
        bytes_down: if travels { bytes_down } else { 0 },
        seconds: ms as f64 / 1000.0,
        note: note.to_owned(),
    })
}
