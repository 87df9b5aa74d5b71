//! The folder a run leaves: resolved plan and digest, events, checkpoints, model and report.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use synod_client::models;
use synod_common::event::{RunEvent, Stamped};
use synod_common::plan::Plan;
use synod_coordinator::round::ModelVersion;
use synod_simulations::report::{ComparisonRow, ReportInput, html};

use super::exit::{Exit, Failure};

/// Checkpoints kept besides the newest.
const OLD_CHECKPOINTS: u64 = 1;
/// Where runs are kept that are given no folder.
pub(super) const OUT: &str = "synod-out";
const DIGEST: &str = "plan.digest";
const EVENTS: &str = "events.jsonl";
/// The journal's folder in that of a served run.
pub(super) const JOURNAL: &str = "journal";
/// Longest line of events that is read again: a cohort of 100 000 sites is 7 MiB.
const LINE_BYTES_MAX: u64 = 32 << 20;

/// The folder of one run. Everything in it is written under another name first, synced, and then renamed.
pub(crate) struct RunFolder {
    path: PathBuf,
    plan: Arc<Plan>,
    events: Mutex<Events>,
    started: Instant,
    /// Milliseconds of the run before this process took it up.
    before_ms: u64,
}

struct Events {
    file: BufWriter<File>,
    kept: Vec<Stamped>,
}

impl RunFolder {
    /// Creates `path`, which must not exist or be empty, and writes the plan.
    #[expect(clippy::disallowed_methods, reason = "the edge that stamps events with the time since the run began")]
    pub(crate) fn create(path: &Path, plan: &Arc<Plan>) -> Result<Self, Failure> {
        Self::check_free(path)?;
        write_plan(path, plan)?;
        fs::create_dir_all(path.join("checkpoints")).map_err(|e| failed(path, "create folders", &e))?;
        let file = File::create(path.join(EVENTS)).map_err(|e| failed(path, "write events", &e))?;
        let events = Mutex::new(Events { file: BufWriter::new(file), kept: Vec::new() });
        Ok(Self { path: path.to_owned(), plan: Arc::clone(plan), events, started: Instant::now(), before_ms: 0 })
    }

    /// Creates `path`, or goes on with the run of the same plan that is in it. Models are in its journal.
    #[expect(clippy::disallowed_methods, reason = "the edge that stamps events with the time since the run began")]
    pub(crate) fn serve(path: &Path, plan: &Arc<Plan>) -> Result<Self, Failure> {
        match fs::read_to_string(path.join(DIGEST)) {
            Ok(digest) if digest.trim() == plan.digest().to_string() => {}
            Ok(digest) => {
                let (recorded, shown): (String, _) = (digest.chars().take(8).collect(), path.display());
                let given = plan.digest().short();
                let message = format!("the folder {shown} has a run of plan {recorded}, this is plan {given}");
                let help = format!("go on with {shown}/plan.toml, or choose another folder with --out");
                return Err(Failure::new(Exit::Usage, message, Some(&help)));
            }
            Err(_) => {
                // A crash in the very beginning leaves a part of what is written here, and nothing else.
                if !holds_only(path, &["plan.toml", "plan.partial"]) {
                    Self::check_free(path)?;
                }
                write_plan(path, plan)?;
            }
        }
        let (file, kept) = gone_on(&path.join(EVENTS)).map_err(|e| failed(path, "write events", &e))?;
        let before_ms = kept.last().map_or(0, |last| last.at_ms);
        let events = Mutex::new(Events { file: BufWriter::new(file), kept });
        Ok(Self { path: path.to_owned(), plan: Arc::clone(plan), events, started: Instant::now(), before_ms })
    }

