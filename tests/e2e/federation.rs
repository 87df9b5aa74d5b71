//! Whole runs.

use std::path::Path;

use crate::rig::{Keys, Running, digits_plan, fails, path, unwrapped, value, works};

fn simulate(plan: &Path, out: &Path, threads: &str) -> String {
    let output = works(&["simulate", path(plan), "--out", path(out), "--threads", threads, "--quiet"]);
    value(&output, "model hash").to_owned()
}

/// One engine: simulated and networked runs of one plan end with the same bits, whatever the thread count and the order
/// in which sites come.
#[test]
fn a_networked_run_ends_with_the_hash_of_the_simulated_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let names = ["site-0", "site-1", "site-2", "site-3"];
    let keys = Keys::new(&root.join("keys"), &names);
    let plan = digits_plan(root, 4, "[round]\narrival.count.min = 4\n");
    let one = simulate(&plan, &root.join("one"), "1");
    let three = simulate(&plan, &root.join("three"), "3");
    assert_eq!(one, three, "the number of threads changes nothing");
    let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let clients: Vec<Running> = names.iter().rev().map(|n| Running::client(&address, &keys.of(n))).collect();
    for client in clients {
        let (code, lines, stderr) = client.end();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(lines.iter().any(|l| l.contains("the run is done")), "{lines:?}");
    }
    let (code, lines, stderr) = coordinator.end();
    assert_eq!(code, Some(0), "{stderr}");
    let finished = lines.iter().find(|l| l.contains("run_finished")).expect("a last event");
    assert!(finished.contains(&one), "the networked run ends with {one}:\n{finished}");
    for file in ["model.safetensors", "plan.toml", "plan.digest", "events.jsonl", "report.html"] {
        assert!(root.join("net").join(file).metadata().unwrap().len() > 0, "{file} is left");
    }
}

#[test]
fn a_client_that_vanishes_in_the_middle_is_named_and_the_run_goes_on_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0", "site-1"]);
    // Long local training, so that the kill comes in the middle; the quorum is one update.
    let extra =
        "[round]\narrival.count.min = 2\nupdates.count.min = 1\nupdates.time.max = \"20s\"\nupdates.grace = \"3s\"\n";
    let plan = digits_plan(root, 2, extra);
    let text = std::fs::read_to_string(&plan)
        .unwrap()
        .replace("epochs = 1", "epochs = 120")
        .replace("rounds = 3", "rounds = 2");
    std::fs::write(&plan, text).unwrap();
    let (mut coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let stays = Running::client(&address, &keys.of("site-0"));
    let leaves = Running::client(&address, &keys.of("site-1"));
    // A step that is heard of comes after the status of the round that it belongs to.
    coordinator.wait_for("\"progress\"");
    let net = root.join("net");
    let status = works(&["coordinator", "status", path(&net)]);
    assert!(status.contains("has round 1 of 2 open"), "{status}");
    assert!(status.contains("waits for updates of round 1") && status.contains(", until 20"), "{status}");
    leaves.signal("KILL");
    let (code, _, stderr) = stays.end();
    assert_eq!(code, Some(0), "{stderr}");
    let (code, lines, stderr) = coordinator.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(unwrapped(&stderr).contains("without everyone: site-1 left out of"), "the last line says so: {stderr}");
    let status = works(&["coordinator", "status", "--run", path(&net), "--json"]);
    assert!(status.contains("\"phase\":\"done\"") && status.contains("\"is_stale\":false"), "{status}");
    assert!(fails(&["coordinator", "status", path(root)], 2).contains("there is no status"));
    let committed: Vec<_> = lines.iter().filter(|l| l.contains("round_committed")).collect();
    assert!(committed.iter().any(|l| l.contains("\"left_out\":[{\"site\":\"site-1\"")), "{committed:?}");
}

#[test]
fn an_interrupted_coordinator_keeps_the_last_model_and_tells_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0", "site-1"]);
    let plan = digits_plan(root, 2, "");
    let text = std::fs::read_to_string(&plan).unwrap().replace("rounds = 3", "rounds = 100000");
    std::fs::write(&plan, text).unwrap();
    let (mut coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let clients = [Running::client(&address, &keys.of("site-0")), Running::client(&address, &keys.of("site-1"))];
    coordinator.wait_for("round_committed");
    coordinator.signal("INT");
    let (code, _, _) = coordinator.end();
    assert_eq!(code, Some(130));
    assert!(root.join("net/model.safetensors").exists());
    for client in clients {
        let (code, _, stderr) = client.end();
        assert_eq!(code, Some(5), "{stderr}");
        assert!(stderr.contains("interrupted"), "{stderr}");
    }
}

