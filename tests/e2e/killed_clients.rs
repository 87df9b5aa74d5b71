//! Clients that die in the middle and are started again with the same command: the final hash is that of the quiet run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::rig::{Keys, Numbers, Running, appears, digits_plan, path, value, works};

const SITES: [&str; 4] = ["site-0", "site-1", "site-2", "site-3"];

/// A plan with long local training for `sites` sites, and the hash of its quiet run.
fn quiet(root: &Path, sites: u32, train: &str, epochs: u32) -> (PathBuf, String) {
    let plan = digits_plan(root, sites, &format!("[round]\narrival.count.min = {sites}\n{train}"));
    let text = std::fs::read_to_string(&plan).unwrap().replace("epochs = 1", &format!("epochs = {epochs}"));
    std::fs::write(&plan, text).unwrap();
    let simulated = works(&["simulate", path(&plan), "--out", path(&root.join("sim")), "--quiet"]);
    let hash = value(&simulated, "model hash").to_owned();
    (plan, hash)
}

/// All end well, and the run ends with `hash`; what each client said.
fn all_end_with(hash: &str, coordinator: Running, clients: Vec<Running>) -> Vec<String> {
    let ends: Vec<_> = clients.into_iter().map(Running::end).collect();
    let said = ends.into_iter().map(|(code, _, stderr)| {
        assert_eq!(code, Some(0), "{stderr}");
        stderr
    });
    let said = said.collect();
    let (code, lines, stderr) = coordinator.end();
    assert_eq!(code, Some(0), "{stderr}");
    let finished = lines.iter().find(|line| line.contains("run_finished")).expect("a last event");
    assert!(finished.contains(hash), "the run ends with {hash}:\n{finished}");
    said
}

/// Two sites a round die in their training, each at a report of its own between the first and the twelfth of twenty. A site
/// that is through before is spared.
#[test]
fn four_clients_killed_at_random_moments_leave_no_trace_in_the_final_hash() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES);
    let algorithms = "[train.algorithm]\nscaffold = {}\nmoon = { mu = 0.5 }\n[train.optimiser.sgd]\nlr = 0.05\n";
    let (plan, hash) = quiet(root, 4, algorithms, 120);
    let (mut coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let start = |site: &str| Running::client_with(&address, &keys.of(site), &["--keep-every", "20ms"]);
    let mut clients: Vec<Running> = SITES.map(start).into();
    let mut numbers = Numbers(2026);
    let (mut doomed, mut killed) = (BTreeMap::new(), 0);
    loop {
        let line = coordinator.wait_for("\"event\"");
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let number = |key: &str| event[key].as_u64().unwrap();
        match event["event"].as_str().unwrap() {
            "round_started" => doomed = (0..2).map(|_| (numbers.below(4) as usize, 1 + numbers.below(12))).collect(),
            "progress" => {
                let site = SITES.iter().position(|name| event["site"] == *name).unwrap();
                let reports = 20 * number("step") / number("steps");
                if doomed.get(&site).is_some_and(|report| (*report..=12).contains(&reports)) {
                    clients[site].signal("KILL");
                    clients[site] = start(SITES[site]);
                    doomed.remove(&site);
                    killed += 1;
                }
            }
            "round_committed" if number("round") == 3 => break,
            _ => {}
        }
    }
    assert!(killed >= 3, "{killed} kills");
    all_end_with(&hash, coordinator, clients);
}

#[test]
fn a_client_killed_in_a_long_training_goes_on_from_what_it_kept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES[..2]);
    let (plan, hash) = quiet(root, 2, "[train.optimiser.adam]\nlr = 0.002\n", 100);
    let (mut coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let start = |site: &str| Running::client_with(&address, &keys.of(site), &["--keep-every", "10ms"]);
    let (stays, dies) = (start(SITES[0]), start(SITES[1]));
    coordinator.wait_for("\"site\":\"site-1\",\"step\"");
    appears(&keys.of(SITES[1]).join("state"), "begun.progress");
    dies.signal("KILL");
    drop(dies);
    let said = all_end_with(&hash, coordinator, vec![stays, start(SITES[1])]);
    assert!(said[1].contains("training goes on from epoch"), "{}", said[1]);
}

#[test]
fn a_client_killed_with_a_finished_update_answers_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES[..2]);
    let (plan, hash) = quiet(root, 2, "", 150);
    let (mut coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let (stays, dies) = (SITES[0], SITES[1]);
    let stays = Running::client(&address, &keys.of(stays));
    let first = Running::client(&address, &keys.of(dies));
    coordinator.wait_for("\"site\":\"site-1\",\"step\"");
    // A coordinator that stands still takes no update.
    coordinator.signal("STOP");
    appears(&keys.of(dies).join("state"), "finished.update");
    first.signal("KILL");
    drop(first);
    coordinator.signal("CONT");
    let said = all_end_with(&hash, coordinator, vec![stays, Running::client(&address, &keys.of(dies))]);
    assert!(said[1].contains("the update is finished already"), "{}", said[1]);
    let left = std::fs::read_dir(keys.of(dies).join("state")).into_iter().flatten().flatten();
    for plan in left {
        assert!(!plan.path().join("finished.update").exists(), "nothing is left of a run that is done");
    }
}
