//! `synod client run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use synod_certs::tls::system_clock;
use synod_client::catalogue::Zoo;
use synod_client::data;
use synod_client::device::DeviceChoice;
use synod_client::enrol::{Membership, NextKey, Wallet, identity_folder, state_folder};
use synod_client::session::{Loaded, Loader, SessionError, SessionOptions, SiteEvent, load_folder, run as run_session};
use synod_client::train::Trainer;
use synod_common::ids::SiteName;
use synod_common::plan::{Plan, Source};
use synod_simulations::fleet::Population;

use super::args::ClientArgs;
use super::display::Display;
use super::enrol::RELEASE;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::stop;

pub(crate) fn run(args: ClientArgs, quiet: bool) -> Outcome {
    let display = Arc::new(Display::new(quiet));
    let place = Place::of(&args)?;
    let next_key = if args.new_key { NextKey::New } else { NextKey::Same };
    let shown = Arc::clone(&display);
    let notices = Box::new(move |text| shown.say(text));
    let wallet = Wallet::open(&place.identity, next_key, RELEASE, system_clock(), notices).or_exit(Exit::Identity)?;
    // A device that is not there is better found now than when the plan has come.
    args.device.open().or_exit(Exit::Usage)?;
    let options = SessionOptions {
        wallet: Arc::new(wallet),
        state: args.state.unwrap_or(place.state),
        coordinator: place.coordinator,
        release: RELEASE.to_owned(),
        unreachable_max: args.patience,
        keep_every: args.keep_every,
        loader: loader(args.data, args.rehearse, args.device),
    };
    let watch = move |event: SiteEvent| match event {
        SiteEvent::Joined { site, plan, digest, samples } => {
            display
                .say(format!("{site} takes part in {plan} (plan {}) with {samples} training samples", digest.short()));
        }
        SiteEvent::Retrying { reason, pause } => {
            display.say(format!("no connection: {reason}; next attempt in {:.1} s", pause.as_secs_f64()));
        }
        SiteEvent::TaskStarted { round, trains: true } => display.say(format!("round {round}: training")),
        SiteEvent::TaskStarted { round, trains: false } => display.say(format!("model of round {round}: measuring")),
        SiteEvent::StateLost { round, reason } => {
            display.say(format!(
                "round {round}: what this site kept is lost ({reason}); it goes on as in its first round"
            ));
        }
        SiteEvent::Accepted { round, loss } => {
            let loss = loss.map(|l| format!(", loss {l:.3}")).unwrap_or_default();
            display.say(format!("round {round}: update accepted{loss}"));
        }
        SiteEvent::Resumed { round, epoch, step, steps } => {
            display.say(format!("round {round}: training goes on from epoch {epoch}, step {step} of {steps}"));
        }
        SiteEvent::KeptUnusable { reason } => {
            display.say(format!("what was kept of the work in hand is of no use ({reason}); it is done anew"));
        }
        SiteEvent::UploadContinued { round, offset, bytes } => {
            let percent = 100.0 * offset as f64 / bytes.max(1) as f64;
            display.say(format!("round {round}: the upload goes on at {percent:.0} %"));
        }
        SiteEvent::AnsweredFromKept { round } => {
            display.say(format!("round {round}: the update is finished already; it is sent from what was kept"));
        }
        SiteEvent::NotKept { round, reason } => {
            display.say(format!("round {round}: the update is not kept ({reason}); it is sent all the same"));
        }
        SiteEvent::Dropped { round, reason } => display.say(format!("round {round}: {reason}")),
        SiteEvent::UploadBroke { round, reason, pause } => {
            display
                .say(format!("round {round}: the upload broke: {reason}; it goes on in {:.1} s", pause.as_secs_f64()));
        }
        SiteEvent::Refused { round, reason } => display.say(format!("round {round}: not counted: {reason}")),
    };
    let runtime = stop::runtime()?;
    let interrupt = stop::signal("the coordinator is told");
    let finish = runtime.block_on(run_session(options, Box::new(watch), interrupt));
    // Training that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    match finish {
        Ok(finish) if finish.completed => {
            super::out::line(format!("the run is done; model {}", finish.model));
            Ok(Exit::Done)
        }
        Ok(finish) => {
            Err(Failure::new(Exit::Unfinished, format!("the coordinator ended the run: {}", finish.reason), None))
        }
        Err(error) => {
            let exit = match error {
                SessionError::Unreachable { .. } => Exit::Unreachable,
                SessionError::Refused { .. } => Exit::Identity,
                SessionError::Unfit(_) => Exit::Data,
                SessionError::Interrupted => Exit::Interrupted,
            };
            Err(Failure::new(exit, error, None))
        }
    }
}

/// Where a client finds what it needs: in its home, or where the flags say.
struct Place {
    coordinator: String,
    identity: PathBuf,
    state: PathBuf,
}

impl Place {
    fn of(args: &ClientArgs) -> Result<Self, Failure> {
        let (identity, state) = match &args.identity {
            Some(folder) => (folder.clone(), folder.join("state")),
            None => (identity_folder(&args.home), state_folder(&args.home)),
        };
        let coordinator = match (&args.coordinator, &args.identity) {
            (Some(coordinator), _) => coordinator.clone(),
            (None, Some(_)) => {
                return Err(Failure::new(
                    Exit::Usage,
                    "an identity folder does not say where the coordinator is",
                    Some("name it with --coordinator HOST:PORT, or join with an invitation"),
                ));
            }
            (None, None) => Membership::load(&args.home).or_exit(Exit::Identity)?.coordinator,
        };
        Ok(Self { coordinator, identity, state })
    }
}

fn loader(folder: Option<PathBuf>, rehearse: bool, device: DeviceChoice) -> Loader {
    Arc::new(move |text, site| {
        if rehearse {
            return load_share(text, site, folder.as_deref(), &device);
        }
        let Some(folder) = &folder else {
            return Err(
                "this site has no samples: say where they are with --data DIR, or rehearse with --rehearse".to_owned()
            );
        };
        load_folder(text, site, folder, &device)
    })
}

/// The samples that the plan's simulation gives to the site `site`.
fn load_share(
    text: &str,
    site: &SiteName,
    folder: Option<&Path>,
    device: &DeviceChoice,
) -> Result<(Arc<Plan>, Loaded), String> {
    let plan = Arc::new(Plan::read(text, &Zoo).map_err(|e| e.to_string())?);
    let folder = match folder {
        Some(folder) => folder,
        None if plan.data.source == Source::Digits => Path::new("."),
        None => return Err("say where the plan's files are with --data DIR".to_owned()),
    };
    let loaded = data::load(&plan, folder).map_err(|e| e.to_string())?;
    let population = Population::new(&plan, &loaded).map_err(|e| e.to_string())?;
    let data = population.site(site).map_err(|e| e.to_string())?;
    let trainer = Trainer::new(Arc::clone(&plan), device).map_err(|e| e.to_string())?;
    Ok((plan, (Arc::new(trainer), data)))
}
