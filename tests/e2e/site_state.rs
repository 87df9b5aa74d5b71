//! What sites keep between rounds: over the network as in the simulator, and through the death of a client.

use std::path::{Path, PathBuf};

use crate::rig::{Keys, Running, digits_plan, path, value, works};

const SITES: [&str; 2] = ["site-0", "site-1"];

/// Long local training, so that a kill comes in the middle.
fn stateful_plan(root: &Path) -> PathBuf {
    let plan =
        digits_plan(root, 2, "[round]\narrival.count.min = 2\n[train.algorithm]\nscaffold = {}\nmoon = { mu = 0.5 }\n");
    let text = std::fs::read_to_string(&plan).unwrap().replace("epochs = 1", "epochs = 30");
    std::fs::write(&plan, text).unwrap();
    plan
}

/// Runs the plan with two clients, of which `site-1` is killed in round 2 and started again after `meanwhile`. The
/// coordinator's last event and what the second life of `site-1` said.
fn with_a_kill(root: &Path, plan: &Path, keys: &Keys, meanwhile: impl FnOnce(&Path)) -> (String, String) {
    let (mut coordinator, address) = Running::coordinator(plan, &keys.of("coordinator"), &root.join("net"));
    let stays = Running::client(&address, &keys.of(SITES[0]));
    let dies = Running::client(&address, &keys.of(SITES[1]));
    coordinator.wait_for("round_committed");
    coordinator.wait_for("round_started");
    dies.signal("KILL");
    drop(dies);
    meanwhile(&keys.of(SITES[1]).join("state"));
    let again = Running::client(&address, &keys.of(SITES[1]));
    assert_eq!(stays.end().0, Some(0));
    let (code, _, said) = again.end();
    assert_eq!(code, Some(0), "{said}");
    let (code, lines, stderr) = coordinator.end();
    assert_eq!(code, Some(0), "{stderr}");
    (lines.into_iter().find(|l| l.contains("run_finished")).expect("a last event"), said)
}

#[test]
fn a_client_that_was_killed_goes_on_from_what_it_kept_to_the_hash_of_the_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES);
    let plan = stateful_plan(root);
    let simulated = works(&["simulate", path(&plan), "--out", path(&root.join("sim")), "--quiet"]);
    let hash = value(&simulated, "model hash");
    let (finished, said) = with_a_kill(root, &plan, &keys, |state| {
        assert_eq!(std::fs::read_dir(state).unwrap().count(), 1, "one folder for the plan");
    });
    assert!(finished.contains(hash), "the networked run ends with {hash}:\n{finished}");
    assert!(!said.contains("lost"), "{said}");
    let digest = std::fs::read_to_string(root.join("net/plan.digest")).unwrap();
    for site in SITES {
        let kept = keys.of(site).join("state").join(digest.trim()).join("round-000003.state");
        // Two vectors of the model's 1210 values.
        assert!(kept.metadata().unwrap().len() > 2 * 4 * 1210, "{}", kept.display());
    }
}

#[test]
fn a_client_that_lost_what_it_kept_says_so_and_goes_on_as_in_its_first_round() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES);
    let plan = stateful_plan(root);
    let (finished, said) = with_a_kill(root, &plan, &keys, |state| std::fs::remove_dir_all(state).unwrap());
    assert!(finished.contains("completed"), "{finished}");
    assert!(said.contains("what this site kept is lost") && said.contains("round-000001.state"), "{said}");
}
