//! Training on a thread of its own, so that neither pings nor the line depend on it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use synod_common::ids::RoundId;
use synod_common::metrics::Metrics;
use synod_common::state::State;
use synod_common::update::{Buffer, Update};
use synod_common::wire::{Progress, TaskKind};
use tokio::sync::mpsc;

use super::actions::{Begin, JobKey};
use super::prepare::Prepared;
use crate::keep::{KeepError, Keeper};
use crate::train::{KeepProgress, StepReport, Watch};
use crate::work::Order;

/// Where a progress has the round that its training goes on from.
const LAST_COUNTED: &str = "last_counted";

/// What a job needs besides the site's data.
#[derive(Debug)]
pub(super) struct JobOrder {
    pub(super) key: JobKey,
    pub(super) model: Buffer,
    pub(super) extra: Option<Buffer>,
    pub(super) last_counted: RoundId,
}

/// What a job tells while and when it runs, and its keeper after it.
#[derive(Debug)]
pub(super) enum JobEvent {
    Progress(JobKey, Progress),
    /// What the site kept of the round that the task goes on from is gone; it begins anew.
    StateLost {
        key: JobKey,
        reason: String,
    },
    /// It goes on from what an earlier life of the client kept of it.
    Resumed {
        key: JobKey,
        at: StepReport,
        epoch: u64,
    },
    Trained(JobKey, Box<Update>),
    Measured(JobKey, Option<Metrics>),
    Failed(JobKey, String),
    Stored(JobKey, Result<(), KeepError>),
}

/// A running job. Dropping it lets the thread stop at its next report.
#[derive(Debug)]
pub(super) struct Job {
    cancelled: Arc<AtomicBool>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Milliseconds of the process's clock.
#[expect(clippy::disallowed_methods, reason = "the session is the edge that measures how long training took")]
fn clock() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

type Events = mpsc::UnboundedSender<JobEvent>;

impl Job {
    /// Begins what `order` asks for.
    pub(super) fn start(
        prepared: &Arc<Prepared>,
        kind: TaskKind,
        begin: Begin,
        order: JobOrder,
        keep_every: Duration,
        events: Events,
    ) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (prepared, flag) = (Arc::clone(prepared), Arc::clone(&cancelled));
        tokio::task::spawn_blocking(move || {
            let key = order.key;
            // One thread of its own: the same bits on any number of cores.
            let done = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                Ok(pool) => pool.install(|| match kind {
                    TaskKind::Train => {
                        let keep_every = u64::try_from(keep_every.as_millis()).unwrap_or(u64::MAX);
                        train(&prepared, begin, order, keep_every, &events, &flag)
                    }
                    TaskKind::Evaluate => evaluate(&prepared, &order, &events),
                }),
                Err(error) => Err(format!("no thread for training: {error}")),
            };
            let _ = events.send(done.unwrap_or_else(|reason| JobEvent::Failed(key, reason)));
        });
        Self { cancelled }
    }
}

fn train(
    prepared: &Prepared,
    begin: Begin,
    order: JobOrder,
    keep_every: u64,
    events: &Events,
    cancelled: &AtomicBool,
) -> Result<JobEvent, String> {
    let state = kept_state(prepared, &order, events);
    let JobOrder { key, model, extra, last_counted } = order;
    let mut report = |r: StepReport| {
        let progress = Progress { round: key.round, step: r.step, steps: r.steps, loss: r.loss };
        let _ = events.send(JobEvent::Progress(key, progress));
        if cancelled.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let keeper = &prepared.keeper;
    let mut progress = JobProgress { key, last_counted, keeper, begin, keep_every, events, kept_at: clock() };
    let mut watch = Watch { report: &mut report, progress: Some(&mut progress) };
    let order = Order { round: key.round, model: &model, extra: extra.as_deref() };
    let trained = prepared.work.train_keeping(order, &state, prepared.pool.take(), clock, &mut watch);
    let (update, state) = trained.map_err(|error| error.to_string())?;
    if let Some(states) = &prepared.states {
        // Durable before the update is sent: once it counts, the next task asks for this state.
        states.save(key.round, &state).map_err(|error| error.to_string())?;
    }
    Ok(JobEvent::Trained(key, Box::new(update)))
}

fn evaluate(prepared: &Prepared, order: &JobOrder, events: &Events) -> Result<JobEvent, String> {
    let state = kept_state(prepared, order, events);
    let asked = Order { round: order.key.round, model: &order.model, extra: order.extra.as_deref() };
    let metrics = prepared.work.evaluate(asked, &state).map_err(|error| error.to_string())?;
    Ok(JobEvent::Measured(order.key, metrics))
}

/// What the site kept of the round that a task goes on from. If it is gone the site is told, and begins anew.
fn kept_state(prepared: &Prepared, order: &JobOrder, events: &Events) -> State {
    let states = prepared.states.as_ref();
    let state = states.map_or_else(|| Ok(State::default()), |states| states.begin_from(order.last_counted));
    state.unwrap_or_else(|error| {
        let _ = events.send(JobEvent::StateLost { key: order.key, reason: error.to_string() });
        State::default()
    })
}

/// Keeps the progress of one training.
struct JobProgress<'a> {
    key: JobKey,
    last_counted: RoundId,
    keeper: &'a Keeper,
    begin: Begin,
    /// In milliseconds.
    keep_every: u64,
    events: &'a Events,
    kept_at: u64,
}

impl KeepProgress for JobProgress<'_> {
    fn earlier(&mut self) -> Option<State> {
        let Begin::Continued = self.begin else { return None };
        // What cannot be read costs training anew and nothing else.
        let (key, progress) = self.keeper.folder().progress().ok().flatten()?;
        let fits = key == self.key && progress.number(LAST_COUNTED) == Some(self.last_counted.0 as f64);
        fits.then_some(progress)
    }

    fn goes_on(&mut self, at: StepReport, epoch: u64) {
        let _ = self.events.send(JobEvent::Resumed { key: self.key, at, epoch });
    }

    /// After the interval, or at the end of a pass that comes when half of it is over.
    fn is_due(&mut self, ends_pass: bool) -> bool {
        let passed = clock().saturating_sub(self.kept_at);
        let is_time = passed >= self.keep_every || (ends_pass && passed >= self.keep_every / 2);
        is_time && self.keeper.is_idle()
    }

    fn keep(&mut self, mut progress: State) {
        progress.set_number(LAST_COUNTED, self.last_counted.0 as f64);
        self.keeper.keep(self.key, progress);
        self.kept_at = clock();
    }
}
