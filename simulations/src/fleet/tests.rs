//! The fleet on small made-up data.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use synod_client::catalogue::Zoo;
use synod_client::data::{Dataset, Inputs, Loaded};
use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::Digest;
use synod_common::metrics::Metrics;
use synod_common::plan::{Activation, Algorithms, Model, Plan};
use synod_coordinator::round::Ended;
use synod_coordinator::server::NoHost;

use super::{Fleet, FleetError, FleetOptions, Population, Reference, references};

pub(super) fn plan(extra: &str) -> Arc<Plan> {
    let text = format!(
        "rounds = 2\nmodel = \"logistic\"\n[task.classification]\nclasses = 3\n[data]\nholdout = 0.25\n[data.source.npz]\n\
         file = \"x.npz\"\nshape = [4]\n[train]\nbatch = 8\n{extra}"
    );
    Arc::new(Plan::read(&text, &Zoo).unwrap())
}

/// Three classes that a line can tell apart: the class is the largest of the first three inputs.
pub(super) fn samples(rows: usize) -> Loaded {
    let labels: Vec<u32> = (0..rows).map(|i| (i * 7 % 3) as u32).collect();
    let inputs = labels
        .iter()
        .enumerate()
        .flat_map(|(i, l)| (0..4).map(move |c| if c == *l as usize { 1.0 } else { (i * (c + 3) % 11) as f32 / 22.0 }));
    let dataset = |inputs: Vec<f32>, labels| Arc::new(Dataset::new(Inputs::F32(inputs), labels, vec![4]).unwrap());
    let inputs: Vec<f32> = inputs.collect();
    let (train, test) = (dataset(inputs.clone(), labels.clone()), Some(dataset(inputs, labels)));
    Loaded { train, test, assignment: None, traces: Vec::new(), notes: Vec::new() }
}

pub(super) fn run(plan: &Arc<Plan>, threads: usize) -> (Outcome, Digest, Vec<RunEvent>) {
    let (ended, events) = run_to_the_end(plan, threads);
    (ended.outcome, ended.model.digest, events)
}

pub(super) fn run_to_the_end(plan: &Arc<Plan>, threads: usize) -> (Ended, Vec<RunEvent>) {
    let population = Population::new(plan, &samples(120)).unwrap();
    let trainer = Arc::new(Trainer::new(Arc::clone(plan), &DeviceChoice::Cpu).unwrap());
    let events = Mutex::new(Vec::new());
    let sink = |event: &RunEvent| events.lock().unwrap().push(event.clone());
    let stop = AtomicBool::new(false);
    let fleet =
        Fleet { plan: Arc::clone(plan), trainer, population: &population, host: &NoHost, sink: &sink, stop: &stop };
    let ended = fleet.run(FleetOptions { threads }).unwrap();
    (ended, events.into_inner().unwrap())
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Those with a state make more of a first difference, round by round.
    for aggregate in [
        "",
        "strategy = { principal_gradient = { warmup_rounds = 0 } }",
        "strategy = \"fedadam\"",
        "strategy = \"fedgh\"",
        "strategy = \"qfedavg\"\nclip_norm = 0.1",
        "strategy = { trimmed_mean = { trim = 0.25 } }\nserver = \"yogi\"",
    ] {
        let rest = "[round]\ncohort = 4\n[simulation]\nclients = 6\n";
        let mut plan = plan(&format!("loss_before = true\n[aggregate]\n{aggregate}\n{rest}")).as_ref().clone();
        plan.rounds = 4;
        let plan = Arc::new(plan);
        let one = run(&plan, 1);
        assert_eq!(one.0, Outcome::Completed);
        for threads in [2, 5] {
            assert_eq!(run(&plan, threads).1, one.1, "{threads} threads: {aggregate}");
        }
    }
}

#[test]
fn a_buffer_of_everyone_is_fedavg_to_the_bit() {
    let all = run(&plan("[simulation]\nclients = 5\n"), 2);
    let buffered = run(&plan("[round]\narrival.count.min = 5\nasync.buffer = 5\n[simulation]\nclients = 5\n"), 2);
    assert_eq!((buffered.0, buffered.1), (Outcome::Completed, all.1));
}

/// Where updates count as they come, work decides who comes first, and no thread does.
#[test]
fn order_is_of_the_plan_and_not_of_the_threads() {
    for round in [
        "arrival.count.min = 3\nasync = { buffer = 3, concurrency = 5, staleness_max = 4 }\n",
        "updates.count = { min = 3, max = 4 }\n",
        "updates.count.min = 3\nupdates.late = \"fold\"\n",
    ] {
        let text = format!("[round]\n{round}[simulation]\nclients = 7\n[simulation.partition.sizes]\nexponent = 1.0\n");
        let mut plan = plan(&text).as_ref().clone();
        plan.rounds = 6;
        let plan = Arc::new(plan);
        let (outcome, digest, events) = run(&plan, 1);
        assert_eq!(outcome, Outcome::Completed, "{round}");
        for threads in [2, 5] {
            assert_eq!(run(&plan, threads).1, digest, "{threads} threads: {round}");
        }
        let is_late = events.iter().any(|e| matches!(e, RunEvent::UpdateLate { .. }));
        assert!(is_late, "the case shows nothing where nobody is late: {round}");
    }
}

