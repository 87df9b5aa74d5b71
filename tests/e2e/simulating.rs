//! Splits that are shown and written, and simulations on a virtual clock.

use std::path::{Path, PathBuf};

use crate::rig::{fails, path, unwrapped, value, works};

/// Six sites of the digits.
fn plan(folder: &Path, simulation: &str) -> PathBuf {
    let file = folder.join("plan.toml");
    let text = format!(
        "rounds = 2\nmodel = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n\
         [simulation]\nclients = 6\n{simulation}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn hash(plan: &Path, folder: &Path, name: &str) -> String {
    let out = folder.join(name);
    value(&works(&["--quiet", "simulate", path(plan), "--out", path(&out)]), "model hash").to_owned()
}

#[test]
fn a_split_that_was_written_and_is_read_gives_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = plan(folder.path(), "[simulation.partition.dirichlet]\nalpha = 0.3\n");
    let shown = works(&["partition", path(&drawn), "--show"]);
    assert!(shown.contains("site-5") && shown.contains("effective sites") && shown.contains('░'), "{shown}");
    let file = folder.path().join("owners.idx");
    let json = works(&["partition", path(&drawn), "--json", "--out", path(&file)]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sites"].as_array().unwrap().len(), 6);
    assert_eq!(json["measures"]["rows"], json["samples"]);
    let first = hash(&drawn, folder.path(), "drawn");
    let read = plan(folder.path(), "[simulation.partition.file]\npath = \"owners.idx\"\n");
    assert_eq!(hash(&read, folder.path(), "read"), first);
    // Of other samples the file says nothing.
    let text = std::fs::read_to_string(&read).unwrap().replace("[data]\n", "[data]\ntest_fraction = 0.5\n");
    std::fs::write(&read, text).unwrap();
    let text = unwrapped(&fails(&["partition", path(&read)], 6));
    assert!(text.contains("`synod partition`"), "{text}");
}

#[test]
fn a_vertical_split_is_shown_and_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), "[simulation.partition.vertical]\nshared = [0]\n");
    let shown = works(&["partition", path(&plan), "--show"]);
    assert!(shown.contains("site-5: 0 ") && shown.contains("nothing trains"), "{shown}");
    let text = unwrapped(&fails(&["simulate", path(&plan), "--out", path(&folder.path().join("run"))], 6));
    assert!(text.contains("no training for that here"), "{text}");
    assert!(unwrapped(&fails(&["partition", path(&plan), "--out", "x"], 2)).contains("--json"));
}

#[test]
fn a_run_on_a_virtual_clock_says_when_a_target_was_reached() {
    let folder = tempfile::tempdir().unwrap();
    // 192 samples to train on at each site: 16 minutes a round.
    let plan = plan(folder.path(), "[[simulation.profile]]\nsamples_per_second = 0.2\n");
    let out = folder.path().join("run");
    let shown = works(&["--quiet", "simulate", path(&plan), "--targets", "0.4,0.999", "--out", path(&out)]);
    assert!(value(&shown, "time to accuracy 0.4:").contains(" min "), "{shown}");
    assert_eq!(value(&shown, "time to accuracy 0.999:"), "not reached");
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("over the time of the run") && report.contains("Time to accuracy"));
    let again = folder.path().join("again");
    works(&["--quiet", "simulate", path(&plan), "--threads", "1", "--out", path(&again)]);
    let events = |run: &Path| std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert_eq!(events(&out), events(&again), "times are the clock's and not the machine's");
}
