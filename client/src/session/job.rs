//! Training on a thread of its own, so that neither pings nor the line depend on it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use synod_common::ids::RoundId;
use synod_common::metrics::Metrics;
use synod_common::state::State;
use synod_common::update::{Buffer, Update};
use synod_common::wire::Progress;
use tokio::sync::mpsc;

use super::actions::JobKey;
use crate::keep::StateFolder;
use crate::work::{Order, Work};

/// What a job needs besides the site's data.
#[derive(Debug)]
pub(super) struct JobOrder {
    pub(super) key: JobKey,
    pub(super) model: Buffer,
    pub(super) extra: Option<Buffer>,
    pub(super) last_counted: RoundId,
}

/// What comes out of a job.
#[derive(Debug)]
pub(super) enum Product {
    Update(Box<Update>),
    Evaluated { round: RoundId, metrics: Option<Metrics> },
    Failed { round: RoundId, reason: String },
}

/// What a job tells while and when it runs.
#[derive(Debug)]
pub(super) enum JobEvent {
    Progress(Progress),
    /// What the site kept of the round that the task goes on from is gone; it begins anew.
    StateLost {
        key: JobKey,
        reason: String,
    },
    Done(JobKey, Product),
}

/// A running job. Dropping it lets the thread stop at its next report.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: JobKey,
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

/// What the site kept of the round that a task goes on from. If it is gone the site is told, and begins anew.
fn kept_state(
    key: JobKey,
    last_counted: RoundId,
    keeper: Option<&StateFolder>,
    events: &mpsc::UnboundedSender<JobEvent>,
) -> State {
    let state = keeper.map_or_else(|| Ok(State::default()), |keeper| keeper.begin_from(last_counted));
    state.unwrap_or_else(|error| {
        let _ = events.send(JobEvent::StateLost { key, reason: error.to_string() });
        State::default()
    })
}

impl Job {
    /// Begins the training that `order` asks for, with and for what `keeper` holds; `delta` is where its numbers go. Without
    /// a keeper the plan's sites keep nothing.
    pub(super) fn train(
        work: &Arc<Work>,
        order: JobOrder,
        delta: Buffer,
        keeper: Option<Arc<StateFolder>>,
        events: mpsc::UnboundedSender<JobEvent>,
    ) -> Self {
        Self::spawn(work, order.key, events, move |work, events, cancelled| {
            let JobOrder { key, model, extra, last_counted } = order;
            let mut watch = |r: crate::train::StepReport| {
                let _ = events.send(JobEvent::Progress(Progress {
                    round: key.round,
                    step: r.step,
                    steps: r.steps,
                    loss: r.loss,
                }));
                if cancelled.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let state = kept_state(key, last_counted, keeper.as_deref(), events);
            let order = Order { round: key.round, model: &model, extra: extra.as_deref() };
            let trained = work.train(order, &state, delta, clock, &mut watch).map_err(|error| error.to_string());
            let kept = trained.and_then(|(update, state)| match &keeper {
                // Durable before the update is sent: once it counts, the next task asks for this state.
                Some(keeper) => keeper.save(key.round, &state).map(|()| update).map_err(|error| error.to_string()),
                None => Ok(update),
            });
            match kept {
                Ok(update) => Product::Update(Box::new(update)),
                Err(reason) => Product::Failed { round: key.round, reason },
            }
        })
    }

    /// Begins to measure the model of `order` with what `keeper` holds.
    pub(super) fn evaluate(
        work: &Arc<Work>,
        order: JobOrder,
        keeper: Option<Arc<StateFolder>>,
        events: mpsc::UnboundedSender<JobEvent>,
    ) -> Self {
        Self::spawn(work, order.key, events, move |work, events, _| {
            let JobOrder { key, model, extra, last_counted } = order;
            let state = kept_state(key, last_counted, keeper.as_deref(), events);
            let order = Order { round: key.round, model: &model, extra: extra.as_deref() };
            match work.evaluate(order, &state) {
                Ok(metrics) => Product::Evaluated { round: key.round, metrics },
                Err(error) => Product::Failed { round: key.round, reason: error.to_string() },
            }
        })
    }

    fn spawn(
        work: &Arc<Work>,
        key: JobKey,
        events: mpsc::UnboundedSender<JobEvent>,
        body: impl FnOnce(&Work, &mpsc::UnboundedSender<JobEvent>, &AtomicBool) -> Product + Send + 'static,
    ) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (work, flag) = (Arc::clone(work), Arc::clone(&cancelled));
        tokio::task::spawn_blocking(move || {
            // One thread of its own: the same bits on any number of cores.
            let product = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                Ok(pool) => pool.install(|| body(&work, &events, &flag)),
                Err(error) => Product::Failed { round: key.round, reason: format!("no thread for training: {error}") },
            };
            let _ = events.send(JobEvent::Done(key, product));
        });
        Self { key, cancelled }
    }
}
