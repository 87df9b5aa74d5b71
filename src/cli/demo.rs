//! `synod demo`: a whole federation of real processes on this machine.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;
use synod_certs::throwaway;
use synod_client::device::DeviceChoice;
use synod_common::event::{Outcome as RunOutcome, RunEvent, Stamped};
use synod_common::ids::{Digest, SiteName};
use synod_common::plan::Plan;
use synod_simulations::fleet::{FleetOptions, Population, Reference, references};
use synod_simulations::report::{ComparisonRow, table};

use super::args::DemoArgs;
use super::clock::now;
use super::display::Display;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::folder::{RunFolder, row, write_report};
use super::simulate::{cores, exit_of};
use super::{out, plan_file, stop};

const PLAN: &str = include_str!("../../plans/demo.toml");
/// How long the coordinator process may take to say where it listens.
const LISTENING_MAX: Duration = Duration::from_secs(30);
/// How long client processes may take to end once the coordinator has.
const FAREWELL_MAX: Duration = Duration::from_secs(15);

pub(crate) fn run(args: &DemoArgs, quiet: bool) -> Outcome {
    let mut plan = plan_file::parse(PLAN, "the demo's plan")?.as_ref().clone();
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.rounds = args.rounds.unwrap_or(plan.rounds);
    let plan = plan_file::parse(&plan.to_toml(), "the demo's plan with the command line's overrides")?;
    let display = Display::new(quiet);
    let runtime = stop::runtime()?;
    let stopped = stop::flag(&runtime, "the run folder is kept as it is");
    let path = RunFolder::choose(args.out.as_deref(), "demo");
    RunFolder::check_free(&path)?;
    let loaded = synod_client::data::load(&plan, Path::new(".")).or_exit(Exit::Data)?;
    let population = Population::new(&plan, &loaded).or_exit(Exit::Data)?;
    let names: Vec<SiteName> = population.names().cloned().collect();
    let processes = run_processes(&plan, &names, &path, &display, &stopped)?;
    if processes.outcome != RunOutcome::Completed {
        return Ok(exit_of(&processes.outcome));
    }
    let note = "a coordinator and four client processes over QUIC";
    let mut rows = vec![row("global model (FedLD)", note, &processes.events)];
    rows.extend(compare(&plan, &population, &display, &stopped)?);
    let title = Some("Synod demo: four sites, one model");
    let report = write_report(&path, &plan, title, &processes.events, &rows, &[])?;
    if args.json {
        out::json(
            &serde_json::json!({ "version": 1, "comparison": rows, "model": processes.model, "folder": path, "report": report }),
        );
        return Ok(Exit::Done);
    }
    out::line(table(&rows, plan.task.headlines()));
    out::line(format!("model hash  {}", processes.model));
    out::line(format!("run folder  {}", path.display()));
    for (file, what) in [
        ("report.html", "plots: open it in a browser"),
        ("model.safetensors", "the global model"),
        ("plan.toml", "the resolved plan; its digest is in plan.digest"),
        ("events.jsonl", "everything that happened"),
    ] {
        out::line(format!("  {file:18} {what}"));
    }
    // As this program was called: right after building it is not on the PATH.
    let me = std::env::args().next().unwrap_or_else(|| "synod".to_owned());
    let plan_path = path.join("plan.toml");
    let shown = plan_path.display();
    out::line("\nWhat to try next");
    out::line("  the same run without sockets, with the same hash:");
    out::line(format!("    {me} simulate {shown} --compare alone,fedavg,pooled"));
    out::line("  other sites, and a plan of your own:");
    out::line(format!("    {me} simulate {shown} --seed 8 --clients 8"));
    out::line(format!("    {me} plan new study.toml && {me} plan check study.toml"));
    Ok(if stopped.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
}

/// What the processes left.
struct Processes {
    events: Vec<Stamped>,
    outcome: RunOutcome,
    model: Digest,
}

/// A child that does not outlive us.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A line of the coordinator's standard output.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Box<Stamped>),
    Listening { address: std::net::SocketAddr },
}

