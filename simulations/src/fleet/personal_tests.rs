//! Models of the sites' own, through whole simulated runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use synod_client::catalogue::Zoo;
use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::Digest;
use synod_common::metrics::Metrics;
use synod_common::plan::Plan;
use synod_coordinator::server::NoHost;

use super::{Fleet, FleetOptions, Population};

/// Six sites with three classes each, four of them in a round.
fn plan(personal: &str) -> Arc<Plan> {
    let text = format!(
        "rounds = 5\n{personal}\n[task.classification]\nclasses = 10\n[model.mlp]\nhidden = [16]\n[data]\n\
         source = \"digits\"\nholdout = 0.3\n[train]\nbatch = 16\n[train.optimiser.sgd]\nlr = 0.2\n[round]\ncohort = 4\n\
         [evaluate]\nsite_every = 0\n[simulation]\nclients = 6\n[simulation.partition.shards]\nclasses_per_site = 3\n"
    );
    Arc::new(Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}")))
}

/// The shared model and what each site measured of its own at the end.
fn run(personal: &str, threads: usize) -> (Digest, BTreeMap<String, Metrics>) {
    let plan = plan(personal);
    let loaded = synod_client::data::load(&plan, Path::new(".")).unwrap();
    let population = Population::new(&plan, &loaded).unwrap();
    let trainer = Arc::new(Trainer::new(Arc::clone(&plan), &DeviceChoice::Cpu).unwrap());
    let heard = Mutex::new(BTreeMap::new());
    let sink = |event: &RunEvent| {
        if let RunEvent::SiteEvaluated { site, metrics, .. } = event {
            heard.lock().unwrap().insert(site.to_string(), metrics.clone());
        }
    };
    let stop = AtomicBool::new(false);
    let fleet = Fleet { plan, trainer, population: &population, host: &NoHost, sink: &sink, stop: &stop };
    let ended = fleet.run(FleetOptions { threads }).unwrap();
    assert_eq!(ended.outcome, Outcome::Completed);
    (ended.model.digest, heard.into_inner().unwrap())
}

fn mean_accuracy(sites: &BTreeMap<String, Metrics>) -> f64 {
    sites.values().map(|metrics| metrics.get("accuracy").unwrap()).sum::<f64>() / sites.len() as f64
}

#[test]
fn sites_with_few_classes_answer_better_with_models_of_their_own() {
    let (shared, of_shared) = run("", 2);
    assert_eq!(of_shared.len(), 6);
    for (personal, shares_as_without) in [
        ("personal = \"fedper\"", false),
        ("personal = { fedrep = { head_epochs = 2 } }", false),
        ("personal = \"fedpac\"", false),
        ("personal = { fedbabu = { epochs = 3 } }", false),
        ("personal = { blocks = { keep = [\"layers.0.*\"] } }", false),
        ("personal = { fine_tune = { epochs = 3, moves = \"head\" } }", true),
        ("personal = { ditto = { epochs = 3 } }", true),
        ("personal = { apfl = { alpha = 0.5, adapt = true } }", true),
    ] {
        let (model, own) = run(personal, 2);
        let (with, without) = (mean_accuracy(&own), mean_accuracy(&of_shared));
        assert!(with > without + 0.02, "{personal}: {with} instead of {without}");
        assert_eq!(model == shared, shares_as_without, "{personal}");
        assert_eq!(run(personal, 3), (model, own), "the number of threads changes nothing: {personal}");
    }
}
