//! `synod journal`.

use std::path::{Path, PathBuf};

use synod_client::models;
use synod_common::ids::RoundId;
use synod_common::update::BufferPool;
use synod_coordinator::journal::{Journal, JournalError, Keep, KeepModels, KeepUpdates, Report};
use synod_coordinator::round::ResumeError;

use super::args::JournalCommand;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::folder::JOURNAL;
use super::{out, plan_file};

/// Everything that is there.
const ALL: Keep = Keep { models: KeepModels::All, updates: KeepUpdates::All };

pub(crate) fn run(command: &JournalCommand) -> Outcome {
    match command {
        JournalCommand::Check { folder, json } => check(folder, *json),
        JournalCommand::Compact { folder, keep_models, keep_updates } => {
            compact(folder, Keep { models: *keep_models, updates: *keep_updates })
        }
        JournalCommand::Export { folder, model: None, .. } => export_entries(folder),
        JournalCommand::Export { folder, model: Some(file), round } => export_model(folder, file, round.map(RoundId)),
    }
}

fn check(folder: &Path, json: bool) -> Outcome {
    let report = open(folder, ALL)?.check();
    if json {
        out::json(&report);
    } else {
        show(&report);
    }
    if let Some(first) = report.problems.first() {
        let message = format!("{} of the journal's values cannot be used: {first}", report.problems.len());
        return Err(Failure::new(Exit::Data, message, None));
    }
    Ok(Exit::Done)
}

fn show(report: &Report) {
    let plan = report.plan.map_or_else(|| "none, the run has not begun".to_owned(), |plan| plan.to_string());
    out::line(format!("plan        {plan}"));
    out::line(format!("entries     {}", report.entries));
    out::line(format!("rounds      {} committed", report.rounds));
    if let Some(model) = report.model {
        out::line(format!("model hash  {model}"));
    }
    if let Some(open) = &report.open {
        let seconds = open.time_left_ms / 1000;
        let updates = open.accepted.len();
        out::line(format!("open        round {}, {updates} updates, {seconds} s left", open.round));
    }
    let kept: Vec<String> = report.models.iter().map(ToString::to_string).collect();
    out::line(format!("models      of rounds {}", if kept.is_empty() { "none".to_owned() } else { kept.join(", ") }));
    out::line(format!("values      {} verified, {} bytes", report.blobs, report.bytes));
}

fn compact(folder: &Path, keep: Keep) -> Outcome {
    let mut journal = open(folder, keep)?;
    let removed = journal.collect_garbage().map_err(failure)?;
    journal.compact_tables().map_err(failure)?;
    out::line(format!("removed     {removed} values that are not needed"));
    Ok(Exit::Done)
}

fn export_entries(folder: &Path) -> Outcome {
    let print = |number: u64, line: synod_coordinator::journal::Line| {
        out::json(&serde_json::json!({ "number": number, "entry": line.entry, "blobs": line.blobs }));
        Ok(())
    };
    open(folder, ALL)?.for_each_line(print).map_err(failure)?;
    Ok(Exit::Done)
}

fn export_model(folder: &Path, file: &Path, round: Option<RoundId>) -> Outcome {
    if file.exists() {
        let message = format!("the file {} exists; a model does not overwrite another", file.display());
        return Err(Failure::new(Exit::Usage, message, Some("name a new file with --model, or remove this one")));
    }
    let journal = open(folder, ALL)?;
    let plan = plan_file::read(&run_folder(folder).join("plan.toml"))?;
    let layout = models::layout(&plan).or_exit(Exit::Data)?;
    let found = journal.model(round, &BufferPool::new(layout.len(), 1)).map_err(failure)?;
    let Some(model) = found else {
        let which = round.map_or_else(|| "a model".to_owned(), |round| format!("the model of round {round}"));
        let kept: Vec<String> = journal.check().models.iter().map(ToString::to_string).collect();
        let message = format!("the journal does not have {which}; it has those of rounds {}", kept.join(", "));
        return Err(Failure::new(
            Exit::Usage,
            message,
            Some("choose one with --round, or keep more with --keep-models"),
        ));
    };
    models::export::write(&plan, &model.values, file).or_exit(Exit::Usage)?;
    out::line(format!("model hash  {}", model.digest));
    out::line(format!("round       {}", model.round));
    Ok(Exit::Done)
}

/// `folder` may be that of the run or that of its journal.
fn run_folder(folder: &Path) -> PathBuf {
    let is_journal = folder.file_name().is_some_and(|name| name == JOURNAL) && !folder.join(JOURNAL).exists();
    if is_journal { folder.join("..") } else { folder.to_owned() }
}

fn open(folder: &Path, keep: Keep) -> Result<Journal, Failure> {
    Journal::open_existing(&run_folder(folder).join(JOURNAL), keep).map_err(failure)
}

/// The exit code of an error: damage is one of data, the rest can be set right on the command line or in the file system.
pub(crate) fn failure(error: JournalError) -> Failure {
    Failure::new(exit_of(&error), error, None)
}

fn exit_of(error: &JournalError) -> Exit {
    match error {
        JournalError::Damaged { .. } | JournalError::Blob { .. } => Exit::Data,
        JournalError::Locked { .. }
        | JournalError::Missing { .. }
        | JournalError::Io { .. }
        | JournalError::Tables { .. }
        | JournalError::Version { .. }
        | JournalError::OtherPlan { .. }
        | JournalError::Over => Exit::Usage,
    }
}

/// The exit code of a run that cannot go on.
pub(crate) fn resume_failure(error: ResumeError<JournalError>) -> Failure {
    let exit = match &error {
        ResumeError::Journal(error) => exit_of(error),
        ResumeError::Update { .. } | ResumeError::Round { .. } | ResumeError::Initial { .. } => Exit::Data,
    };
    Failure::new(exit, error, None)
}