/// Hostile sites that wait for each other must not make the order of arrival matter, or keep a round open for ever.
#[test]
fn attacks_repeat_to_the_bit_and_change_the_model() {
    let honest = run(&plan("[round]\ncohort = 5\n[simulation]\nclients = 8\n"), 1).1;
    for attack in ["sign_flip", "large_norm", "noise", "label_flip", "inner_product", "little_is_enough"] {
        let attacked =
            format!("[round]\ncohort = 5\n[simulation]\nclients = 8\n[simulation.attack.{attack}]\nfraction = 0.5\n");
        let attacked = plan(&attacked);
        let one = run(&attacked, 1);
        assert_eq!(one.0, Outcome::Completed, "{attack}");
        assert_ne!(one.1, honest, "{attack}");
        assert_eq!(run(&attacked, 3).1, one.1, "{attack}");
    }
}

#[test]
fn a_file_says_who_owns_which_sample() {
    let plan = plan("[simulation]\nclients = 3\n[simulation.partition.file]\npath = \"who.idx\"\n");
    let mut loaded = samples(6);
    loaded.assignment = Some(vec![2, 0, 0, 1, 2, 2]);
    let population = Population::new(&plan, &loaded).unwrap();
    assert_eq!(population.rows().collect::<Vec<_>>(), [&[1, 2][..], &[3], &[0, 4, 5]]);
    loaded.assignment = Some(vec![0, 1]);
    let error = Population::new(&plan, &loaded).err().expect("too short").to_string();
    assert!(error.contains('6') && error.contains('2'), "{error}");
}

/// Sites that keep something go on from it in whatever order and on whatever thread they train. Nothing is known in the
/// first round, so that it is FedAvg's; later ones are not.
#[test]
fn sites_that_keep_something_give_the_same_bits_on_any_number_of_threads() {
    let run = |algorithm: &str, threads: usize| {
        let uniform = "[aggregate.strategy.fedavg]\nweighting = \"uniform\"";
        let text = format!("{algorithm}\n{uniform}\n[round]\ncohort = 4\n[simulation]\nclients = 6\n");
        let mut plan = plan(&text).as_ref().clone();
        plan.rounds = 4;
        plan.model = Model::Mlp { hidden: vec![5], activation: Activation::Tanh };
        let (outcome, digest, events) = run(&Arc::new(plan), threads);
        assert_eq!(outcome, Outcome::Completed, "{algorithm}");
        let first = events.iter().find_map(|e| match e {
            RunEvent::RoundCommitted { model, .. } => Some(*model),
            _ => None,
        });
        (digest, first)
    };
    let fedavg = run("", 1);
    let fedprox = run("algorithm = { fedprox = { mu = 0.2 } }", 1);
    for (algorithm, in_the_first_round) in [
        ("algorithm = { scaffold = {} }", fedavg.1),
        ("algorithm = { feddyn = { alpha = 0.2 } }", None),
        ("algorithm = { scaffold = {}, fedprox = { mu = 0.2 } }", fedprox.1),
    ] {
        let one = run(algorithm, 1);
        assert_eq!(run(algorithm, 3), one, "{algorithm}");
        assert!(one.0 != fedavg.0 && one.0 != fedprox.0, "{algorithm}");
        assert!(in_the_first_round.is_none() || one.1 == in_the_first_round, "{algorithm}");
    }
}

/// Temperatures of single samples stay at their sites and go on from round to round.
#[test]
fn isogclr_goes_on_from_each_sites_own_temperatures() {
    let with = |options: &str| {
        let text = format!(
            "rounds = 3\nmodel = {{ mlp = {{ hidden = [5] }} }}\n[task.classification]\nclasses = 3\n[data]\n[data.source.npz]\n\
             file = \"x.npz\"\nshape = [4]\n[train]\nbatch = 8\nepochs = 2\n[train.algorithm]\n{options}\n[simulation]\nclients = 4\n"
        );
        Arc::new(Plan::read(&text, &Zoo).unwrap())
    };
    let one = run(&with("isogclr = { weight = 0.5 }"), 1);
    assert_eq!(one.0, Outcome::Completed);
    assert_eq!(run(&with("isogclr = { weight = 0.5 }"), 3).1, one.1);
    let (plain, off) = (run(&with(""), 1), run(&with("isogclr = { weight = 0.0 }"), 1));
    let first = |events: &[RunEvent]| {
        events.iter().find_map(|e| match e {
            RunEvent::RoundCommitted { model, .. } => Some(*model),
            _ => None,
        })
    };
    assert_eq!(first(&off.2), first(&plain.2), "a weight of 0 is the plain step");
    assert_ne!(one.1, plain.1);
    // Temperatures that move change later rounds: with a step of next to nothing the last model is another one.
    assert_ne!(run(&with("isogclr = { weight = 0.5, eta = 1e-6 }"), 1).1, one.1);
}