fn run_processes(
    plan: &Arc<Plan>,
    names: &[SiteName],
    path: &Path,
    display: &Display,
    stopped: &AtomicBool,
) -> Result<Processes, Failure> {
    let keys = tempfile::tempdir().or_exit(Exit::Usage)?;
    let identities = throwaway(names, keys.path(), now()).or_exit(Exit::Identity)?;
    display.say(format!("made a throwaway authority and {} identities", names.len() + 1));
    let plan_path = keys.path().join("plan.toml");
    std::fs::write(&plan_path, plan.to_toml()).or_exit(Exit::Usage)?;
    let program = std::env::current_exe().or_exit(Exit::Unexpected)?;
    let mut serve = Command::new(&program);
    serve.args(["coordinator", "serve", "--json", "--quiet", "--listen", "127.0.0.1:0", "--identity"]);
    serve
        .arg(&identities.coordinator)
        .arg("--out")
        .arg(path)
        .arg(&plan_path)
        .stdout(Stdio::piped())
        .stdin(Stdio::null());
    let mut coordinator = Process(serve.spawn().or_exit(Exit::Unexpected)?);
    let lines = read_lines(&mut coordinator)?;
    let address = match lines.recv_timeout(LISTENING_MAX) {
        Ok(Line::Listening { address }) => address,
        Ok(Line::Event(_)) | Err(_) => {
            return Err(Failure::new(
                Exit::Unexpected,
                "the coordinator process did not begin; its message is above",
                None,
            ));
        }
    };
    display.say(format!("the coordinator process listens on {address} (QUIC, mutual TLS 1.3)"));
    let mut sites = Vec::new();
    for folder in identities.sites.values() {
        let mut client = Command::new(&program);
        client.args([
            "client",
            "run",
            "--quiet",
            "--rehearse",
            "--device",
            "cpu",
            "--patience",
            "60s",
            "--coordinator",
        ]);
        client.arg(address.to_string()).arg("--identity").arg(folder).stdout(Stdio::null()).stdin(Stdio::null());
        sites.push(Process(client.spawn().or_exit(Exit::Unexpected)?));
    }
    display.say(format!("{} client processes started", sites.len()));
    let mut events = Vec::new();
    let mut finished = None;
    while let Ok(line) = lines.recv() {
        let Line::Event(stamped) = line else { continue };
        display.show(&stamped.event);
        if let RunEvent::RunFinished { outcome, model, .. } = &stamped.event {
            finished = Some((outcome.clone(), *model));
        }
        if !matches!(stamped.event, RunEvent::Progress { .. }) {
            events.push(*stamped);
        }
    }
    let _ = coordinator.0.wait();
    wait_for(&mut sites);
    match finished {
        Some((outcome, model)) => Ok(Processes { events, outcome, model }),
        None if stopped.load(Ordering::Relaxed) => {
            Ok(Processes { events, outcome: RunOutcome::Interrupted, model: Digest([0; 32]) })
        }
        None => Err(Failure::new(Exit::Unexpected, "the coordinator process ended early; its message is above", None)),
    }
}

fn read_lines(process: &mut Process) -> Result<mpsc::Receiver<Line>, Failure> {
    let Some(stdout) = process.0.stdout.take() else {
        return Err(Failure::new(Exit::Unexpected, "the coordinator process has no output", None));
    };
    let (lines, inbox) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(line) = serde_json::from_str(&line)
                && lines.send(line).is_err()
            {
                return;
            }
        }
    });
    Ok(inbox)
}

/// Client processes end by themselves once the run is over; one that does not is ended.
fn wait_for(sites: &mut Vec<Process>) {
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while waited < FAREWELL_MAX && sites.iter_mut().any(|s| matches!(s.0.try_wait(), Ok(None))) {
        std::thread::sleep(step);
        waited += step;
    }
    sites.clear();
}

fn compare(
    plan: &Arc<Plan>,
    population: &Population,
    display: &Display,
    stopped: &AtomicBool,
) -> Result<Vec<ComparisonRow>, Failure> {
    let options = FleetOptions { threads: cores() };
    let which = [Reference::Fedavg, Reference::Alone, Reference::Pooled];
    let mut progress = |name: &str| display.say(format!("comparing with: {name}"));
    references(plan, population, &which, &DeviceChoice::Cpu, options, stopped, &mut progress).or_exit(Exit::Data)
}
