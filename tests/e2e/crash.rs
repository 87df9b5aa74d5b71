//! The coordinator dies, and is started again by the same command.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use crate::rig::{Keys, Numbers, Running, digits_plan, fails, path, run, unwrapped, value, works};

const SITES: [&str; 4] = ["site-0", "site-1", "site-2", "site-3"];
/// Kills of one run, and its rounds: enough that it is not over before.
const KILLS: u32 = 50;
const ROUNDS: u32 = 24;

/// A coordinator's command, the same in each of its lives.
struct Coordinator {
    arguments: Vec<String>,
    address: String,
}

impl Coordinator {
    fn new(plan: &Path, identity: &Path, out: &Path, extra: &[&str]) -> Self {
        // A port that is free now, and the same for each life: clients know one address.
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let fixed = ["coordinator", "serve", path(plan), "--identity", path(identity), "--out", path(out), "--json"];
        let listen = ["--listen", &address];
        let arguments = fixed.iter().chain(&listen).chain(extra).map(|a| (*a).to_owned()).collect();
        Self { arguments, address }
    }

    fn start(&self) -> Running {
        Running::start(&self.arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn many_rounds(root: &Path, rounds: u32) -> std::path::PathBuf {
    let plan = digits_plan(root, 4, "[round]\narrival.count.min = 4\n");
    let text = std::fs::read_to_string(&plan).unwrap().replace("rounds = 3", &format!("rounds = {rounds}"));
    std::fs::write(&plan, text).unwrap();
    plan
}

#[test]
fn a_coordinator_killed_many_times_ends_with_the_hash_of_a_quiet_run() {
    many_deaths(KILLS, ROUNDS, 0);
}

#[test]
fn a_federation_whose_every_process_is_killed_at_any_moment_ends_with_the_hash_of_a_quiet_run() {
    many_deaths(15, 12, 2);
}

/// Killed at any moment, again and again: the run goes on in the same round, no update that was acknowledged is asked for again,
/// and the last model is that of a run that nothing happened to. With every coordinator die `clients_killed` clients.
fn many_deaths(kills_max: u32, rounds: u32, clients_killed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES);
    let plan = many_rounds(root, rounds);
    let quiet = works(&["simulate", path(&plan), "--out", path(&root.join("quiet")), "--quiet"]);
    let hash = value(&quiet, "model hash");
    let coordinator = Coordinator::new(&plan, &keys.of("coordinator"), &root.join("net"), &[]);
    let mut numbers = Numbers(7);
    let mut running = coordinator.start();
    running.wait_for("listening");
    let client = |site: usize| Running::client(&coordinator.address, &keys.of(SITES[site]));
    let mut clients: Vec<Running> = (0..SITES.len()).map(client).collect();
    let mut kills = 0;
    while kills < kills_max {
        // At some event, or some moment after it. What is waited for is chance itself.
        for _ in 0..1 + numbers.below(10) {
            running.wait_for("event");
        }
        std::thread::sleep(Duration::from_millis(numbers.below(15)));
        running.signal("KILL");
        let (_, lines, _) = running.end();
        kills += 1;
        for _ in 0..clients_killed {
            let site = numbers.below(4) as usize;
            clients[site].signal("KILL");
            clients[site] = client(site);
        }
        running = coordinator.start();
        if lines.iter().any(|line| line.contains("run_finished")) {
            break;
        }
    }
    let (code, lines, stderr) = running.end();
    assert_eq!(code, Some(0), "{stderr}");
    let finished = lines.iter().find(|line| line.contains("run_finished")).expect("a last event");
    assert!(finished.contains(hash), "after {kills} kills the run ends with {hash}:\n{finished}");
    assert!(kills >= kills_max / 2, "the run was long enough: {kills} kills");
    for client in clients {
        let (code, _, stderr) = client.end();
        assert_eq!(code, Some(0), "a client outlives every death: {stderr}");
    }
    let report = works(&["journal", "check", path(&root.join("net"))]);
    assert!(report.contains(hash) && report.contains(&format!("{rounds} committed")), "{report}");
    nobody_counted_twice(&root.join("net"), rounds);
}

/// From the journal itself: each site has one accepted update in each round.
fn nobody_counted_twice(run: &Path, rounds: u32) {
    let entries = works(&["journal", "export", path(run)]);
    let mut seen = std::collections::BTreeSet::new();
    for line in entries.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let accepted = &line["entry"]["update_accepted"];
        if let (Some(site), Some(round)) = (accepted["site"].as_str(), accepted["header"]["round"].as_u64()) {
            assert!(seen.insert((round, site.to_owned())), "{site} was asked again in round {round}");
        }
    }
    assert_eq!(seen.len(), rounds as usize * SITES.len());
}

#[test]
fn an_interrupted_run_goes_on_and_a_finished_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &SITES);
    let plan = many_rounds(root, 8);
    let quiet = works(&["simulate", path(&plan), "--out", path(&root.join("quiet")), "--quiet"]);
    let hash = value(&quiet, "model hash");
    let net = root.join("net");
    let coordinator = Coordinator::new(&plan, &keys.of("coordinator"), &net, &["--keep-models", "all"]);
    let mut running = coordinator.start();
    running.wait_for("listening");
    let clients: Vec<Running> = SITES.iter().map(|n| Running::client(&coordinator.address, &keys.of(n))).collect();
    running.wait_for("round_committed");
    running.signal("TERM");
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains("the same command goes on with it"), "{stderr}");
    drop(clients);
    let mut running = coordinator.start();
    running.wait_for("run_resumed");
    let clients: Vec<Running> = SITES.iter().map(|n| Running::client(&coordinator.address, &keys.of(n))).collect();
    let (code, lines, stderr) = running.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(lines.last().is_some_and(|last| last.contains(hash)), "{lines:?}");
    drop(clients);
    let (code, lines, stderr) = coordinator.start().end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("there is nothing to do") && lines.last().is_some_and(|last| last.contains(hash)));
    // Every model was kept and can be taken out.
    let file = root.join("three.safetensors");
    works(&["journal", "export", path(&net), "--model", path(&file), "--round", "3"]);
    assert!(file.metadata().unwrap().len() > 0);
    let compacted = works(&["journal", "compact", path(&net), "--keep-models", "1"]);
    assert!(compacted.contains("removed     7 values"), "{compacted}");
    let report = works(&["journal", "check", path(&net)]);
    assert!(report.contains("models      of rounds 8\n"), "{report}");
}