    /// Where the journal of a served run is.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// Refuses a folder that has something in it.
    pub(crate) fn check_free(path: &Path) -> Result<(), Failure> {
        if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            let message = format!("the folder {} is not empty; a run does not overwrite another", path.display());
            return Err(Failure::new(Exit::Usage, message, Some("choose a new folder with --out, or remove this one")));
        }
        Ok(())
    }

    /// Where the run of `plan` is served from: the newest of `synod-out/NAME-DIGEST` and its successors with a number behind, or
    /// the one after it.
    pub(crate) fn served(plan: &Plan, which: Which) -> PathBuf {
        let base = Path::new(OUT);
        let stem = format!("{}-{}", safe(&plan.name), plan.digest().short());
        let of = |n: u32| base.join(if n == 1 { stem.clone() } else { format!("{stem}-{n}") });
        let free = (1..=u32::MAX).find(|n| !of(*n).exists()).unwrap_or(u32::MAX);
        match which {
            Which::Newest => of(free.saturating_sub(1).max(1)),
            Which::New => of(free),
        }
    }

    /// Where a run called `name` is kept: `out`, or else the first folder `synod-out/NAME-N` that does not exist yet.
    pub(crate) fn choose(out: Option<&Path>, name: &str) -> PathBuf {
        if let Some(out) = out {
            return out.to_owned();
        }
        let (name, base) = (safe(name), Path::new(OUT));
        (1..).map(|n| base.join(format!("{name}-{n}"))).find(|p| !p.exists()).unwrap_or_else(|| base.join(name))
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Stamps an event with the time and records it.
    pub(crate) fn record(&self, event: &RunEvent) -> Stamped {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.record_at(since.saturating_add(self.before_ms), event)
    }

    /// Stamps an event with a time of the run's own clock and records it.
    pub(crate) fn record_at(&self, at_ms: u64, event: &RunEvent) -> Stamped {
        let stamped = Stamped { at_ms, event: event.clone() };
        self.record_stamped(stamped.clone());
        stamped
    }

    /// Records an event that was stamped elsewhere.
    pub(crate) fn record_stamped(&self, stamped: Stamped) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(line) = serde_json::to_string(&stamped) {
            // A full disk must not end a run that can still save its model; what is lost here are lines of a log.
            let _ = writeln!(events.file, "{line}");
        }
        if !matches!(stamped.event, RunEvent::Progress { .. }) {
            // Out of this process, so that its death loses nothing.
            let _ = events.file.flush();
            events.kept.push(stamped);
        }
    }

    /// Saves the model of a round, and removes the checkpoint before the last.
    pub(crate) fn checkpoint(&self, model: &ModelVersion) -> Result<(), String> {
        let name = |round: u64| self.path.join("checkpoints").join(format!("round-{round:06}.safetensors"));
        let bytes = models::export::to_bytes(&self.plan, &model.values).map_err(|e| e.to_string())?;
        write_durably(&name(model.round.0), &bytes).map_err(|e| format!("{}: {e}", name(model.round.0).display()))?;
        if let Some(old) = model.round.0.checked_sub(OLD_CHECKPOINTS + 1) {
            let _ = fs::remove_file(name(old));
        }
        Ok(())
    }

    /// Saves the final model.
    pub(crate) fn save_model(&self, model: &ModelVersion) -> Result<PathBuf, Failure> {
        let path = self.path.join("model.safetensors");
        let result = models::export::to_bytes(&self.plan, &model.values)
            .map_err(|e| e.to_string())
            .and_then(|bytes| write_durably(&path, &bytes).map_err(|e| e.to_string()));
        match result {
            Ok(()) => Ok(path),
            Err(reason) => Err(Failure::new(
                Exit::Unexpected,
                format!("cannot save the model as {}: {reason}", path.display()),
                None,
            )),
        }
    }

    /// Writes the report with what is known so far.
    pub(crate) fn write_report(&self, title: Option<&str>, rows: &[ComparisonRow]) -> Result<PathBuf, Failure> {
        self.write_report_with(title, rows, &[])
    }

    /// The same with the times to `targets` of the main metric.
    pub(crate) fn write_report_with(
        &self,
        title: Option<&str>,
        rows: &[ComparisonRow],
        targets: &[f64],
    ) -> Result<PathBuf, Failure> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = events.file.flush();
        write_report(&self.path, &self.plan, title, &events.kept, rows, targets)
    }

    /// The events so far, without progress.
    pub(crate) fn events(&self) -> Vec<Stamped> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }
}

