//! The folder a run leaves: resolved plan and digest, events, checkpoints, model and report.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
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

/// The folder of one run. Everything in it is written under another name first, synced, and then renamed.
pub(crate) struct RunFolder {
    path: PathBuf,
    plan: Arc<Plan>,
    events: Mutex<Events>,
    started: Instant,
}

struct Events {
    file: BufWriter<File>,
    kept: Vec<Stamped>,
}

impl RunFolder {
    /// Creates `path`, which must not exist or be empty, and writes the plan.
    #[expect(clippy::disallowed_methods, reason = "the edge that stamps events with the time since the run began")]
    pub(crate) fn create(path: &Path, plan: &Arc<Plan>) -> Result<Self, Failure> {
        let shown = path.display();
        let failed = |what: &str, error: &std::io::Error| {
            Failure::new(
                Exit::Usage,
                format!("cannot {what} in the folder {shown}: {error}"),
                Some("choose a folder you may write to with --out"),
            )
        };
        Self::check_free(path)?;
        fs::create_dir_all(path.join("checkpoints")).map_err(|e| failed("create folders", &e))?;
        write_durably(&path.join("plan.toml"), plan.to_toml().as_bytes()).map_err(|e| failed("write the plan", &e))?;
        write_durably(&path.join("plan.digest"), format!("{}\n", plan.digest()).as_bytes())
            .map_err(|e| failed("write the plan's digest", &e))?;
        let file = File::create(path.join("events.jsonl")).map_err(|e| failed("write events", &e))?;
        let events = Mutex::new(Events { file: BufWriter::new(file), kept: Vec::new() });
        Ok(Self { path: path.to_owned(), plan: Arc::clone(plan), events, started: Instant::now() })
    }

    /// Refuses a folder that has something in it.
    pub(crate) fn check_free(path: &Path) -> Result<(), Failure> {
        if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            let message = format!("the folder {} is not empty; a run does not overwrite another", path.display());
            return Err(Failure::new(Exit::Usage, message, Some("choose a new folder with --out, or remove this one")));
        }
        Ok(())
    }

    /// Where a run called `name` is kept: `out`, or else the first folder `synod-out/NAME-N` that does not exist yet.
    pub(crate) fn choose(out: Option<&Path>, name: &str) -> PathBuf {
        if let Some(out) = out {
            return out.to_owned();
        }
        let lower = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let safe: String = name.chars().map(lower).collect();
        let name: String = safe.trim_matches('-').chars().take(60).collect();
        let base = Path::new("synod-out");
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
        self.record_at(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX), event)
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
        let flush = matches!(stamped.event, RunEvent::RoundCommitted { .. } | RunEvent::RunFinished { .. });
        if flush {
            let _ = events.file.flush();
        }
        if !matches!(stamped.event, RunEvent::Progress { .. }) {
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
