//! From an empty folder to a run, and what is refused on the way.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use synod_certs::tls::{Pin, fixed_clock};
use synod_client::enrol::{Check, Invited, JoinError, join, preflight};

use crate::rig::{Running, digits_plan, fails, path, run, unwrapped, value, works};

struct Home {
    root: PathBuf,
    /// Where the coordinator of this test listens: chosen once, because invitations name it.
    address: String,
}

impl Home {
    /// A coordinator whose certificates live for `life`.
    fn new(root: &Path, life: &str) -> Self {
        // A port that was free a moment ago; the coordinator opens it again.
        let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let home = Self { root: root.to_owned(), address };
        let (folder, key) = (home.folder(), home.key());
        let printed = works(&[
            "coordinator",
            "init",
            "--name",
            "study-a",
            "--home",
            path(&folder),
            "--key-file",
            path(&key),
            "--address",
            &home.address,
            "--life",
            life,
            "--grace",
            "1h",
        ]);
        assert!(printed.contains("next: synod coordinator invite"), "{printed}");
        home
    }

    fn folder(&self) -> PathBuf {
        self.root.join("hub")
    }

    fn key(&self) -> PathBuf {
        self.root.join("unlock.key")
    }

    fn client(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn command(&self, args: &[&str]) -> String {
        works(&[&["coordinator"], args, &["--home", path(&self.folder())]].concat())
    }

    /// The one line, as a person would paste it.
    fn invite(&self, name: &str) -> Vec<String> {
        let line = self.command(&["invite", name]);
        assert_eq!(line.lines().count(), 1, "exactly one line to paste: {line}");
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    }

    fn join(&self, line: &[String], name: &str) -> String {
        let home = self.client(name);
        let mut args: Vec<&str> = line.iter().map(String::as_str).collect();
        args.extend(["--home", path(&home)]);
        works(&args)
    }

    fn join_fails(&self, line: &[String], name: &str, extra: &[&str], code: i32) -> String {
        let home = self.client(name);
        let mut args: Vec<&str> = line.iter().map(String::as_str).collect();
        args.extend(["--home", path(&home)]);
        args.extend(extra);
        unwrapped(&fails(&args, code))
    }

    fn serve(&self, plan: &Path, out: &str) -> Running {
        let (folder, key, out) = (self.folder(), self.key(), self.root.join(out));
        let mut running = Running::start(&[
            "coordinator",
            "serve",
            path(plan),
            "--home",
            path(&folder),
            "--key-file",
            path(&key),
            "--listen",
            &self.address,
            "--out",
            path(&out),
            "--json",
        ]);
        running.wait_for("listening");
        running
    }

    fn run(&self, name: &str) -> Running {
        let home = self.client(name);
        Running::start(&["client", "run", "--home", path(&home), "--rehearse", "--patience", "20s"])
    }

    fn member(&self, name: &str) -> serde_json::Value {
        let list: serde_json::Value = serde_json::from_str(&self.command(&["sites", "--json"])).unwrap();
        let members = list["members"].as_array().unwrap();
        members.iter().find(|member| member["name"] == name).cloned().unwrap_or_default()
    }
}

fn long_plan(root: &Path, sites_min: u32, rounds: u32) -> PathBuf {
    let extra = format!(
        "[round]\narrival.count.min = {sites_min}\nupdates.count.min = 1\nupdates.time.max = \"20s\"\nupdates.grace = \"15s\"\n"
    );
    let plan = digits_plan(root, 2, &extra);
    let text = std::fs::read_to_string(&plan).unwrap().replace("rounds = 3", &format!("rounds = {rounds}"));
    std::fs::write(&plan, text).unwrap();
    plan
}

/// The golden path: init, invite, join, run, renewal in the middle of the run, and the end of one site's membership.
#[test]
fn sites_join_with_one_line_renew_during_the_run_and_one_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path(), "6s");
    let plan = long_plan(folder.path(), 2, 100_000);
    let mut coordinator = home.serve(&plan, "net");
    for name in ["site-0", "site-1"] {
        let line = home.invite(name);
        let printed = home.join(&line, name);
        assert!(printed.contains(&format!("joined as site {name}")), "{printed}");
        assert!(printed.contains("next: synod client run"), "{printed}");
        let refused = home.join_fails(&line, &format!("{name}-thief"), &[], 4);
        assert!(refused.contains("used already"), "{refused}");
        assert_eq!(home.member(name)["refused"], 1);
    }
    let before = std::fs::read(home.client("site-0").join("identity/certificate.pem")).unwrap();
    let (stays, goes) = (home.run("site-0"), home.run("site-1"));
    coordinator.wait_for("round_committed");
    // Who asks for the second renewal has written what came of the first one.
    let mut renewals = 0;
    while renewals < 2 {
        renewals += usize::from(coordinator.wait_for("\"renewed\"").contains("site-0"));
    }
    let after = std::fs::read(home.client("site-0").join("identity/certificate.pem")).unwrap();
    assert!(before != after, "the certificate was renewed while the run goes on");

    home.command(&["revoke", "site-1"]);
    let (code, _, stderr) = goes.end();
    assert_eq!(code, Some(4), "{stderr}");
    assert!(unwrapped(&stderr).contains("revoked by the operator"), "{stderr}");
    let named = coordinator.wait_for("\"reason\":\"revoked by the operator\"");
    assert!(named.contains("site-1"), "{named}");
    let refused = home.run("site-1").end();
    assert_eq!(refused.0, Some(4), "{}", refused.2);
    assert_eq!(home.member("site-1")["state"], "revoked");
    assert_eq!(home.member("site-0")["state"], "active");
    assert!(home.member("site-0")["rounds"].as_u64().unwrap() > 0);
    coordinator.wait_for("round_committed");
    coordinator.signal("INT");
    assert_eq!(coordinator.end().0, Some(130));
    drop(stays);
    // The registry outlives the coordinator, and commands work on the folder when none runs.
    assert_eq!(home.member("site-1")["state"], "revoked");
}

