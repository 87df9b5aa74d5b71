//! Drives the round machine with worker threads instead of sockets.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use synod_client::train::Trainer;
use synod_common::event::{EventSink, RunEvent};
use synod_common::plan::Plan;
use synod_common::state::State;
use synod_common::update::BufferPool;
use synod_common::wire::TaskKind;
use synod_coordinator::round::{Action, Ended, Event, Machine, Millis, Setup};
use synod_coordinator::server::Host;

use super::clock::millis;
use super::crew::{Delivery, Done, Job, Queue};
use super::error::FleetError;
use super::gang::Gang;
use super::kept::KeptStates;
use super::pace::{ANY_TIME, Pace};
use super::population::Population;
use super::turnover::Turnover;

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
        let has_clock = self.plan.simulation.as_ref().is_some_and(|simulation| !simulation.profiles.is_empty());
        self.prepare()?;
        let (queue, kept) = (Queue::default(), KeptStates::default());
        let (results, inbox) = mpsc::sync_channel(UPDATES_QUEUED_MAX);
        std::thread::scope(|scope| {
            for one in pools {
                let (queue, kept, results, pool) = (&queue, &kept, results.clone(), pool.clone());
                scope.spawn(move || one.install(|| self.work(queue, kept, &results, &pool)));
            }
            drop(results);
            let result = if has_clock {
                self.drive_by_clock(setup, threads, &queue, &kept, &inbox)
            } else {
                self.drive(setup, &queue, &kept, &inbox)
            };
            queue.close();
            // Workers that wait to deliver are let go.
            drop(inbox);
            Ok(result)
        })
    }

    /// Prepares the sites, where they are few enough, so that what cannot be used is known before the run begins.
    fn prepare(&self) -> Result<(), FleetError> {
        if self.population.len() <= PREPARED_MAX {
            for index in 0..self.population.len() {
                self.population.data(index)?;
            }
        }
        Ok(())
    }

    /// The site at `index` comes, with what it says of itself.
    pub(super) fn arrival(&self, index: usize) -> Option<Event> {
        // Prepared before, or too many to prepare those that may never have a turn.
        if self.population.len() > PREPARED_MAX {
            return self.returning(index);
        }
        let (site, data) = (self.population.name(index)?.clone(), self.population.data(index).ok()?);
        let class_counts = data.train.class_counts(self.plan.task.classes());
        Some(Event::Arrived { site, samples: data.train.len() as u64, class_counts })
    }

    /// The site at `index` comes and says no more than how many samples it has.
    pub(super) fn returning(&self, index: usize) -> Option<Event> {
        let (site, samples) = (self.population.name(index)?.clone(), self.population.size(index)? as u64);
        Some(Event::Arrived { site, samples, class_counts: Vec::new() })
    }

    /// The site at `index` goes for good.
    pub(super) fn departure(&self, index: usize) -> Option<Event> {
        let site = self.population.name(index)?.clone();
        Some(Event::Left { site, reason: "it left the federation".to_owned() })
    }

    /// Who is there in which round.
    pub(super) fn turnover(&self) -> Turnover {
        let arrival = self.plan.simulation.as_ref().and_then(|simulation| simulation.arrival.as_ref());
        Turnover::draw(arrival, self.population.len(), self.plan.seed)
    }

    /// Does what every driver does with an action, and gives back what is left to do. `publish` hears what is told.
    pub(super) fn carry_out(
        &self,
        action: Action,
        kept: &KeptStates,
        next: &mut VecDeque<Event>,
        publish: impl FnOnce(&RunEvent),
    ) -> Option<Action> {
        match action {
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
                publish(&event);
            }
            // Nobody is waiting for an answer.
            Action::Answer { .. } => {}
            left => return Some(left),
        }
        None
    }

    fn drive(&self, setup: Setup, queue: &Queue, kept: &KeptStates, inbox: &mpsc::Receiver<Delivery>) -> Ended {
        // Everyone who is there at the start is there before the first round, as if arrival.count.min were all of them.
        let mut machine = Machine::new(setup);
        let turnover = self.turnover();
        let mut next: VecDeque<Event> = turnover.at_start().filter_map(|site| self.arrival(site)).collect();
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
            } else if let Some(Delivery { done, keep, .. }) = pace.next() {
                outstanding -= 1;
                if let Some(keep) = keep {
                    kept.keep(keep);
                }
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
                    Ok(delivery) => pace.came(delivery.ticket, delivery),
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
                if let Action::Commit { model, .. } = &action {
                    // Those of the next round come and go before it is opened.
                    next.extend(turnover.leaving(model.round.next()).filter_map(|site| self.departure(site)));
                    next.extend(turnover.coming(model.round.next()).filter_map(|site| self.arrival(site)));
                }
                match self.carry_out(action, kept, &mut next, |event| self.sink.publish(event)) {
                    Some(Action::Send { site, task }) => {
                        outstanding += 1;
                        let index = self.population.index(&site);
                        let ticket = match task.kind {
                            TaskKind::Train => {
                                gang.sent(task.round, index.is_some_and(|site| hostile.colludes(site)));
                                let samples = index.and_then(|site| self.population.size(site)).unwrap_or(0);
                                pace.train(&self.plan, task.round, &site, samples as u64)
                            }
                            TaskKind::Evaluate => ANY_TIME,
                        };
                        queue.push(Job::Site { ticket, site, task, work_ms: None });
                    }
                    Some(Action::EvaluateCentrally { model }) => {
                        outstanding += 1;
                        queue.push(Job::Central { ticket: ANY_TIME, model });
                    }
                    Some(Action::WakeAt(at)) => wake_at = Some(at),
                    Some(Action::Finish { outcome, model }) => return Ended { outcome, model },
                    Some(Action::Journal(_) | Action::Commit { .. } | Action::Publish(_) | Action::Answer { .. })
                    | None => {}
                }
            }
        }
    }
}
