//! The session's edge: a loop that reads, steps the machine, and carries out what it decides.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Connection, Endpoint};
use synod_common::time::Millis;
use synod_common::update::Update;
use synod_common::wire::{Answer, Declined, Evaluated, shorten};
use synod_transport::StreamError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::actions::{Finish, JobKey, Product, SessionAction, SessionEnd, SessionEvent, SiteEvent};
use super::job::{Job, JobEvent, JobOrder};
use super::line::{Attempt, Line, LineEnd, LineEvent, Lines, Word};
use super::machine::{Rules, Session};
use super::prepare::{Loader, Prepared};
use super::upload::upload;
use crate::enrol::Wallet;

/// How long the end of a session may take.
const CLOSING_MAX: Duration = Duration::from_secs(1);
/// How long the disk may take with what is still to be written at the end.
const FLUSH_MAX: Duration = Duration::from_secs(10);
/// How long the loop sleeps where nothing is to wake it: no more than a bound on a forgotten timer.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// How to take part.
pub struct SessionOptions {
    /// The site's identity, which is renewed on the way.
    pub wallet: Arc<Wallet>,
    /// The coordinator, as `host:port`.
    pub coordinator: String,
    /// This program's release, for the other side's eyes.
    pub release: String,
    /// How long to try to reach the coordinator before giving up. With a task in hand it is at least until that is due.
    pub unreachable_max: Duration,
    /// Where the site keeps what it must remember: between rounds, where the plan's algorithms need that, and of the work in
    /// hand. Made when needed.
    pub state: PathBuf,
    /// How often the progress of a training is kept there.
    pub keep_every: Duration,
    /// Loads the site's samples once the plan is known.
    pub loader: Loader,
}

/// Why a session ended without the run's end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Nobody answers.
    #[error("cannot reach the coordinator at {address} for {}: {reason}; check the address, that it runs, and that UDP gets through", humantime(*after))]
    Unreachable {
        /// Where.
        address: String,
        /// For how long.
        after: Duration,
        /// The last reason.
        reason: String,
    },
    /// One side does not accept the other's certificate or role.
    #[error("the coordinator at {address} and this site do not accept each other: {reason}")]
    Refused {
        /// Where.
        address: String,
        /// Why, with what to do.
        reason: String,
    },
    /// The site's data or this program does not fit the plan.
    #[error("this site cannot take part: {0}")]
    Unfit(String),
    /// A person or a signal ended it.
    #[error("interrupted; the coordinator was told, and work that was kept goes on when this command is run again")]
    Interrupted,
}

fn humantime(duration: Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}

/// Who hears of what happens.
pub(super) type Watch = Arc<dyn Fn(SiteEvent) + Send + Sync>;

/// Takes part until the coordinator says that the run is over.
///
/// # Errors
/// When the coordinator stays unreachable, one side refuses the other, the data does not fit, or `interrupt` ends it.
pub async fn run(
    options: SessionOptions,
    watch: Box<dyn Fn(SiteEvent) + Send + Sync>,
    interrupt: impl Future<Output = ()> + Send,
) -> Result<Finish, SessionError> {
    let address = options.coordinator.clone();
    let endpoint = Arc::new(Mutex::new(None));
    let (jobs, inbox) = mpsc::unbounded_channel();
    let lines = Lines { options: Arc::new(options), endpoint: Arc::clone(&endpoint), jobs };
    let mut edge = Edge::new(lines, watch.into(), inbox);
    let end = edge.run(interrupt).await;
    let prepared = edge.prepared.take();
    drop(edge);
    let flush = tokio::task::spawn_blocking(move || prepared.iter().for_each(|prepared| prepared.keeper.flush()));
    let _ = timeout(FLUSH_MAX, flush).await;
    let last: Option<Endpoint> = endpoint.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(endpoint) = last {
        // The word that this side leaves is still on its way; without it the coordinator would wait for a time-out.
        let _ = timeout(CLOSING_MAX, endpoint.wait_idle()).await;
    }
    match end {
        SessionEnd::Finished(finish) => Ok(finish),
        SessionEnd::Refused { reason } => Err(SessionError::Refused { address, reason }),
        SessionEnd::Unfit { reason } => Err(SessionError::Unfit(reason)),
        SessionEnd::Unreachable { after_ms, reason } => {
            Err(SessionError::Unreachable { address, after: Duration::from_millis(after_ms), reason })
        }
        SessionEnd::Interrupted => Err(SessionError::Interrupted),
    }
}