#[test]
fn what_does_not_fit_is_refused_before_the_invitation_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path(), "7d");
    let plan = long_plan(folder.path(), 1, 3);
    let _coordinator = home.serve(&plan, "net");
    let line = home.invite("site-0");
    let drawn = home.command(&["invite", "site-5", "--qr"]);
    assert!(drawn.lines().count() > 15 && drawn.contains('█'), "{drawn}");

    let mut wrong_pin = line.clone();
    *wrong_pin.last_mut().unwrap() = format!("sha256:{}", "ab".repeat(32));
    let refused = home.join_fails(&wrong_pin, "x", &[], 4);
    assert!(refused.contains("another authority"), "{refused}");
    let refused = home.join_fails(&line, "x", &["--name", "site-7"], 4);
    assert!(refused.contains("another name"), "{refused}");
    let mut unknown = line.clone();
    unknown[4] = "a".repeat(32);
    let refused = home.join_fails(&unknown, "x", &[], 4);
    assert!(refused.contains("not known here"), "{refused}");
    let mut torn = line.clone();
    torn[4].pop();
    assert!(!home.join_fails(&torn, "x", &[], 2).contains(&torn[4]), "a token is not repeated");
    let elsewhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut silent = line.clone();
    silent[2] = format!("quic://{}", elsewhere.local_addr().unwrap());
    let refused = home.join_fails(&silent, "x", &[], 3);
    assert!(refused.contains("no answer"), "{refused}");

    home.join(&line, "site-0");
    let refused = home.join_fails(&line, "site-0", &[], 4);
    assert!(refused.contains("holds a membership already"), "{refused}");
    assert_eq!(home.run("site-0").end().0, Some(0));
}