/// MOON's model, and not the logistic one of the other tests: it needs features.
#[test]
fn moon_goes_on_from_each_sites_own_last_model() {
    let text = "[simulation]\nclients = 4\n[train.algorithm.moon]\nmu = 5.0";
    let text = format!(
        "rounds = 3\nmodel = {{ mlp = {{ hidden = [5] }} }}\n[task.classification]\nclasses = 3\n[data]\n[data.source.npz]\n\
         file = \"x.npz\"\nshape = [4]\n[train]\nbatch = 8\nepochs = 3\n{text}"
    );
    let plan = Arc::new(Plan::read(&text, &Zoo).unwrap());
    let one = run(&plan, 1);
    assert_eq!(run(&plan, 3).1, one.1);
    let mut plain = plan.as_ref().clone();
    plain.train.algorithm = Algorithms::default();
    let fedavg = run(&Arc::new(plain), 1);
    assert_ne!(fedavg.1, one.1);
    let loss_of = |events: &[RunEvent]| {
        events.iter().find_map(|e| match e {
            RunEvent::UpdateAccepted { train, .. } => train.get("loss"),
            _ => None,
        })
    };
    assert!(loss_of(&one.2) > loss_of(&fedavg.2), "the contrast is part of the loss that sites report");
}

#[test]
fn a_run_learns_and_measures_centrally_and_at_every_site() {
    let plan = plan("epochs = 20\n[train.optimiser.sgd]\nlr = 0.5\n[simulation]\nclients = 3\n");
    let (outcome, _, events) = run(&plan, 2);
    assert_eq!(outcome, Outcome::Completed);
    let accuracy = |wanted: u64| {
        events.iter().find_map(|e| match e {
            RunEvent::Evaluated { round, metrics, .. } if round.0 == wanted => metrics.get("accuracy"),
            _ => None,
        })
    };
    assert!(accuracy(2) > accuracy(0) && accuracy(2) > Some(0.9), "{:?} then {:?}", accuracy(0), accuracy(2));
    assert_eq!(events.iter().filter(|e| matches!(e, RunEvent::SiteEvaluated { .. })).count(), 3);
}

#[test]
fn a_round_without_local_work_leaves_the_model_as_it_is() {
    let plan = plan("epochs = 0\n[simulation]\nclients = 3\n");
    let (outcome, model, events) = run(&plan, 2);
    assert_eq!(outcome, Outcome::Completed);
    assert!(events.iter().any(|e| matches!(e, RunEvent::RunStarted { model: initial, .. } if *initial == model)));
}

#[test]
fn a_deadline_that_nobody_can_meet_ends_the_run_at_once() {
    // Fewer sites than the plan wants: natural numbers of clients are not known when a plan is checked.
    let mut plan = plan("[simulation]\nclients = 3\n").as_ref().clone();
    plan.round.arrival.count.min = 9;
    let (outcome, _, _) = run(&Arc::new(plan), 2);
    assert!(matches!(outcome, Outcome::Stopped { reason } if reason.contains("3 of 9 sites")));
}

#[test]
fn references_are_measured_on_the_same_test_set() {
    let plan = plan("[simulation]\nclients = 3\n");
    let population = Population::new(&plan, &samples(120)).unwrap();
    let all = [Reference::Alone, Reference::Fedavg, Reference::Pooled];
    let stop = AtomicBool::new(false);
    let mut heard = Vec::new();
    let rows = references(&plan, &population, &all, &DeviceChoice::Cpu, FleetOptions { threads: 2 }, &stop, &mut |n| {
        heard.push(n.to_owned());
    });
    let rows = rows.unwrap();
    assert_eq!(heard, ["site-0 alone", "site-1 alone", "site-2 alone", "FedAvg", "pooled"]);
    assert!(rows.iter().all(|r| r.metrics.samples == 120 && r.rounds == 2));
    assert!(rows[0].bytes_up == 0 && rows[3].bytes_up > 0, "nothing travels where there is one place");
}

#[test]
fn a_site_that_is_not_there_is_named_with_those_that_are() {
    let plan = plan("[simulation]\nclients = 3\n");
    let population = Population::new(&plan, &samples(30)).unwrap();
    let error = population.site(&"riverside".parse().unwrap()).unwrap_err();
    assert!(matches!(&error, FleetError::NoSite { .. }), "{error}");
    assert!(error.to_string().contains("site-0, site-1, site-2"), "{error}");
}