#[test]
fn other_plans_other_folders_and_damage_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0"]);
    let plan = digits_plan(root, 4, "");
    let net = root.join("net");
    let coordinator = Coordinator::new(&plan, &keys.of("coordinator"), &net, &[]);
    let mut running = coordinator.start();
    running.wait_for("listening");
    // Two coordinators on one folder.
    let other = Coordinator::new(&plan, &keys.of("coordinator"), &net, &[]);
    let (code, _, stderr) = other.start().end();
    assert_eq!(code, Some(2));
    assert!(unwrapped(&stderr).contains("is in use by process"), "{stderr}");
    let message = unwrapped(&fails(&["journal", "check", path(&net)], 2));
    assert!(message.contains("is in use by process"), "{message}");
    running.signal("KILL");
    running.end();
    // Another plan.
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("seed = 3", "seed = 4")).unwrap();
    let (code, _, stderr) = coordinator.start().end();
    assert_eq!(code, Some(2));
    assert!(unwrapped(&stderr).contains("has a run of plan"), "{stderr}");
    std::fs::write(&plan, text).unwrap();
    // A damaged page.
    let tables = net.join("journal/entries.redb");
    let mut bytes = std::fs::read(&tables).unwrap();
    let damaged = bytes.iter().position(|b| *b == b'{').expect("an entry's text");
    bytes[damaged] ^= 1;
    std::fs::write(&tables, &bytes).unwrap();
    let (code, _, stderr) = coordinator.start().end();
    assert_eq!(code, Some(6), "{stderr}");
    assert!(unwrapped(&stderr).contains("the journal is damaged"), "{stderr}");
    assert_eq!(std::fs::read(&tables).unwrap(), bytes, "what is left may be of use to somebody");
    let message = unwrapped(&fails(&["journal", "check", path(root)], 2));
    assert!(message.contains("there is no journal in"), "{message}");
    assert_eq!(run(&["journal", "export", path(&net)]).status.code(), Some(6));
}