/// A certificate of next year looks like a wrong coordinator unless somebody asks what time it is.
#[test]
#[expect(clippy::disallowed_methods, reason = "certificates are judged by the wall clock")]
fn a_clock_that_is_a_year_off_is_named_and_joins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path(), "7d");
    let _coordinator = home.serve(&long_plan(folder.path(), 1, 3), "net");
    let line = home.invite("site-0");
    let invited = Invited {
        address: home.address.clone(),
        token: line[4].parse().unwrap(),
        pin: Pin::Key(line[6].parse().unwrap()),
        name: None,
        folder: home.client("late"),
        release: "test".to_owned(),
        wait_max: Duration::ZERO,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (now, year) = (SystemTime::now(), Duration::from_secs(365 * 86_400));
    for (clock, direction) in [(now + year, "ahead of"), (now - year, "behind")] {
        let clock = fixed_clock(clock);
        let error = runtime.block_on(preflight(&invited, &clock, &|_| {})).unwrap_err();
        assert!(matches!(error, JoinError::Check { check: Check::Clock, .. }), "{error}");
        assert!(error.to_string().contains(direction), "{error}");
        let error = runtime.block_on(join(&invited, &clock, &|_| {})).unwrap_err();
        assert!(matches!(error, JoinError::Line(_)), "{error}");
    }
    home.join(&line, "site-0");
}

#[test]
fn an_operator_and_an_observer_work_from_another_machine_within_their_rights() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path(), "7d");
    let plan = long_plan(folder.path(), 1, 3);
    let _coordinator = home.serve(&plan, "net");
    for (name, role) in [("ada", "operator"), ("board", "observer")] {
        let line = home.command(&["invite", name, "--role", role]);
        let line: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
        home.join(&line, name);
    }
    let remote = |who: &str, args: &[&str]| {
        let identity = home.client(who).join("identity");
        run(&[&["coordinator"], args, &["--coordinator", &home.address, "--identity", path(&identity)]].concat())
    };
    assert!(remote("board", &["sites"]).status.success());
    let refused = remote("board", &["invite", "site-9"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("observer"));
    assert!(remote("ada", &["invite", "site-9"]).status.success());
    assert!(remote("ada", &["suspend", "board"]).status.success());
    assert_eq!(remote("board", &["sites"]).status.code(), Some(4));
    // An operator's certificate is not one for taking part.
    let taking_part = home.run("ada").end();
    assert_eq!(taking_part.0, Some(4), "{}", taking_part.2);
}

#[test]
fn a_key_is_approved_before_it_is_certified_and_an_authority_is_replaced_while_a_site_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path(), "7d");
    let plan = long_plan(folder.path(), 1, 3);
    {
        let _coordinator = home.serve(&plan, "first");
        let line = home.command(&["invite", "site-0", "--approve"]);
        let line: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
        let refused = home.join_fails(&line, "site-0", &["--wait", "0s"], 4);
        assert!(refused.contains("has not approved the key"), "{refused}");
        let key = home.member("site-0")["key"].as_str().unwrap().to_owned();
        home.command(&["approve", "site-0", "--key", &key]);
        let printed = home.join(&line, "site-0");
        assert_eq!(value(&printed, "  key"), key, "the key that waited was certified");
        home.command(&["rotate-authority", "--window", "1h"]);
        assert_eq!(home.run("site-0").end().0, Some(0), "a member of the old authority takes part");
    }
    let trusted = std::fs::read_to_string(home.client("site-0").join("identity/authority.pem")).unwrap();
    assert_eq!(trusted.matches("BEGIN CERTIFICATE").count(), 2, "and went over to the new one on the way");
    let _coordinator = home.serve(&plan, "second");
    assert_eq!(home.run("site-0").end().0, Some(0));
}

#[test]
fn the_unit_of_the_service_names_what_it_runs() {
    let unit =
        works(&["client", "service", "install", "--dry-run", "--home", "/var/lib/synod 1", "--data", "/srv/100%"]);
    assert!(unit.contains("client run --home \"/var/lib/synod 1\" --data \"/srv/100%%\" --patience 1d"), "{unit}");
    assert!(unit.contains("WantedBy=multi-user.target"), "{unit}");
}

#[test]
fn secrets_come_from_files_that_nobody_else_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let home = path(folder.path()).to_owned() + "/hub";
    let message = fails(&["coordinator", "init", "--name", "study-a", "--home", &home], 2);
    assert!(unwrapped(&message).contains("--key-file"), "{message}");
    let missing = fails(&["coordinator", "sites", "--home", &home], 4);
    assert!(unwrapped(&missing).contains("synod coordinator init"), "{missing}");
    let missing = fails(&["client", "run", "--home", &home, "--rehearse"], 4);
    assert!(unwrapped(&missing).contains("join with the line"), "{missing}");
}
