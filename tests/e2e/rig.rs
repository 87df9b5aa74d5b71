//! Runs the binary: short commands to their end, a coordinator until it is done.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a process may take before the test calls it hanging.
const HANGING: Duration = Duration::from_secs(120);

/// The binary with arguments, with nothing of the developer's environment.
pub(crate) fn synod(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    command.args(args).stdin(Stdio::null()).env("NO_COLOR", "1");
    for name in [
        "SYNOD_DATA",
        "SYNOD_IDENTITY",
        "SYNOD_STATE",
        "SYNOD_LISTEN",
        "SYNOD_COORDINATOR",
        "SYNOD_LOG",
        "SYNOD_CLIENT_HOME",
        "SYNOD_COORDINATOR_HOME",
        "SYNOD_PASSPHRASE_FILE",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    synod(args).output().expect("the binary starts")
}

/// Runs a command that must end with `code`, and returns its standard error.
pub(crate) fn fails(args: &[&str], code: i32) -> String {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?} printed:\n{stderr}");
    stderr
}

/// Runs a command that must succeed, and returns its standard output.
pub(crate) fn works(args: &[&str]) -> String {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} ended with {:?}:\n{stderr}", output.status.code());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Text of a message without line breaks and frame characters, so that wrapping does not matter.
pub(crate) fn unwrapped(text: &str) -> String {
    let plain: String = text.chars().map(|c| if "│×╰─▶├·╭╮╯┬".contains(c) { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// The value after `label` in the output.
pub(crate) fn value<'a>(output: &'a str, label: &str) -> &'a str {
    let line =
        output.lines().find(|l| l.starts_with(label)).unwrap_or_else(|| panic!("no line {label:?} in\n{output}"));
    line[label.len()..].trim()
}

/// A throwaway authority with identities, made by the binary itself.
pub(crate) struct Keys {
    folder: PathBuf,
}

impl Keys {
    pub(crate) fn new(folder: &Path, sites: &[&str]) -> Self {
        let keys = Self { folder: folder.to_owned() };
        works(&["certs", "authority", "test", "--out", path(&keys.authority())]);
        keys.issue("coordinator", "main", "coordinator", &[]);
        for site in sites {
            keys.issue("site", site, site, &[]);
        }
        keys
    }

    pub(crate) fn issue(&self, role: &str, name: &str, folder: &str, extra: &[&str]) {
        let authority = self.authority();
        let out = self.of(folder);
        let mut args = vec!["certs", role, name, "--authority", path(&authority), "--out", path(&out)];
        args.extend(extra);
        works(&args);
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority")
    }

    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A running process whose output is read by threads: a pipe that nobody reads is full one day, and its writer waits.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    pub(crate) seen: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = synod(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("piped");
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, stderr: Some(reading), seen: Vec::new() }
    }

    /// A coordinator, with its address.
    pub(crate) fn coordinator(plan: &Path, identity: &Path, out: &Path) -> (Self, String) {
        let mut running = Self::start(&[
            "coordinator",
            "serve",
            path(plan),
            "--identity",
            path(identity),
            "--out",
            path(out),
            "--listen",
            "127.0.0.1:0",
            "--json",
        ]);
        let line = running.wait_for("listening");
        let value: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
        let address = value["address"].as_str().expect("an address").to_owned();
        (running, address)
    }

    pub(crate) fn client(address: &str, identity: &Path) -> Self {
        Self::client_with(address, identity, &[])
    }

    /// A client with further arguments.
    pub(crate) fn client_with(address: &str, identity: &Path, extra: &[&str]) -> Self {
        let mut args = vec![
            "client",
            "run",
            "--coordinator",
            address,
            "--identity",
            path(identity),
            "--rehearse",
            "--patience",
            "20s",
        ];
        args.extend(extra);
        Self::start(&args)
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(HANGING) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {text:?}; standard error:\n{}", self.stderr()),
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill exists").success());
    }

    fn stderr(&mut self) -> String {
        let _ = self.child.kill();
        self.stderr.take().and_then(|reading| reading.join().ok()).unwrap_or_default()
    }

    /// Waits for the end: exit code, all lines of output, standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        while let Ok(line) = self.lines.recv_timeout(HANGING) {
            self.seen.push(line);
        }
        let text = self.stderr.take().and_then(|reading| reading.join().ok()).unwrap_or_default();
        let status = self.child.wait().expect("it was started");
        (status.code(), std::mem::take(&mut self.seen), text)
    }
}

/// Waits until there is a file of this name below `folder`.
#[expect(clippy::disallowed_methods, reason = "a test that waits for ever names nobody")]
pub(crate) fn appears(folder: &Path, name: &str) {
    let begun = std::time::Instant::now();
    let is_there = || {
        let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
        folders.into_iter().any(|entry| entry.path().join(name).exists())
    };
    while !is_there() {
        assert!(begun.elapsed() < HANGING, "no {name} below {}", folder.display());
        // The file system tells nobody.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A small plan over the digits for `clients` sites.
pub(crate) fn digits_plan(folder: &Path, clients: u32, extra: &str) -> PathBuf {
    let file = folder.join("plan.toml");
    let text = format!(
        "name = \"test\"\nseed = 3\nrounds = 3\n[task.classification]\nclasses = 10\n[model.mlp]\nhidden = [16]\n\
         [data]\nsource = \"digits\"\n[train]\nepochs = 1\n[train.margin_control]\nlambda = 0.03\n\
         [aggregate.strategy.principal_gradient]\n[simulation]\nclients = {clients}\n\
         [simulation.partition.shards]\nclasses_per_site = 5\n{extra}"
    );
    std::fs::write(&file, text).expect("the folder is writable");
    file
}

/// A small, repeatable source of numbers below `below`.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}
