//! The workers of a fleet and what they do.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};

use synod_client::work::{Order, Work};
use synod_common::ids::SiteName;
use synod_common::update::{BufferPool, Update};
use synod_common::wire::TaskKind;
use synod_coordinator::round::{Event, Measured, ModelVersion, OutTask, Received};

use super::clock::millis;
use super::driver::Fleet;
use super::kept::{Keep, KeptStates};

/// Work for one worker. The ticket comes back with what it gives.
pub(super) enum Job {
    Site {
        ticket: u64,
        site: SiteName,
        task: OutTask,
        /// What the update says its training took, where a virtual clock knows that.
        work_ms: Option<u64>,
    },
    Central {
        ticket: u64,
        model: Arc<ModelVersion>,
    },
}

/// Jobs that wait for a worker.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn push(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).0.push_back(job);
        self.changed.notify_one();
    }

    /// No more jobs: workers end, waiting ones are dropped.
    pub(super) fn close(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.0.clear();
        jobs.1 = true;
        self.changed.notify_all();
    }

    /// Waits for a job; `None` at the end.
    fn pop(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = jobs.0.pop_front() {
                return Some(job);
            }
            if jobs.1 {
                return None;
            }
            jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a worker gives back.
pub(super) struct Delivery {
    pub(super) ticket: u64,
    pub(super) done: Done,
    /// What the site keeps when this is delivered.
    pub(super) keep: Option<Keep>,
}

/// What came of a job.
pub(super) enum Done {
    Event(Event),
    /// What a hostile site would have sent by itself; it waits for the others.
    Held(SiteName, Box<Result<Update, Event>>),
}

impl Fleet<'_> {
    /// One worker: takes jobs until the queue closes.
    pub(super) fn work(
        &self,
        queue: &Queue,
        kept: &KeptStates,
        results: &mpsc::SyncSender<Delivery>,
        pool: &BufferPool,
    ) {
        while let Some(job) = queue.pop() {
            let done = match job {
                Job::Site { ticket, site, task, work_ms } => {
                    let (done, keep) = self.site_job(site, &task, work_ms, kept, pool);
                    Delivery { ticket, done, keep }
                }
                Job::Central { ticket, model } => {
                    Delivery { ticket, done: Done::Event(self.central_job(&model)), keep: None }
                }
            };
            if results.send(done).is_err() {
                return;
            }
        }
    }

    fn site_job(
        &self,
        site: SiteName,
        task: &OutTask,
        work_ms: Option<u64>,
        kept: &KeptStates,
        pool: &BufferPool,
    ) -> (Done, Option<Keep>) {
        let round = task.round;
        let declined = |site: &SiteName, reason| Event::Declined { site: site.clone(), round, reason };
        let Some(index) = self.population.index(&site) else {
            return (Done::Event(declined(&site, "there is no such site".to_owned())), None);
        };
        let hostile = self.population.hostile();
        let work = match self.population.data_in(index, round.0) {
            Ok(data) => Work::new(site.clone(), Arc::clone(&self.trainer), data),
            Err(error) => return (Done::Event(declined(&site, error.to_string())), None),
        };
        let keeps = self.trainer.keeps_state();
        let known = if keeps { kept.of(&site, task.last_counted) } else { Some(Arc::default()) };
        let Some(state) = known else {
            let reason = format!("its state of round {} is lost; this is a bug, please report it", task.last_counted);
            return (Done::Event(declined(&site, reason)), None);
        };
        if task.kind == TaskKind::Evaluate {
            let event = match work.evaluate(round, &task.model.values, &state) {
                Ok(metrics) => Event::Evaluated { site, round, metrics },
                Err(error) => declined(&site, error.to_string()),
            };
            return (Done::Event(event), None);
        }
        let mut watch =
            |_| if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let order = Order { round, model: &task.model.values, control: task.control.as_deref() };
        let (trained, keep) = match work.train(order, &state, pool.take(), millis, &mut watch) {
            Ok((mut update, state)) => {
                update.header.train_ms = work_ms.unwrap_or(update.header.train_ms);
                (Ok(update), keeps.then(|| Keep { site: site.clone(), base: task.last_counted, round, state }))
            }
            Err(error) => (Err(declined(&site, error.to_string())), None),
        };
        let done = match trained {
            trained if hostile.colludes(index) => Done::Held(site, Box::new(trained)),
            Ok(mut update) => {
                hostile.change(index, work.client, round, &mut update);
                Done::Event(Event::Update { site, received: Received::screen(update) })
            }
            Err(declined) => Done::Event(declined),
        };
        (done, keep)
    }

    fn central_job(&self, model: &ModelVersion) -> Event {
        let result = match self.population.test() {
            None => Err("there is no central test set".to_owned()),
            Some(test) => match self.trainer.evaluate(&model.values, test) {
                Ok(evaluation) => Ok(Measured { metrics: evaluation.metrics, confusion: evaluation.confusion }),
                Err(error) => Err(error.to_string()),
            },
        };
        Event::CentralEvaluation { round: model.round, result }
    }
}
