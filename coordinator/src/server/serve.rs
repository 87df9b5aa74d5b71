//! The main loop.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::Endpoint;
use synod_common::event::{EventSink, Outcome};
use synod_common::extra::Extras;
use synod_common::ids::{Digest, SiteName};
use synod_common::status::RunPhase;
use synod_common::wire::{Answer, Finished, shorten};
use synod_transport::{CloseReason, EndpointError, bind_server};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Outgoing, Shared, run as run_connection};
use super::enrolment::{self, Loopback, Members};
use super::host::Host;
use super::uploads::{Pace, Uploads};
use super::{CONNECTIONS_MAX, UPLOADS_MAX};
use crate::journal::{Journal, JournalError, JournalWriter, Write};
use crate::round::{Action, Ended, Event, Machine, Millis, ResumeError, Setup};

/// Inputs that wait for the main loop; past that, connections wait.
const INPUTS_MAX: usize = 1024;
/// How long a status stands, at least, while something happens.
const STATUS_PAUSE: Duration = Duration::from_secs(1);
/// And at most: a status that is much older is of a coordinator that does not run.
const STATUS_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long sites have to take note of the end of the run.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// How to serve.
#[derive(Debug)]
pub struct ServeOptions {
    /// Who may take part.
    pub members: Members,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// This program's release, for the other side's eyes.
    pub release: String,
}

/// Why a run could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No socket.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The journal cannot be written, or the run in it cannot be gone on with.
    #[error(transparent)]
    Journal(#[from] ResumeError<JournalError>),
}

/// What the main loop is told.
#[derive(Debug)]
pub(super) enum Input {
    /// A site is ready; `connection` tells its connections apart.
    Arrived { site: SiteName, connection: u64, samples: u64, class_counts: Vec<u64>, outgoing: mpsc::Sender<Outgoing> },
    /// A connection of a site that had arrived is gone.
    Left { site: SiteName, connection: u64, reason: String },
    /// A whole update, and where its answer goes.
    Update { event: Event, site: SiteName, connection: u64, answer: oneshot::Sender<Answer> },
    /// Anything else.
    Event(Event),
}

/// Serves one run until it ends: the one in `journal`, which goes on where it was, or a new one. `listening` is told the address once the socket is open; `interrupt` ends the run early.
///
/// # Errors
/// When the run in the journal cannot be gone on with, or no socket can be opened; everything later is an [`Outcome`].
pub async fn serve(
    options: ServeOptions,
    setup: Setup,
    journal: Journal,
    host: Arc<dyn Host>,
    sink: Arc<dyn EventSink>,
    listening: impl FnOnce(SocketAddr) + Send,
    interrupt: impl Future<Output = ()> + Send,
) -> Result<Ended, ServeError> {
    let members = options.members;
    let endpoint = bind_server(&members.identity(), members.entry(), options.listen)?;
    let address = endpoint.local_addr().unwrap_or(options.listen);
    let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
    let shared = Arc::new(Shared {
        release: options.release,
        plan_text: setup.plan.to_toml(),
        plan_digest: setup.plan.digest(),
        layout: setup.layout.digest(),
        extra: Extras::new(&setup.plan, &setup.layout).update,
        pool: setup.pool.clone(),
        uploads: Uploads::new(UPLOADS_MAX, Pace::default()),
        inputs: inputs.clone(),
        prepare_max: setup.plan.round.arrival.time.max.to_duration(),
        door: members.door(),
    });
    let machine = tokio::task::block_in_place(|| journal.machine(setup))?;
    let tell = inputs.clone();
    let journal = JournalWriter::start(journal, move |event| {
        // At the end of the run nobody listens any more.
        let _ = tell.blocking_send(Input::Event(event));
    })
    .map_err(ResumeError::Journal)?;
    let loopback = Arc::new(Loopback::new(&members)?);
    let accepting = tokio::spawn(accept(endpoint.clone(), Arc::clone(&loopback), Arc::clone(&shared)));
    let keeping = tokio::spawn(enrolment::keep(members, endpoint.clone(), loopback, Arc::clone(&shared)));
    listening(address);
    let mut main = MainLoop {
        started: Instant::now(),
        machine,
        host,
        sink: enrolment::counting(sink, &shared),
        shared,
        inputs,
        sites: HashMap::new(),
        answers: HashMap::new(),
        wake_at: None,
        journal,
        ended: None,
        told: None,
    };
    main.run(inbox, interrupt).await;
    main.tell_status();
    let ended = main.ended.take();
    main.say_farewell(&endpoint).await;
    accepting.abort();
    keeping.abort();
    let MainLoop { journal, machine, .. } = main;
    // What was given out is durable when this returns.
    tokio::task::block_in_place(|| drop(journal));
    Ok(ended.unwrap_or_else(|| Ended { outcome: Outcome::Interrupted, model: Arc::clone(machine.model()) }))
}

