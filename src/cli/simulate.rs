//! `synod simulate`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use synod_client::data::{self, Loaded};
use synod_client::train::Trainer;
use synod_common::event::{EventSink, Outcome as RunOutcome, RunEvent, Stamped};
use synod_common::plan::Plan;
use synod_coordinator::round::Ended;
use synod_simulations::fleet::{Fleet, FleetOptions, Population, Reference, references};
use synod_simulations::report::{ComparisonRow, table, time_to_text, times_to};

use super::args::{Compare, SimulateArgs};
use super::display::Display;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::folder::{RunFolder, row};
use super::host::RunHost;
use super::{out, plan_file, stop};

/// Says what the central evaluation measures where sites have models of their own.
pub(super) fn note_personal(plan: &Plan, display: &Display) {
    if let Some(personal) = &plan.personal {
        display.say(format!("note: {}: {}", personal.name(), personal.central_note()));
    }
}

pub(crate) fn run(args: &SimulateArgs, quiet: bool) -> Outcome {
    let plan = with_overrides(&plan_file::read(&args.plan)?, args)?;
    let runtime = stop::runtime()?;
    let stop = stop::flag(&runtime, "the model of the last finished round is kept");
    let display = Display::new(quiet);
    let loaded = load(&plan, args.data.as_deref(), &args.plan)?;
    for note in &loaded.notes {
        display.say(format!("note: {note}"));
    }
    note_personal(&plan, &display);
    let population = Population::new(&plan, &loaded).or_exit(Exit::Data)?;
    if let Some(attack) = plan.simulation.as_ref().and_then(|simulation| simulation.attack.as_ref()) {
        let names: Vec<_> = population.names().collect();
        let hostile: Vec<String> = population.hostile().sites().map(|site| names[site].to_string()).collect();
        display.say(format!("note: hostile sites ({}): {}", attack.name(), hostile.join(", ")));
    }
    if plan.simulation.as_ref().is_some_and(|simulation| !simulation.profiles.is_empty()) {
        display.say("note: times are those of the virtual clock of the plan's profiles");
    }
    let trainer = Arc::new(Trainer::new(Arc::clone(&plan), &args.device).or_exit(Exit::Data)?);
    let run_folder = Arc::new(RunFolder::create(&RunFolder::choose(args.out.as_deref(), &plan.name), &plan)?);
    let options = FleetOptions { threads: args.threads.unwrap_or_else(cores) };
    let sink = Listener { folder: &run_folder, display: &display, json: args.json };
    let host = RunHost { folder: Arc::clone(&run_folder), central: None };
    let fleet =
        Fleet { plan: Arc::clone(&plan), trainer, population: &population, host: &host, sink: &sink, stop: &stop };
    let result = fleet.run(options).or_exit(Exit::Data)?;
    run_folder.save_model(&result.model)?;
    let mut rows = vec![row("global model", "", &run_folder.events())];
    let which = args.compare.iter().map(|c| match c {
        Compare::Alone => Reference::Alone,
        Compare::Fedavg => Reference::Fedavg,
        Compare::Pooled => Reference::Pooled,
    });
    let which: Vec<Reference> = which.collect();
    if result.outcome == RunOutcome::Completed {
        rows.extend(compare(&plan, &population, &which, args, options, &stop, &display)?);
    }
    let report = run_folder.write_report_with(None, &rows, &args.targets)?;
    let [headline, _] = plan.task.headlines();
    let times = times_to(&run_folder.events(), headline, &args.targets);
    if args.json {
        let times: Vec<_> = times
            .iter()
            .map(|to| {
                let (round, at_ms) = (to.reached.map(|reached| reached.round), to.reached.map(|reached| reached.at_ms));
                serde_json::json!({ "metric": headline.name, "target": to.target, "round": round, "at_ms": at_ms })
            })
            .collect();
        out::json(&serde_json::json!({
            "comparison": rows, "folder": run_folder.path(), "report": report, "time_to": times,
        }));
    } else {
        conclude(&run_folder, &rows, &result, &report);
        times.iter().for_each(|to| out::line(time_to_text(headline, to)));
    }
    Ok(exit_of(&result.outcome))
}

/// Records events, prints them if asked for, and shows them.
struct Listener<'a> {
    folder: &'a RunFolder,
    display: &'a Display,
    json: bool,
}

impl Listener<'_> {
    fn tell(&self, stamped: &Stamped) {
        if self.json {
            out::json(stamped);
        }
        self.display.show(&stamped.event);
    }
}

impl EventSink for Listener<'_> {
    fn publish(&self, event: &RunEvent) {
        self.tell(&self.folder.record(event));
    }

    fn publish_at(&self, at_ms: u64, event: &RunEvent) {
        self.tell(&self.folder.record_at(at_ms, event));
    }
}

/// The last words of a run: its table, its hash, and where everything is.
pub(crate) fn conclude(folder: &RunFolder, rows: &[ComparisonRow], ended: &Ended, report: &Path) {
    out::line(table(rows, folder.plan().task.headlines()));
    out::line(format!("model hash  {}", ended.model.digest));
    out::line(format!("run folder  {}", folder.path().display()));
    out::line(format!("report      {}", report.display()));
}

fn compare(
    plan: &Arc<Plan>,
    population: &Population,
    which: &[Reference],
    args: &SimulateArgs,
    options: FleetOptions,
    stop: &AtomicBool,
    display: &Display,
) -> Result<Vec<ComparisonRow>, Failure> {
    let mut progress = |name: &str| display.say(format!("comparing with: {name}"));
    references(plan, population, which, &args.device, options, stop, &mut progress).or_exit(Exit::Data)
}

/// The exit code of a run's end.
pub(crate) fn exit_of(outcome: &RunOutcome) -> Exit {
    match outcome {
        RunOutcome::Completed => Exit::Done,
        RunOutcome::Stopped { .. } => Exit::Unfinished,
        RunOutcome::Interrupted => Exit::Interrupted,
    }
}

/// Loads all data of a plan, with a hint where it was looked for.
pub(crate) fn load(plan: &Plan, data: Option<&Path>, plan_file: &Path) -> Result<Loaded, Failure> {
    let own = parent(plan_file);
    let folder = data.unwrap_or(&own);
    data::load(plan, folder).map_err(|error| {
        let help = data.is_none().then_some(
            "the plan's file names were looked for beside the plan; say where they are with --data DIR or SYNOD_DATA",
        );
        Failure::new(Exit::Data, error, help)
    })
}

/// The plan with the command line's overrides: another plan with another digest.
fn with_overrides(plan: &Arc<Plan>, args: &SimulateArgs) -> Result<Arc<Plan>, Failure> {
    let mut changed = plan.as_ref().clone();
    if let Some(seed) = args.seed {
        changed.seed = seed;
    }
    if let Some(rounds) = args.rounds {
        changed.rounds = rounds;
    }
    if let Some(clients) = args.clients {
        let Some(simulation) = &mut changed.simulation else {
            let help = "add [simulation] with clients and a partition";
            return Err(Failure::new(Exit::Usage, "--clients needs a plan with a [simulation] section", Some(help)));
        };
        if simulation.partition.takes_owners_of_data() {
            let message = "--clients does not go with natural sites: the data says how many there are";
            return Err(Failure::new(Exit::Usage, message, None));
        }
        simulation.clients = clients;
        simulation.names.clear();
        changed.round.arrival.count.min = changed.round.arrival.count.min.min(clients);
    }
    // The text decides: reading it again checks the overrides like everything else.
    plan_file::parse(&changed.to_toml(), "with the command line's overrides")
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Worker threads of a run that names none: one a core.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
