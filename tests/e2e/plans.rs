//! Example plans, listings, and real data where it is there.

use std::path::{Path, PathBuf};

use crate::rig::{path, synod, value, works};

fn plans() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut all = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "toml") {
                all.push(entry);
            }
        }
    }
    all
}

#[test]
fn every_example_plan_is_a_good_plan_and_resolves_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let all = plans();
    assert!(all.len() >= 4, "the plans are found: {all:?}");
    for plan in all {
        let digest = value(&works(&["plan", "check", path(&plan)]), "digest").to_owned();
        let shown = works(&["plan", "show", path(&plan)]);
        let resolved = folder.path().join("resolved.toml");
        std::fs::write(&resolved, shown).unwrap();
        assert_eq!(value(&works(&["plan", "check", path(&resolved)]), "digest"), digest, "{}", plan.display());
    }
}

#[test]
fn every_template_is_written_and_checks() {
    let folder = tempfile::tempdir().unwrap();
    for template in ["digits", "idx", "csv", "npz"] {
        let file = folder.path().join(format!("{template}.toml"));
        works(&["plan", "new", path(&file), "--template", template]);
        works(&["plan", "check", path(&file)]);
    }
}

#[test]
fn losses_and_strategies_are_listed_shown_and_evaluated() {
    for name in ["cross_entropy", "focal", "margin_control"] {
        assert!(works(&["losses", "list"]).contains(name));
        assert!(works(&["losses", "show", name]).contains("Formula"));
    }
    let strategies: serde_json::Value = serde_json::from_str(&works(&["strategies", "list", "--json"])).unwrap();
    for strategy in strategies["strategies"].as_array().unwrap() {
        let (name, source) = (strategy["name"].as_str().unwrap(), strategy["source"].as_str().unwrap());
        assert!(works(&["strategies", "list"]).contains(name));
        assert!(works(&["strategies", "show", name]).contains(source));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/losses/tests/golden/17-fedld.json");
    let output = works(&["losses", "eval", path(&golden)]);
    assert!(output.contains("5 passed, 0 failed"), "{output}");
    let output = works(&["strategies", "eval", path(&golden)]);
    assert!(output.contains("8 passed, 0 failed, 5 skipped"), "{output}");
    // One number that is off is a miss, told by line and exit code.
    let folder = tempfile::tempdir().unwrap();
    let off = folder.path().join("off.json");
    std::fs::write(&off, std::fs::read_to_string(&golden).unwrap().replace("\"keep\": 0.8", "\"keep\": 0.3")).unwrap();
    let missed = synod(&["strategies", "eval", path(&off)]).output().unwrap();
    assert_eq!(missed.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&missed.stdout).contains("FAILED   principal-gradient-aggregation / own-5x"));
}

/// The folder with real data, or `None` with a word about it.
fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SYNOD_DATA").map(PathBuf::from);
    if folder.is_none() {
        // The harness shows this with --nocapture; a skip must not look like a pass.
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{test} SKIPS: SYNOD_DATA does not name the folder of real data");
    }
    folder
}

fn accuracy(plan: &str, data: &Path, extra: &[&str]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let (out, plan) = (folder.path().join("run"), Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(plan));
    let mut command = synod(&["simulate", path(&plan), "--data", path(data), "--out", path(&out), "--json", "--quiet"]);
    let output = command.args(extra).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["comparison"][0]["metrics"]["values"]["accuracy"].as_f64().unwrap()
}

#[test]
fn four_hospitals_with_their_natural_sites_learn_from_the_raw_files() {
    let Some(data) = data("four_hospitals") else { return };
    let found = accuracy("heart-disease.toml", &data, &[]);
    assert!(found > 0.7, "accuracy {found}");
}

#[test]
fn flambys_rows_with_their_hospitals_and_split_are_learned() {
    let Some(data) = data("flambys_rows") else { return };
    let found = accuracy("heart-disease-flamby.toml", &data, &[]);
    assert!(found > 0.7, "accuracy {found}");
}

#[test]
fn fashion_mnist_trains_over_a_hundred_sites() {
    let Some(data) = data("fashion_mnist") else { return };
    let found = accuracy("fashion-mnist.toml", &data, &["--rounds", "1"]);
    assert!(found > 0.1, "accuracy {found} after one round");
}