#[test]
fn a_client_can_be_interrupted_while_it_waits_and_while_it_trains() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0", "site-1"]);
    let plan = digits_plan(root, 2, "[round]\narrival.count.min = 2\nupdates.time.max = \"3s\"\n");
    let text = std::fs::read_to_string(&plan).unwrap().replace("epochs = 1", "epochs = 5000");
    std::fs::write(&plan, text).unwrap();
    let (mut coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let waits = Running::client(&address, &keys.of("site-0"));
    coordinator.wait_for("site_arrived");
    waits.signal("INT");
    assert_eq!(waits.end().0, Some(130));
    coordinator.wait_for("site_left");
    let trains = [Running::client(&address, &keys.of("site-0")), Running::client(&address, &keys.of("site-1"))];
    coordinator.wait_for("round_started");
    for client in trains {
        client.signal("TERM");
        assert_eq!(client.end().0, Some(130));
    }
    let (code, lines, _) = coordinator.end();
    assert_eq!(code, Some(5), "the run ends without its goal");
    assert!(lines.iter().any(|l| l.contains("run_finished") && l.contains("site-0")), "and names who is missing");
}

#[test]
fn an_interrupted_simulation_keeps_the_last_model() {
    let folder = tempfile::tempdir().unwrap();
    let plan = digits_plan(folder.path(), 2, "");
    let out = folder.path().join("run");
    let mut running = Running::start(&["simulate", path(&plan), "--rounds", "100000", "--out", path(&out), "--json"]);
    running.wait_for("round_committed");
    running.signal("INT");
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert!(out.join("model.safetensors").exists());
}

#[test]
fn the_demo_shows_the_comparison_and_leaves_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let output = works(&["demo", "--rounds", "2", "--quiet", "--out", path(&out)]);
    for expected in ["global model (FedLD)", "site-3 alone", "FedAvg", "pooled", "model hash"] {
        assert!(output.contains(expected), "{expected} is in\n{output}");
    }
    let hash = value(&output, "model hash");
    let again =
        works(&["simulate", path(&out.join("plan.toml")), "--quiet", "--out", path(&folder.path().join("sim"))]);
    assert_eq!(hash, value(&again, "model hash"), "the demo's plan gives the same hash when simulated");
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("<svg") && report.contains("pooled"));
    let message = fails(&["demo", "--out", path(&out)], 2);
    assert!(message.contains("is not empty"), "a run is not overwritten: {message}");
}

/// The other tasks are the same engine: one with several labels, one with numbers and a loss of two outputs each.
#[test]
fn networked_runs_of_the_other_tasks_end_with_the_hash_of_the_simulated_ones() {
    let tasks = [
        ("[task.multi_label]\nclasses = 5\n", "[train.loss.binary_cross_entropy]\n"),
        ("[task.regression]\nmean = [4.5]\nstd = [2.9]\n", "[train.loss.gaussian_nll]\n"),
    ];
    for (task, loss) in tasks {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let keys = Keys::new(&root.join("keys"), &["site-0", "site-1"]);
        let plan = digits_plan(root, 2, "[round]\narrival.count.min = 2\n");
        let text = std::fs::read_to_string(&plan).unwrap();
        let text = text.replace("[task.classification]\nclasses = 10\n", task);
        let text = text.replace("[train.margin_control]\nlambda = 0.03\n", loss);
        let text =
            text.replace("[simulation.partition.shards]\nclasses_per_site = 5\n", "[simulation.partition.iid]\n");
        std::fs::write(&plan, text).unwrap();
        let simulated = simulate(&plan, &root.join("simulated"), "2");
        let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
        let clients = ["site-0", "site-1"].map(|name| Running::client(&address, &keys.of(name)));
        for client in clients {
            let (code, _, stderr) = client.end();
            assert_eq!(code, Some(0), "{stderr}");
        }
        let (code, lines, stderr) = coordinator.end();
        assert_eq!(code, Some(0), "{stderr}");
        let finished = lines.iter().find(|l| l.contains("run_finished")).expect("a last event");
        assert!(finished.contains(&simulated), "{task}: the networked run ends with {simulated}:\n{finished}");
    }
}

/// Statistics that are added up come out the same over the network, and answer well though each site has few classes.
#[test]
fn closed_form_plans_give_the_simulated_hash_over_the_network() {
    for plan in ["naive-bayes.toml", "ridge.toml"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let names = ["site-0", "site-1", "site-2"];
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(plan)).unwrap();
        let text =
            text.replace("arrival.count.min = 10", "arrival.count.min = 3").replace("clients = 10", "clients = 3");
        let plan = root.join(plan);
        std::fs::write(&plan, text).unwrap();
        let simulated = simulate(&plan, &root.join("one"), "1");
        assert_eq!(simulate(&plan, &root.join("three"), "3"), simulated);
        let keys = Keys::new(&root.join("keys"), &names);
        let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
        let clients: Vec<Running> = names.iter().rev().map(|n| Running::client(&address, &keys.of(n))).collect();
        for client in clients {
            let (code, _, stderr) = client.end();
            assert_eq!(code, Some(0), "{stderr}");
        }
        let (code, lines, stderr) = coordinator.end();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(lines.iter().any(|l| l.contains("run_finished") && l.contains(&simulated)), "{lines:?}");
    }
}
