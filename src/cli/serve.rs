//! `synod coordinator serve`.

use std::path::Path;
use std::sync::Arc;

use synod_certs::Identity;
use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::{EventSink, RunEvent};
use synod_common::plan::Source;
use synod_common::state::State;
use synod_common::update::BufferPool;
use synod_coordinator::round::Setup;
use synod_coordinator::server::{ServeOptions, serve};

use super::args::ServeArgs;
use super::clock::now;
use super::display::Display;
use super::exit::{Exit, OrExit, Outcome};
use super::folder::{RunFolder, row};
use super::host::{Central, RunHost};
use super::simulate::{conclude, exit_of, load, note_personal};
use super::{out, plan_file, stop};

/// Model-sized buffers kept for reuse.
const IDLE_BUFFERS: usize = 16;

pub(crate) fn run(args: &ServeArgs, quiet: bool) -> Outcome {
    let plan = plan_file::read(&args.plan)?;
    let identity = load_identity(&args.identity)?;
    let trainer = Arc::new(Trainer::new(Arc::clone(&plan), &DeviceChoice::Cpu).or_exit(Exit::Data)?);
    let central = if args.test_data.is_some() || plan.data.source == Source::Digits {
        Central::new(&plan, Arc::clone(&trainer), &load(&plan, args.test_data.as_deref(), &args.plan)?)?
    } else {
        None
    };
    let folder = Arc::new(RunFolder::create(&RunFolder::choose(args.out.as_deref(), &plan.name), &plan)?);
    let display = Arc::new(Display::new(quiet));
    note_personal(&plan, &display);
    let (recorder, shown, json) = (Arc::clone(&folder), Arc::clone(&display), args.json);
    let sink: Arc<dyn EventSink> = Arc::new(move |event: &RunEvent| {
        let stamped = recorder.record(event);
        if json {
            out::json(&stamped);
        }
        shown.show(event);
    });
    let setup = Setup {
        plan: Arc::clone(&plan),
        layout: trainer.layout().clone(),
        initial: trainer.initial(),
        state: State::default(),
        pool: BufferPool::new(trainer.layout().len(), IDLE_BUFFERS),
    };
    let options = ServeOptions { identity, listen: args.listen, release: env!("CARGO_PKG_VERSION").to_owned() };
    let host = Arc::new(RunHost { folder: Arc::clone(&folder), central });
    let listening = |address: std::net::SocketAddr| {
        if json {
            out::json(&serde_json::json!({ "event": "listening", "address": address }));
        }
        display.say(format!("listening on {address} (UDP), waiting for {} sites", plan.round.arrival.count.min));
    };
    let runtime = stop::runtime()?;
    let interrupt = stop::signal("the run ends, the model of the last finished round is kept");
    let ended = runtime.block_on(serve(options, setup, host, sink, listening, interrupt)).or_exit(Exit::Usage)?;
    folder.save_model(&ended.model)?;
    let rows = [row("global model", "", &folder.events())];
    let report = folder.write_report(None, &rows)?;
    if !args.json {
        conclude(&folder, &rows, &ended, &report);
    }
    Ok(exit_of(&ended.outcome))
}

/// Loads an identity folder.
pub(crate) fn load_identity(folder: &Path) -> Result<Identity, super::exit::Failure> {
    Identity::load(folder, now()).or_exit(Exit::Identity)
}
