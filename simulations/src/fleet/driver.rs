//! Drives the round machine with worker threads instead of sockets.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use synod_client::train::Trainer;
use synod_client::work::{Order, Work};
use synod_common::event::{EventSink, RunEvent};
use synod_common::ids::{RoundId, SiteName};
use synod_common::plan::Plan;
use synod_common::state::State;
use synod_common::update::{BufferPool, Update};
use synod_common::wire::TaskKind;
use synod_coordinator::round::{
    Action, Ended, Event, Machine, Measured, Millis, ModelVersion, OutTask, Received, Setup,
};
use synod_coordinator::server::Host;

use super::clock::millis;
use super::error::FleetError;
use super::hostile::Hostile;
use super::kept::KeptStates;
use super::pace::{Pace, Turn};
use super::population::Population;

/// Updates on their way from workers to the machine, besides the one each worker makes.
const UPDATES_QUEUED_MAX: usize = 2;
/// Up to so many sites are prepared at the start, so that their training samples are known; more are prepared when it is
/// their turn.
const PREPARED_MAX: usize = 2000;

/// How to drive a fleet.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// Worker threads. One a core is best: two threads on one site's arithmetic gain less than two sites on two cores.
    pub threads: usize,
}

/// A simulated run.
pub struct Fleet<'a> {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Trains and measures.
    pub trainer: Arc<Trainer>,
    /// The sites.
    pub population: &'a Population,
    /// Saves models; its central evaluation is not asked, the fleet's own workers do that.
    pub host: &'a dyn Host,
    /// Hears of everything.
    pub sink: &'a dyn EventSink,
    /// Set from outside to end the run early.
    pub stop: &'a AtomicBool,
}

/// What a worker gives back.
enum Done {
    Event(Event),
    /// What a hostile site would have sent by itself; it waits for the others.
    Held(SiteName, Box<Result<Update, Event>>),
}

/// Hostile sites that wait for each other: what they send depends on all their honest updates.
#[derive(Default)]
struct Gang {
    round: RoundId,
    /// Members of the round, honest ones included.
    members: usize,
    /// How many of the hostile ones still train.
    at_work: usize,
    held: BTreeMap<SiteName, Update>,
}

impl Gang {
    /// A task of `round` goes to a member.
    fn sent(&mut self, round: RoundId, hostile: bool) {
        if round != self.round {
            *self = Self { round, ..Self::default() };
        }
        self.members += 1;
        self.at_work += usize::from(hostile);
    }

    /// A hostile member has trained, or failed to, which is known at once. When it was the last one all of them send.
    fn done(&mut self, site: SiteName, result: Result<Update, Event>, hostile: &Hostile) -> Vec<Event> {
        self.at_work = self.at_work.saturating_sub(1);
        let mut events = Vec::new();
        match result {
            Ok(update) => drop(self.held.insert(site, update)),
            Err(event) => events.push(event),
        }
        if self.at_work == 0 {
            let (sites, mut updates): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().unzip();
            hostile.conspire(&mut updates, self.members);
            let send = |(site, update)| Event::Update { site, received: Received::screen(update) };
            events.extend(sites.into_iter().zip(updates).map(send));
        }
        events
    }
}

enum Job {
    Site { site: SiteName, task: OutTask },
    Central { model: Arc<ModelVersion> },
}

/// Jobs that wait for a worker, those of the earliest turn first.
#[derive(Default)]
struct Queue {
    jobs: Mutex<(BTreeMap<Turn, Job>, bool)>,
    changed: Condvar,
}

