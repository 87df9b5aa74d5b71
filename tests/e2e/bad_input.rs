//! Bad input ends with one clear error, a documented exit code, and nothing damaged.

use crate::rig::{Keys, Running, digits_plan, fails, path, unwrapped, works};

#[test]
fn an_unknown_plan_key_is_shown_with_line_and_caret() {
    let folder = tempfile::tempdir().unwrap();
    let plan = digits_plan(folder.path(), 2, "[round]\ncohrt = 2\n[screening]\nnorm_max = -1.0\n");
    let text = unwrapped(&fails(&["plan", "check", path(&plan)], 2));
    for expected in ["2 problems", "unknown key `cohrt`", "did you mean `cohort`?", "plan.toml:", "`norm_max` is -1"] {
        assert!(text.contains(expected), "{expected:?} is in\n{text}");
    }
}

#[test]
fn a_loss_that_does_not_exist_is_refused_with_those_that_do() {
    let folder = tempfile::tempdir().unwrap();
    let plan = digits_plan(folder.path(), 2, "");
    let text = std::fs::read_to_string(&plan).unwrap().replace("[train]\n", "[train]\nloss = \"cross_entropi\"\n");
    std::fs::write(&plan, text).unwrap();
    let text = unwrapped(&fails(&["plan", "check", path(&plan)], 2));
    assert!(text.contains("cross_entropi") && text.contains("cross_entropy") && text.contains("focal"), "{text}");
}

/// A plan over one CSV file with the columns a, b and y.
fn csv_plan(folder: &std::path::Path, csv: &str, classes: u32) -> std::path::PathBuf {
    std::fs::write(folder.join("site.csv"), csv).unwrap();
    let plan = folder.join("csv.toml");
    let text = format!(
        "rounds = 1\nmodel = \"logistic\"\n[task.classification]\nclasses = {classes}\n[data]\ntest_fraction = 0.0\n\
         [data.source.csv]\nfiles = [\"site.csv\"]\nlabel = \"y\"\nnumeric = [\"a\", \"b\"]\n[simulation]\nclients = 2\n"
    );
    std::fs::write(&plan, text).unwrap();
    plan
}

#[test]
fn bad_tables_are_refused_with_file_and_line() {
    for (csv, classes, expected) in [
        ("a,b,y\n1,2,0\n1,2\n3,4,1\n", 2, "line 3"),
        ("a,c,y\n1,2,0\n", 2, "column"),
        ("a,b,y\n1,NaN,0\n1,2,1\n", 2, "line 2"),
        ("a,b,y\n1,2,0\n1,2,7\n", 2, "line 3"),
        ("a,b,y\n", 2, "site.csv"),
        ("a,b,y\n1,2,0\n", 2, "2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let plan = csv_plan(folder.path(), csv, classes);
        let out = folder.path().join("run");
        let text = unwrapped(&fails(&["simulate", path(&plan), "--out", path(&out)], 6));
        assert!(text.contains(expected), "{expected:?} is in\n{text}");
        assert!(!out.exists(), "nothing is left behind");
    }
}

#[test]
fn missing_files_and_folders_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let plan = csv_plan(folder.path(), "", 2);
    std::fs::remove_file(folder.path().join("site.csv")).unwrap();
    let text = unwrapped(&fails(&["simulate", path(&plan), "--out", path(&folder.path().join("run"))], 6));
    assert!(text.contains("site.csv") && text.contains("--data"), "{text}");
    let text = unwrapped(&fails(&["simulate", "nowhere.toml"], 2));
    assert!(text.contains("synod plan new"), "{text}");
    fails(&["plan", "new", path(&plan)], 2);
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new(&folder.path().join("keys"), &[]);
    let plan = digits_plan(folder.path(), 2, "");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let identity = keys.of("coordinator");
    let out = folder.path().join("run");
    let args =
        ["coordinator", "serve", path(&plan), "--identity", path(&identity), "--listen", &address, "--out", path(&out)];
    let text = unwrapped(&fails(&args, 2));
    assert!(text.contains("another program uses this UDP port") && text.contains("--listen"), "{text}");
}

#[test]
fn identities_that_are_missing_foreign_expired_or_of_another_role_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0"]);
    let foreign = Keys::new(&root.join("foreign"), &["site-0"]);
    let plan = digits_plan(root, 2, "");
    let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));

    let missing = root.join("nothing");
    let text = unwrapped(&fails(&["client", "run", "--coordinator", &address, "--identity", path(&missing)], 4));
    assert!(text.contains("synod certs"), "{text}");

    let identity = foreign.of("site-0");
    let args = ["client", "run", "--coordinator", &address, "--identity", path(&identity), "--rehearse"];
    let text = unwrapped(&fails(&args, 4));
    assert!(text.contains("authority"), "{text}");

    let identity = keys.of("coordinator");
    let args = ["client", "run", "--coordinator", &address, "--identity", path(&identity), "--rehearse"];
    let text = unwrapped(&fails(&args, 4));
    assert!(text.contains("coordinator"), "{text}");

    coordinator.signal("INT");
    assert_eq!(coordinator.end().0, Some(130));
    // A site that is not in the plan's simulation has no samples to rehearse with.
    let identity = keys.of("site-0");
    let args = ["coordinator", "serve", path(&plan), "--identity", path(&identity)];
    let text = unwrapped(&fails(&args, 2));
    assert!(text.contains("coordinator"), "{text}");
}

#[test]
fn a_coordinator_that_is_not_there_is_given_up_after_the_patience() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new(&folder.path().join("keys"), &["site-0"]);
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let identity = keys.of("site-0");
    let args =
        ["client", "run", "--coordinator", &free, "--identity", path(&identity), "--rehearse", "--patience", "300ms"];
    let text = unwrapped(&fails(&args, 3));
    assert!(text.contains("cannot reach the coordinator"), "{text}");
}

#[test]
fn a_site_without_samples_declines_and_the_run_says_who() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-9"]);
    let plan = digits_plan(root, 2, "[round]\narrival.time.max = \"2s\"\n");
    let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let (code, _, stderr) = Running::client(&address, &keys.of("site-9")).end();
    assert_eq!(code, Some(6), "{stderr}");
    assert!(unwrapped(&stderr).contains("there is no site site-9"), "{stderr}");
    let (code, lines, _) = coordinator.end();
    assert_eq!(code, Some(5));
    assert!(lines.iter().any(|l| l.contains("update_refused") && l.contains("site-9")), "{lines:?}");
}

#[test]
fn wrong_usage_ends_with_code_2_and_help_with_0() {
    fails(&["simulat"], 2);
    fails(&["simulate", "x.toml", "--device", "tpu"], 2);
    assert!(works(&["--help"]).contains("Exit codes"));
    for command in [
        &["simulate", "--help"][..],
        &["coordinator", "serve", "--help"],
        &["client", "run", "--help"],
        &["certs", "site", "--help"],
    ] {
        assert!(works(command).contains("Examples:"), "{command:?} has examples");
    }
}