async fn accept(endpoint: Endpoint, loopback: Arc<Loopback>, shared: Arc<Shared>) {
    let mut next = 0_u64;
    while let Some(incoming) = endpoint.accept().await {
        if endpoint.open_connections() >= CONNECTIONS_MAX {
            incoming.refuse();
            continue;
        }
        if !incoming.remote_address_validated() && endpoint.open_connections() >= CONNECTIONS_MAX / 4 {
            // Under load, addresses are proven before anything is kept for them. An error means it was proven already.
            let _ = incoming.retry();
            continue;
        }
        next += 1;
        let (shared, loopback, connection) = (Arc::clone(&shared), Arc::clone(&loopback), next);
        tokio::spawn(async move {
            let is_loopback = incoming.remote_address().ip().is_loopback();
            let accepted = if is_loopback { incoming.accept_with(loopback.config()) } else { incoming.accept() };
            if let Ok(connecting) = accepted {
                run_connection(connecting, connection, shared).await;
            }
        });
    }
}

struct SiteHandle {
    connection: u64,
    outgoing: mpsc::Sender<Outgoing>,
}

struct MainLoop {
    started: Instant,
    machine: Machine,
    host: Arc<dyn Host>,
    sink: Arc<dyn EventSink>,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
    sites: HashMap<SiteName, SiteHandle>,
    answers: HashMap<SiteName, oneshot::Sender<Answer>>,
    wake_at: Option<Instant>,
    journal: JournalWriter,
    ended: Option<Ended>,
    told: Option<Told>,
}

/// The status that was told last.
#[derive(Clone, Copy)]
struct Told {
    at: Instant,
    phase: RunPhase,
    model: Digest,
    is_old: bool,
}

impl Told {
    fn next(self) -> Instant {
        self.at + if self.is_old { STATUS_PAUSE } else { STATUS_PAUSE_MAX }
    }
}

