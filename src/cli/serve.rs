//! `synod coordinator serve`.

use std::path::Path;
use std::sync::Arc;

use synod_certs::Identity;
use synod_certs::tls::system_clock;
use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::{EventSink, Outcome as RunOutcome, RunEvent};
use synod_common::plan::Source;
use synod_common::state::State;
use synod_common::update::BufferPool;
use synod_coordinator::enrol::{Notice, Office};
use synod_coordinator::journal::{Journal, JournalError, Keep};
use synod_coordinator::round::{Ended, Setup};
use synod_coordinator::server::{Members, ServeError, ServeOptions, serve};

use super::args::ServeArgs;
use super::clock::now;
use super::display::Display;
use super::enrol;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::folder::{RunFolder, Which, row};
use super::host::{Central, RunHost};
use super::simulate::{conclude, exit_of, load, note_personal};
use super::{journal, out, plan_file, stop};

/// Model-sized buffers kept for reuse.
const IDLE_BUFFERS: usize = 16;

pub(crate) fn run(args: &ServeArgs, quiet: bool) -> Outcome {
    let plan = plan_file::read(&args.plan)?;
    let trainer = Arc::new(Trainer::new(Arc::clone(&plan), &DeviceChoice::Cpu).or_exit(Exit::Data)?);
    let central = if args.test_data.is_some() || plan.data.source == Source::Digits {
        Central::new(&plan, Arc::clone(&trainer), &load(&plan, args.test_data.as_deref(), &args.plan)?)?
    } else {
        None
    };
    let which = if args.new { Which::New } else { Which::Newest };
    let path = args.out.clone().unwrap_or_else(|| RunFolder::served(&plan, which));
    let folder = Arc::new(RunFolder::serve(&path, &plan)?);
    let keep = Keep { models: args.keep_models, updates: args.keep_updates };
    let journal = Journal::open_folder(&folder.journal(), keep).map_err(journal::failure)?;
    journal.collect_garbage().map_err(journal::failure)?;
    let display = Arc::new(Display::new(quiet));
    note_personal(&plan, &display);
    let members = members(args, &display)?;
    let (recorder, shown, json) = (Arc::clone(&folder), Arc::clone(&display), args.json);
    let sink: Arc<dyn EventSink> = Arc::new(move |event: &RunEvent| {
        let stamped = recorder.record(event);
        if json {
            out::json(&stamped);
        }
        shown.show(event);
    });
    let pool = BufferPool::new(trainer.layout().len(), IDLE_BUFFERS);
    if journal.is_completed() {
        let ended = already_completed(&journal, &folder, &pool, args)?;
        return leave(&folder, &ended, args);
    }
    let setup = Setup {
        plan: Arc::clone(&plan),
        layout: trainer.layout().clone(),
        initial: trainer.initial(),
        state: State::default(),
        pool,
    };
    let options =
        ServeOptions { members: members.clone(), listen: args.listen, release: env!("CARGO_PKG_VERSION").to_owned() };
    let host = Arc::new(RunHost { folder: Arc::clone(&folder), central });
    let listening = |address: std::net::SocketAddr| {
        if let Members::Of(office) = &members
            && let Err(error) = office.set_serving(Some(address))
        {
            display.say(format!("commands will not find this coordinator: {error}"));
        }
        if json {
            out::json(&serde_json::json!({ "event": "listening", "address": address }));
        }
        display.say(format!("listening on {address} (UDP), waiting for {} sites", plan.round.arrival.count.min));
    };
    let runtime = stop::runtime()?;
    let interrupt = stop::signal("the model of the last finished round and the updates of the open one are saved");
    let served = runtime.block_on(serve(options, setup, journal, host, sink, listening, interrupt));
    if let Members::Of(office) = &members {
        office.set_serving(None).or_exit(Exit::Unexpected)?;
    }
    let ended = served.map_err(|error| match error {
        ServeError::Journal(error) => journal::resume_failure(error),
        error @ ServeError::Endpoint(_) => Failure::new(Exit::Usage, error, None),
    })?;
    if ended.outcome != RunOutcome::Completed {
        display.say(format!("the run is in {}; the same command goes on with it", folder.path().display()));
    }
    leave(&folder, &ended, args)
}

/// What is said of a run that was completed before.
fn already_completed(
    journal: &Journal,
    folder: &RunFolder,
    pool: &BufferPool,
    args: &ServeArgs,
) -> Result<Ended, Failure> {
    let over = || journal::failure(JournalError::Over);
    let model = Arc::new(journal.model(None, pool).map_err(journal::failure)?.ok_or_else(over)?);
    let last = journal.last_commit().ok_or_else(over)?;
    out::note(format!(
        "the run in {} is done, there is nothing to do; --new begins another of the same plan",
        folder.path().display()
    ));
    let finished = folder.events().into_iter().rev().find(|e| matches!(e.event, RunEvent::RunFinished { .. }));
    let finished = finished.unwrap_or_else(|| {
        // Only its last words were lost.
        folder.record(&RunEvent::RunFinished {
            outcome: RunOutcome::Completed,
            rounds: model.round.0,
            model: model.digest,
            ms: last.run_ms,
            bytes_down: last.bytes_down,
            bytes_up: last.bytes_up,
        })
    });
    if args.json {
        out::json(&finished);
    }
    Ok(Ended { outcome: RunOutcome::Completed, model })
}

/// Leaves the model and the report, and says what there is.
fn leave(folder: &RunFolder, ended: &Ended, args: &ServeArgs) -> Outcome {
    folder.save_model(&ended.model)?;
    let rows = [row("global model", "", &folder.events())];
    let report = folder.write_report(None, &rows)?;
    if !args.json {
        conclude(folder, &rows, ended, &report);
    }
    Ok(exit_of(&ended.outcome))
}

/// Who may take part: who is certified by the authority of `--identity`, or the members of a coordinator's home.
fn members(args: &ServeArgs, display: &Arc<Display>) -> Result<Members, Failure> {
    if let Some(folder) = &args.identity {
        return Ok(Members::Certified(Arc::new(load_identity(folder)?)));
    }
    let passphrase = enrol::passphrase(args.home.key_file.as_deref())?;
    let (shown, json) = (Arc::clone(display), args.json);
    let notices = move |notice: Notice| {
        if json {
            out::json(&serde_json::json!({ "event": "enrolment", "notice": notice }));
        }
        shown.say(notice);
    };
    let office =
        Office::open(&args.home.home, passphrase, system_clock(), Box::new(notices)).or_exit(Exit::Identity)?;
    let until = office.identity().as_peer().not_after;
    if now() > until {
        return Err(Failure::new(
            Exit::Identity,
            format!("the coordinator's own certificate expired on {}", humantime::format_rfc3339_seconds(until)),
            Some("start with --key-file: with its authority unlocked the coordinator renews it"),
        ));
    }
    if !office.is_unlocked() {
        display.say("the authority is locked: nobody can join or renew; start with --key-file to unlock it");
    }
    Ok(Members::Of(Arc::new(office)))
}

/// Loads an identity folder.
pub(crate) fn load_identity(folder: &Path) -> Result<Identity, Failure> {
    Identity::load(folder, now()).or_exit(Exit::Identity)
}
