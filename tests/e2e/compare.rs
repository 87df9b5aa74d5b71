//! Comparisons of losses, strategies and seeds.

use std::path::Path;

use crate::rig::{digits_plan, fails, path, run, unwrapped, works};

/// The digits without margin control, so that losses differ in nothing else.
fn plan(root: &Path) -> std::path::PathBuf {
    let plan = digits_plan(root, 2, "");
    let text = std::fs::read_to_string(&plan).unwrap().replace("[train.margin_control]\nlambda = 0.03\n", "");
    std::fs::write(&plan, text).unwrap();
    plan
}

fn compare(plan: &Path, out: &Path, seeds: &str) -> serde_json::Value {
    let losses = "cross_entropy,focal{gamma=1.5}";
    let output =
        works(&["compare", path(plan), "--losses", losses, "--seeds", seeds, "--out", path(out), "--json", "--quiet"]);
    serde_json::from_str(&output).unwrap()
}

#[test]
fn a_comparison_pairs_seeds_and_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (plan(folder.path()), folder.path().join("study"));
    let first = compare(&plan, &out, "1");
    assert_eq!(first["cells"].as_array().unwrap().len(), 2);
    assert!(first["rows"][1]["difference"]["p"].is_null(), "one seed has no test");

    let more = compare(&plan, &out, "2");
    let cells = more["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    // What was there is taken as it was, to the measured seconds.
    assert_eq!(cells[..2], first["cells"].as_array().unwrap()[..]);
    let value = |cell: usize| cells[cell]["result"]["finished"]["central"]["3"]["values"]["accuracy"].as_f64().unwrap();
    let expected = ((value(1) - value(0)) + (value(3) - value(2))) / 2.0;
    let found = more["rows"][1]["difference"]["mean"].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    assert_eq!(more["rows"][1]["variant"]["loss"], "focal{gamma=1.5}");

    let lines = std::fs::read_to_string(out.join("cells.csv")).unwrap().lines().count();
    assert_eq!(lines, 5);
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("Accuracy per round"));
}

#[test]
fn wrong_losses_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (plan(folder.path()), folder.path().join("study"));
    for (losses, expected) in [
        ("cross_entropy,fokal", "no loss is called `fokal`"),
        ("cross_entropy,mse", "is not for the task `classification`"),
        ("focal{gama=1}", "it knows gamma, alpha"),
        ("focal{gamma=", "cannot read"),
    ] {
        let text = fails(&["compare", path(&plan), "--losses", losses, "--out", path(&out)], 2);
        let text = unwrapped(&text);
        assert!(text.contains(expected), "{losses}: {text}");
        assert!(!out.exists());
    }
}

#[test]
fn a_cell_that_fails_is_shown_with_its_reason_and_the_others_count() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (plan(folder.path()), folder.path().join("study"));
    // A step of this length diverges with cross-entropy; class weights of 0 for all but one class do not.
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("[train]\n", "[train]\noptimiser = { sgd = { lr = 1000.0 } }\n")).unwrap();
    let quiet = "cross_entropy{class_weights=[1e-9,0,0,0,0,0,0,0,0,0]}";
    let losses = format!("cross_entropy,{quiet}");
    let args = ["compare", path(&plan), "--losses", &losses, "--seeds", "1", "--out", path(&out)];
    let output = run(&args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("0 (1 failed)") && text.contains("failed: cross_entropy"), "{text}");
}