impl MainLoop {
    /// Tells where the run is, if it is time.
    fn tell_status(&mut self) {
        let (phase, model) = (self.machine.run_phase(), self.machine.model().digest);
        let is_due =
            self.told.is_none_or(|told| (told.phase, told.model) != (phase, model) || told.next() <= Instant::now());
        if is_due {
            self.host.status(self.machine.status(self.now()));
            self.told = Some(Told { at: Instant::now(), phase, model, is_old: false });
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn run(&mut self, mut inbox: mpsc::Receiver<Input>, interrupt: impl Future<Output = ()> + Send) {
        let mut interrupt = std::pin::pin!(interrupt);
        self.step(Event::Start);
        self.forget_expelled();
        while self.ended.is_none() {
            self.tell_status();
            let tell = self.told.map_or_else(Instant::now, |told| told.next());
            // Without a wake-up there is still something to wake up for: an hour bounds a forgotten timer.
            let wake = self.wake_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                () = &mut interrupt => self.step(Event::Interrupt),
                input = inbox.recv() => match input {
                    Some(input) => self.take(input),
                    None => self.step(Event::Interrupt),
                },
                () = sleep_until(tell) => {}
                () = sleep_until(wake) => {
                    self.wake_at = None;
                    self.step(Event::Tick);
                }
            }
        }
    }

    /// Sites that were expelled while no coordinator ran are not waited for.
    fn forget_expelled(&mut self) {
        let Some(door) = &self.shared.door else { return };
        let counted_on = self.machine.counted_on();
        let gone: Vec<SiteName> = counted_on.into_iter().filter(|site| !door.office.is_active(site)).collect();
        for site in gone {
            self.step(Event::Expelled { site, reason: "it is no longer an active member".to_owned() });
        }
    }

    fn take(&mut self, input: Input) {
        if !enrolment::is_welcome(&input, &self.shared) {
            return;
        }
        match input {
            Input::Arrived { site, connection, samples, class_counts, outgoing } => {
                if let Some(old) = self.sites.insert(site.clone(), SiteHandle { connection, outgoing }) {
                    // The newest connection counts: after a network change the old one may look alive for a while.
                    let _ = old.outgoing.try_send(Outgoing::Close(CloseReason::Replaced));
                }
                self.step(Event::Arrived { site, samples, class_counts });
            }
            Input::Left { site, connection, reason } => {
                if self.sites.get(&site).is_some_and(|handle| handle.connection == connection) {
                    self.sites.remove(&site);
                    self.step(Event::Left { site, reason });
                }
            }
            Input::Update { event, site, connection, answer } => {
                // Of a connection that a newer one replaced, nothing is waited for: the site offers its update there.
                if self.sites.get(&site).is_some_and(|handle| handle.connection == connection) {
                    self.answers.insert(site, answer);
                    self.step(event);
                }
            }
            Input::Event(event) => self.step(event),
        }
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        let now = self.now();
        // Aggregation is arithmetic over whole models: other tasks of this thread move elsewhere meanwhile.
        tokio::task::block_in_place(|| self.machine.step(now, event, &mut actions));
        for action in actions {
            self.carry_out(action);
        }
        self.told.iter_mut().for_each(|told| told.is_old = true);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send { site, task } => {
                // A full queue means a site that takes nothing; its round will close without it.
                if let Some(handle) = self.sites.get(&site) {
                    let left = task.deadline.since(self.now());
                    let _ = handle.outgoing.try_send(Outgoing::Task { task, time_left_ms: left });
                }
            }
            Action::Answer { site, answer, .. } => {
                if let Some(waiting) = self.answers.remove(&site) {
                    let _ = waiting.send(answer);
                }
            }
            Action::Journal(record) => self.journal.write(Write::Record(record)),
            Action::Commit { entry, model, state } => self.journal.write(Write::Commit { entry, model, state }),
            Action::EvaluateCentrally { model } => {
                let (host, inputs) = (Arc::clone(&self.host), self.inputs.clone());
                tokio::task::spawn_blocking(move || {
                    let event = Event::CentralEvaluation { round: model.round, result: host.evaluate(&model) };
                    let _ = inputs.blocking_send(Input::Event(event));
                });
            }
            Action::WakeAt(at) => self.wake_at = Some(self.started + Duration::from_millis(at.0)),
            Action::Publish(event) => {
                self.shared.uploads.hear(&event);
                self.sink.publish(&event);
            }
            Action::Finish { outcome, model } => self.ended = Some(Ended { outcome, model }),
        }
    }

    async fn say_farewell(&mut self, endpoint: &Endpoint) {
        let (completed, reason) = match self.machine.outcome() {
            Some(Outcome::Completed) => (true, "all rounds are done".to_owned()),
            Some(Outcome::Stopped { reason }) => (false, reason.clone()),
            Some(Outcome::Interrupted) | None => (false, "the coordinator was interrupted".to_owned()),
        };
        let finished = Finished { completed, reason: shorten(&reason), model: self.machine.model().digest };
        for handle in self.sites.values() {
            let _ = handle.outgoing.try_send(Outgoing::Finished(finished.clone()));
        }
        self.sites.clear();
        let all_gone = async {
            while endpoint.open_connections() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout(FAREWELL_MAX, all_gone).await;
        endpoint.close(CloseReason::Finished.code(), b"");
        let _ = timeout(FAREWELL_MAX, endpoint.wait_idle()).await;
    }
}