/// Runs a plan on the built-in digits and gives the metrics of the first and the last model.
fn measured(plan: &Arc<Plan>, threads: usize) -> (Digest, Metrics, Metrics) {
    let loaded = synod_client::data::load(plan, std::path::Path::new(".")).unwrap();
    let population = Population::new(plan, &loaded).unwrap();
    let trainer = Arc::new(Trainer::new(Arc::clone(plan), &DeviceChoice::Cpu).unwrap());
    let heard = Mutex::new(Vec::new());
    let sink = |event: &RunEvent| {
        if let RunEvent::Evaluated { metrics, .. } = event {
            heard.lock().unwrap().push(metrics.clone());
        }
    };
    let stop = AtomicBool::new(false);
    let fleet =
        Fleet { plan: Arc::clone(plan), trainer, population: &population, host: &NoHost, sink: &sink, stop: &stop };
    let ended = fleet.run(FleetOptions { threads }).unwrap();
    assert_eq!(ended.outcome, Outcome::Completed);
    let heard = heard.into_inner().unwrap();
    (ended.model.digest, heard.first().unwrap().clone(), heard.last().unwrap().clone())
}

fn digits(task: &str, train: &str) -> Arc<Plan> {
    let text = format!(
        "rounds = 6\n{task}[model.mlp]\nhidden = [16]\n[data]\nsource = \"digits\"\n[train]\nepochs = 10\n{train}\n\
         [train.optimiser.sgd]\nlr = 0.2\n[simulation]\nclients = 4\n[simulation.partition.dirichlet]\nalpha = 1.0\n"
    );
    Arc::new(Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn several_labels_are_learned_and_threads_change_no_bit() {
    let plan = digits("[task.multi_label]\nclasses = 5\n", "");
    let (model, before, after) = measured(&plan, 1);
    assert!(after.get("map") > before.get("map") && after.get("map") > Some(0.9), "{before:?} {after:?}");
    assert!(after.get("micro_f1") > Some(0.85) && after.get("ranking_loss") < Some(0.15), "{after:?}");
    assert_eq!(measured(&plan, 3).0, model);
}

#[test]
fn numbers_are_learned_by_every_loss_in_their_own_unit() {
    for loss in ["mse", "mae", "huber", "gaussian_nll"] {
        let task = "[task.regression]\nmean = [4.5]\nstd = [2.9]\n";
        let plan = digits(task, &format!("[train.loss.{loss}]\n"));
        let (_, before, after) = measured(&plan, 2);
        // The digits 0 to 9 deviate from their mean by 2.9.
        // Where the loss learns a deviation as well, the mean comes later.
        let (rmse, r2, rank) = if loss == "gaussian_nll" { (2.5, 0.3, 0.6) } else { (2.0, 0.5, 0.7) };
        assert!(before.get("rmse") > Some(2.5) && after.get("rmse") < Some(rmse), "{loss}: {before:?} {after:?}");
        assert!(after.get("r2") > Some(r2) && after.get("spearman") > Some(rank), "{loss}: {after:?}");
    }
}

#[test]
fn a_regression_is_split_by_the_size_of_its_targets() {
    let plan = digits("[task.regression]\n", "");
    let mut text = plan.to_toml();
    text = text.replace(
        "[simulation.partition.dirichlet]\nalpha = 1.0\nsamples_min = 10\nbalanced = true",
        "[simulation.partition.shards]\nclasses_per_site = 3",
    );
    let plan = Arc::new(Plan::read(&text, &Zoo).unwrap());
    let loaded = synod_client::data::load(&plan, std::path::Path::new(".")).unwrap();
    let population = Population::new(&plan, &loaded).unwrap();
    let values = population.dataset().targets().matrix().unwrap().values();
    for rows in population.rows() {
        let held: std::collections::BTreeSet<u32> = rows.iter().map(|row| values[*row as usize] as u32).collect();
        // A tenth of the samples by rank has at most two of ten digits, which are about as many each.
        assert!(held.len() <= 6, "{held:?}");
    }
}

#[test]
fn a_loss_for_another_task_is_refused_with_those_that_fit() {
    let text = digits("[task.multi_label]\nclasses = 5\n", "")
        .to_toml()
        .replace("[train.loss.binary_cross_entropy]", "[train.loss.mse]");
    let error = Plan::read(&text, &Zoo).unwrap_err();
    let problem = &error.problems[0];
    assert_eq!(problem.message, "the loss `mse` is not for the task `multi_label`");
    assert!(problem.help.as_ref().unwrap().contains("binary_cross_entropy"), "{problem:?}");
}