impl Queue {
    fn push(&self, turn: Turn, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).0.insert(turn, job);
        self.changed.notify_one();
    }

    /// No more jobs: workers end, waiting ones are dropped.
    fn close(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.0.clear();
        jobs.1 = true;
        self.changed.notify_all();
    }

    /// Waits for a job; `None` at the end.
    fn pop(&self) -> Option<(Turn, Job)> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = jobs.0.pop_first() {
                return Some(job);
            }
            if jobs.1 {
                return None;
            }
            jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Fleet<'_> {
    /// Runs to the end.
    ///
    /// # Errors
    /// When a site's samples cannot be used or no thread can be started. Later trouble is the [`Ended`].
    pub fn run(&self, options: FleetOptions) -> Result<Ended, FleetError> {
        let threads = options.threads.clamp(1, 1024);
        let len = self.trainer.layout().len();
        let pool = BufferPool::new(len, threads + UPDATES_QUEUED_MAX + 8);
        let setup = Setup {
            plan: Arc::clone(&self.plan),
            layout: self.trainer.layout().clone(),
            initial: self.trainer.initial(),
            state: State::default(),
            pool: pool.clone(),
        };
        let pools = (0..threads)
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| FleetError::Threads(e.to_string()))?;
        let arrivals = self.arrivals()?;
        let (queue, kept) = (Queue::default(), KeptStates::default());
        let (results, inbox) = mpsc::sync_channel(UPDATES_QUEUED_MAX);
        std::thread::scope(|scope| {
            for one in pools {
                let (queue, kept, results, pool) = (&queue, &kept, results.clone(), pool.clone());
                scope.spawn(move || one.install(|| self.work(queue, kept, &results, &pool)));
            }
            drop(results);
            let result = self.drive(setup, arrivals, &queue, &kept, &inbox);
            queue.close();
            // Workers that wait to deliver are let go.
            drop(inbox);
            Ok(result)
        })
    }

    fn arrivals(&self) -> Result<Vec<Event>, FleetError> {
        let classes = self.plan.task.classes();
        let prepare = self.population.len() <= PREPARED_MAX;
        let mut all = Vec::with_capacity(self.population.len());
        for (index, (name, size)) in self.population.names().zip(self.population.sizes()).enumerate() {
            let (samples, class_counts) = if prepare {
                let data = self.population.data(index)?;
                (data.train.len() as u64, data.train.class_counts(classes))
            } else {
                (size as u64, Vec::new())
            };
            all.push(Event::Arrived { site: name.clone(), samples, class_counts });
        }
        Ok(all)
    }

    fn drive(
        &self,
        setup: Setup,
        arrivals: Vec<Event>,
        queue: &Queue,
        kept: &KeptStates,
        inbox: &mpsc::Receiver<(Turn, Done)>,
    ) -> Ended {
        // Everyone is there before the first round, as if arrival.count.min were all of them.
        let mut machine = Machine::new(setup);
        let mut next = VecDeque::from(arrivals);
        next.push_back(Event::Start);
        // The machine's time stands still while a round is open: a slow machine must not change who takes part.
        let started = millis();
        let mut now = Millis(0);
        let (mut wake_at, mut outstanding) = (None, 0_usize);
        let (hostile, mut gang) = (self.population.hostile(), Gang::default());
        let mut pace = Pace::new(&self.plan);
        loop {
            let event = if let Some(event) = next.pop_front() {
                event
            } else if self.stop.load(Ordering::Relaxed) {
                // What a site was stopped in is no failure of the site.
                Event::Interrupt
            } else if let Some(done) = pace.next() {
                outstanding -= 1;
                match done {
                    Done::Event(event) => event,
                    Done::Held(site, result) => {
                        next.extend(gang.done(site, *result, hostile));
                        continue;
                    }
                }
            } else if outstanding == 0 {
                // Nobody works and nothing is due but a deadline: it is reached at once.
                match wake_at.take() {
                    Some(at) => {
                        now = now.max(at);
                        Event::Tick
                    }
                    None => Event::Interrupt,
                }
            } else {
                match inbox.recv_timeout(Duration::from_millis(100)) {
                    Ok((turn, done)) => pace.came(turn, done),
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => next.push_back(Event::Interrupt),
                }
                continue;
            };
            if matches!(
                event,
                Event::Committed { .. } | Event::Evaluated { .. } | Event::CentralEvaluation { .. } | Event::Interrupt
            ) {
                now = now.max(Millis(millis() - started));
            }
            let mut actions = Vec::new();
            machine.step(now, event, &mut actions);
            for action in actions {
                match action {
                    Action::Send { site, task } => {
                        outstanding += 1;
                        let index = self.population.index(&site);
                        let turn = match task.kind {
                            TaskKind::Train => {
                                gang.sent(task.round, index.is_some_and(|site| hostile.colludes(site)));
                                let samples = index.and_then(|site| self.population.size(site)).unwrap_or(0);
                                pace.train(&self.plan, task.round, &site, samples as u64)
                            }
                            TaskKind::Evaluate => pace.other(),
                        };
                        queue.push(turn, Job::Site { site, task });
                    }
                    Action::EvaluateCentrally { model } => {
                        outstanding += 1;
                        queue.push(pace.other(), Job::Central { model });
                    }
                    Action::WakeAt(at) => wake_at = Some(at),
                    // A simulation that is stopped begins anew: nothing of it needs to outlive it.
                    Action::Journal(record) => next.push_back(Event::Journalled(record)),
                    Action::Commit { model, .. } => next.push_back(match self.host.checkpoint(&model) {
                        Ok(()) => Event::Committed { round: model.round },
                        Err(reason) => Event::CommitFailed { round: model.round, reason },
                    }),
                    Action::Publish(event) => {
                        if let RunEvent::RoundCommitted { round, took_part, .. } = &event {
                            kept.settle(took_part, *round);
                        }
                        self.sink.publish(&event);
                    }
                    Action::Finish { outcome, model } => return Ended { outcome, model },
                    // Nobody is waiting for an answer.
                    Action::Answer { .. } => {}
                }
            }
        }
    }

    /// One worker: takes jobs until the queue closes.
    fn work(&self, queue: &Queue, kept: &KeptStates, results: &mpsc::SyncSender<(Turn, Done)>, pool: &BufferPool) {
        while let Some((turn, job)) = queue.pop() {
            let done = match job {
                Job::Site { site, task } => self.site_job(site, &task, kept, pool),
                Job::Central { model } => Done::Event(self.central_job(&model)),
            };
            if results.send((turn, done)).is_err() {
                return;
            }
        }
    }

    fn site_job(&self, site: SiteName, task: &OutTask, kept: &KeptStates, pool: &BufferPool) -> Done {
        let round = task.round;
        let Some(index) = self.population.index(&site) else {
            return Done::Event(Event::Declined { site, round, reason: "there is no such site".to_owned() });
        };
        let hostile = self.population.hostile();
        let work = match self.population.data(index) {
            Ok(data) => Work::new(site.clone(), Arc::clone(&self.trainer), data),
            Err(error) => return Done::Event(Event::Declined { site, round, reason: error.to_string() }),
        };
        let keeps = self.trainer.keeps_state();
        let known = if keeps { kept.of(&site, task.last_counted) } else { Some(Arc::default()) };
        let Some(state) = known else {
            let reason = format!("its state of round {} is lost; this is a bug, please report it", task.last_counted);
            return Done::Event(Event::Declined { site, round, reason });
        };
        match task.kind {
            TaskKind::Train => {
                let mut watch = |_| {
                    if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let order = Order { round, model: &task.model.values, control: task.control.as_deref() };
                let trained = match work.train(order, &state, pool.take(), millis, &mut watch) {
                    Ok((update, state)) => {
                        if keeps {
                            kept.keep(&site, task.last_counted, round, state);
                        }
                        Ok(update)
                    }
                    Err(error) => Err(Event::Declined { site: site.clone(), round, reason: error.to_string() }),
                };
                if hostile.colludes(index) {
                    return Done::Held(site, Box::new(trained));
                }
                Done::Event(match trained {
                    Ok(mut update) => {
                        hostile.change(index, work.client, round, &mut update);
                        Event::Update { site, received: Received::screen(update) }
                    }
                    Err(declined) => declined,
                })
            }
            TaskKind::Evaluate => Done::Event(match work.evaluate(round, &task.model.values, &state) {
                Ok(metrics) => Event::Evaluated { site, round, metrics },
                Err(error) => Event::Declined { site, round, reason: error.to_string() },
            }),
        }
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