/// Which folder of a plan's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest there is.
    Newest,
    /// One that does not exist yet.
    New,
}

/// A run's name as a part of a path.
fn safe(name: &str) -> String {
    let lower = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let safe: String = name.chars().map(lower).collect();
    safe.trim_matches('-').chars().take(60).collect()
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> Failure {
    let message = format!("cannot {what} in the folder {}: {error}", path.display());
    Failure::new(Exit::Usage, message, Some("choose a folder you may write to with --out"))
}

/// Makes the folder `path` with the plan in it, and its digest last: where that is, the plan is.
fn write_plan(path: &Path, plan: &Plan) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|e| failed(path, "create folders", &e))?;
    write_durably(&path.join("plan.toml"), plan.to_toml().as_bytes())
        .map_err(|e| failed(path, "write the plan", &e))?;
    let digest = format!("{}\n", plan.digest());
    write_durably(&path.join(DIGEST), digest.as_bytes()).map_err(|e| failed(path, "write the plan's digest", &e))
}

/// Whether there is nothing in the folder `path` but files with these names.
fn holds_only(path: &Path, names: &[&str]) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| names.iter().any(|name| entry.file_name() == *name)))
    })
}

/// Opens a file of events to be gone on with: what was recorded, without progress, and the file at the end of its last whole line.
fn gone_on(path: &Path) -> std::io::Result<(File, Vec<Stamped>)> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let (mut kept, mut whole, mut line) = (Vec::new(), 0, Vec::new());
    let mut lines = BufReader::new(&mut file);
    loop {
        line.clear();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        whole += read as u64;
        if let Ok(stamped) = serde_json::from_slice::<Stamped>(&line)
            && !matches!(stamped.event, RunEvent::Progress { .. })
        {
            kept.push(stamped);
        }
    }
    file.set_len(whole)?;
    file.seek(SeekFrom::End(0))?;
    Ok((file, kept))
}

/// Writes `report.html` into the run folder `path`.
pub(crate) fn write_report(
    path: &Path,
    plan: &Plan,
    title: Option<&str>,
    events: &[Stamped],
    comparison: &[ComparisonRow],
    targets: &[f64],
) -> Result<PathBuf, Failure> {
    let plan_toml = plan.to_toml();
    let input =
        ReportInput { title, plan, plan_toml: &plan_toml, events, comparison, targets, site_class_counts: None };
    let path = path.join("report.html");
    write_durably(&path, html(&input).as_bytes()).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write the report {}: {error}", path.display()), None)
    })?;
    Ok(path)
}

/// Writes `bytes` so that after a crash either the old or the new content is there, never a part.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("partial");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// The last central evaluation and the end of a run, as a row of the comparison.
pub(crate) fn row(name: &str, note: &str, events: &[Stamped]) -> ComparisonRow {
    let mut row = ComparisonRow {
        name: name.to_owned(),
        metrics: Default::default(),
        rounds: 0,
        bytes_up: 0,
        bytes_down: 0,
        seconds: 0.0,
        note: note.to_owned(),
    };
    for stamped in events {
        match &stamped.event {
            RunEvent::Evaluated { metrics, .. } => row.metrics = metrics.clone(),
            RunEvent::RunFinished { rounds, bytes_up, bytes_down, ms, .. } => {
                (row.rounds, row.bytes_up, row.bytes_down) = (*rounds, *bytes_up, *bytes_down);
                row.seconds = *ms as f64 / 1000.0;
            }
            _ => {}
        }
    }
    row
}