type Uploading = Pin<Box<dyn Future<Output = (JobKey, Result<Answer, StreamError>)> + Send>>;

/// What the machine's actions are about.
struct Edge {
    lines: Lines,
    watch: Watch,
    started: Instant,
    session: Session,
    attempt: Option<Attempt>,
    line: Option<Line>,
    connection: Option<Connection>,
    prepared: Option<Arc<Prepared>>,
    /// Of the newest task, until its job begins.
    order: Option<JobOrder>,
    job: Option<Job>,
    update: Option<(JobKey, Arc<Update>)>,
    metrics: Option<Evaluated>,
    uploading: Option<Uploading>,
    inbox: mpsc::UnboundedReceiver<JobEvent>,
    wake_at: Option<Instant>,
    end: Option<SessionEnd>,
}

/// What is there, or nothing for ever.
async fn of<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn heard(line: &mut Option<Line>) -> LineEvent {
    if let Some(line) = line
        && let Some(event) = line.events.recv().await
    {
        return event;
    }
    std::future::pending().await
}

impl Edge {
    fn new(lines: Lines, watch: Watch, inbox: mpsc::UnboundedReceiver<JobEvent>) -> Self {
        let SessionOptions { wallet, unreachable_max, .. } = &*lines.options;
        let unreachable_ms_max = u64::try_from(unreachable_max.as_millis()).unwrap_or(u64::MAX);
        let session = Session::new(Rules { unreachable_ms_max, spread: wallet.identity().name().client_id().0[0] });
        Self {
            lines,
            watch,
            started: Instant::now(),
            session,
            attempt: None,
            line: None,
            connection: None,
            prepared: None,
            order: None,
            job: None,
            update: None,
            metrics: None,
            uploading: None,
            inbox,
            wake_at: None,
            end: None,
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn run(&mut self, interrupt: impl Future<Output = ()> + Send) -> SessionEnd {
        let mut interrupt = std::pin::pin!(interrupt);
        self.step(SessionEvent::Start);
        loop {
            if let Some(end) = self.end.take() {
                return end;
            }
            let wake = self.wake_at.unwrap_or_else(|| Instant::now() + SLEEP_MAX);
            let event = tokio::select! {
                biased;
                () = &mut interrupt => Some(SessionEvent::Interrupt),
                event = heard(&mut self.line) => Some(self.on_line(event)),
                end = of(&mut self.attempt) => Some(self.on_line_end(end)),
                Some(event) = self.inbox.recv() => self.on_job(event),
                (key, sent) = of(&mut self.uploading) => self.on_upload(key, sent),
                () = sleep_until(wake) => {
                    self.wake_at = None;
                    Some(SessionEvent::Tick)
                }
            };
            event.into_iter().for_each(|event| self.step(event));
        }
    }

    fn on_line(&mut self, event: LineEvent) -> SessionEvent {
        match event {
            LineEvent::Greeted { connection, prepared, found } => {
                if self.prepared.as_ref().is_none_or(|before| before.digest != prepared.digest) {
                    let (digest, samples) = (prepared.digest, prepared.work.samples());
                    let (site, plan) = (prepared.work.site.clone(), prepared.plan.name.clone());
                    (self.watch)(SiteEvent::Joined { site, plan, digest, samples });
                    self.update = found.update;
                    found.unusable.into_iter().for_each(|reason| (self.watch)(SiteEvent::KeptUnusable { reason }));
                }
                self.connection = Some(connection);
                let plan = prepared.digest;
                self.prepared = Some(prepared);
                SessionEvent::Greeted { plan, kept: found.kept }
            }
            LineEvent::Task { order, kind, time_left_ms } => {
                let key = order.key;
                self.order = Some(order);
                SessionEvent::Task { key, kind, due: self.now().plus(time_left_ms) }
            }
            LineEvent::BadTask { round, reason } => SessionEvent::BadTask { round, reason },
        }
    }

    fn on_line_end(&mut self, end: LineEnd) -> SessionEvent {
        (self.attempt, self.line, self.connection, self.uploading) = (None, None, None, None);
        match end {
            LineEnd::Broke(fault, reason) => SessionEvent::Disconnected { fault, reason },
            LineEnd::Unfit(reason) => SessionEvent::Unfit { reason },
            LineEnd::Finished(finish) => SessionEvent::Finished(finish),
        }
    }

    fn on_job(&mut self, event: JobEvent) -> Option<SessionEvent> {
        // A job that was replaced may still report: its result must not take the place of another.
        let in_hand = self.session.in_hand();
        Some(match event {
            JobEvent::Progress(key, progress) => SessionEvent::Progress { key, progress },
            JobEvent::StateLost { key, reason } => {
                (self.watch)(SiteEvent::StateLost { round: key.round, reason });
                return None;
            }
            JobEvent::Resumed { key, at, epoch } => {
                (self.watch)(SiteEvent::Resumed { round: key.round, epoch, step: at.step, steps: at.steps });
                return None;
            }
            JobEvent::Trained(key, update) => {
                let loss = update.header.train.get("loss");
                if in_hand == Some(key) {
                    self.update = Some((key, Arc::from(update)));
                }
                SessionEvent::Trained(Product { key, loss })
            }
            JobEvent::Measured(key, metrics) => {
                if in_hand == Some(key) {
                    self.metrics = Some(Evaluated { round: key.round, metrics });
                }
                SessionEvent::Measured(key)
            }
            JobEvent::Failed(key, reason) => SessionEvent::Failed { key, reason },
            JobEvent::Stored(key, Ok(())) => SessionEvent::Stored(key),
            JobEvent::Stored(key, Err(error)) => SessionEvent::NotStored { key, reason: error.to_string() },
        })
    }

    fn on_upload(&mut self, key: JobKey, sent: Result<Answer, StreamError>) -> Option<SessionEvent> {
        self.uploading = None;
        match sent {
            Ok(answer) => Some(SessionEvent::Answered { key, answer }),
            // The line's own end tells it better.
            Err(StreamError::Connection(_)) => None,
            Err(error) => Some(SessionEvent::UploadBroke { key, reason: error.to_string() }),
        }
    }

    fn step(&mut self, event: SessionEvent) {
        let mut actions = Vec::new();
        self.session.step(self.now(), event, &mut actions);
        actions.into_iter().for_each(|action| self.carry_out(action));
        // The model of a task that nothing comes of is not kept.
        let next = self.session.next_task();
        self.order = self.order.take().filter(|order| next == Some(order.key));
    }

    fn say(&self, word: Word) {
        if let Some(line) = &self.line {
            line.say(word);
        }
    }

    fn carry_out(&mut self, action: SessionAction) {
        match action {
            SessionAction::Connect => {
                let (attempt, line) = Line::open(self.lines.clone(), self.prepared.clone());
                (self.attempt, self.line) = (Some(attempt), Some(line));
            }
            SessionAction::WakeAt(at) => self.wake_at = Some(self.started + Duration::from_millis(at.0)),
            SessionAction::Start { kind, begin, .. } => {
                if let (Some(prepared), Some(order)) = (&self.prepared, self.order.take()) {
                    let (keep_every, jobs) = (self.lines.options.keep_every, self.lines.jobs.clone());
                    self.job = Some(Job::start(prepared, kind, begin, order, keep_every, jobs));
                }
            }
            SessionAction::Cancel(_) => self.job = None,
            SessionAction::Store(key) => {
                if let (Some(prepared), Some((_, update))) = (&self.prepared, &self.update) {
                    prepared.keeper.store(key, Arc::clone(update));
                }
            }
            SessionAction::Upload(key) => {
                if let (Some(connection), Some((_, update))) = (&self.connection, &self.update) {
                    let sending = upload(connection.clone(), Arc::clone(update), Arc::clone(&self.watch));
                    self.uploading = Some(Box::pin(async move { (key, sending.await) }));
                }
            }
            SessionAction::Report(progress) => self.say(Word::Progress(progress)),
            SessionAction::SendMetrics(_) => {
                self.metrics.iter().for_each(|metrics| self.say(Word::Evaluated(metrics.clone())));
            }
            SessionAction::Decline { round, reason } => {
                self.say(Word::Declined(Declined { round, reason: shorten(&reason) }));
            }
            SessionAction::Forget(_) => {
                (self.uploading, self.update) = (None, None);
                self.prepared.iter().for_each(|prepared| prepared.keeper.forget());
            }
            SessionAction::Tell(event) => (self.watch)(event),
            SessionAction::End(end) => self.end = Some(end),
        }
    }
}
