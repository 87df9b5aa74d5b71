//! Drives the round machine on a virtual clock: what happens when is computed from the plan's profiles, and worker threads
//! only compute what is in the updates.
//!
//! ```text
//! Machine ── Send ──► fate of the task ──► timeline (time, number) ──► next event, whoever's it is ──► Machine
//!                                             └── look-ahead: the first answers due are computed by then
//! ```
//!
//! The order of events is that of the clock and never that of the workers, so any number of threads gives the same bits.
//! An answer that cannot count any more is not computed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use synod_common::event::RunEvent;
use synod_common::ids::{RoundId, SiteName};
use synod_common::plan::OnTooFew;
use synod_common::wire::TaskKind;
use synod_coordinator::round::{Action, Ended, Event, Machine, Millis, ModelVersion, OutTask, Received, Setup};

use super::crew::{Delivery, Done, Job, Queue};
use super::driver::Fleet;
use super::kept::KeptStates;
use super::systems::{Fate, Load, Systems};
use super::timeline::{Due, Place, Ticket};

/// Answers that are computed ahead of the clock, besides one for each thread.
const AHEAD: usize = 2;

/// The state of the drive.
struct Clocked<'a> {
    fleet: &'a Fleet<'a>,
    systems: Systems<'a>,
    queue: &'a Queue,
    inbox: &'a mpsc::Receiver<Delivery>,
    threads: usize,
    now: Millis,
    timeline: BTreeMap<(Millis, u64), Due>,
    /// Numbers for tickets and for places in the timeline.
    number: u64,
    tickets: BTreeMap<u64, Ticket>,
    /// Tickets by the time their answer is due, that no worker has yet.
    unstarted: BTreeSet<(Millis, u64)>,
    /// Answers that are computed.
    answers: BTreeMap<u64, Delivery>,
    /// Jobs that workers have, or have not begun.
    at_work: usize,
    /// Those of them that nobody waits for any more.
    abandoned: BTreeSet<u64>,
    /// Measurements of the global model that were asked for.
    central: VecDeque<u64>,
    places: Vec<Place>,
    open: RoundId,
}

impl Fleet<'_> {
    /// Runs to the end on the virtual clock.
    pub(super) fn drive_by_clock(
        &self,
        setup: Setup,
        threads: usize,
        queue: &Queue,
        kept: &KeptStates,
        inbox: &mpsc::Receiver<Delivery>,
    ) -> Ended {
        let turnover = self.turnover();
        let systems = Systems::new(&self.plan, self.population.traces(), self.population.len());
        let mut clocked = Clocked::new(self, systems, queue, inbox, threads);
        let mut machine = Machine::new(setup);
        let mut next: VecDeque<Event> = turnover.at_start().filter_map(|place| clocked.joins(place)).collect();
        next.push_back(Event::Start);
        let mut wake_at = None;
        loop {
            let event = match next.pop_front() {
                Some(event) => event,
                None if self.stop.load(Ordering::Relaxed) => Event::Interrupt,
                None => match clocked.next(&mut wake_at, kept) {
                    Some(event) => event,
                    None => continue,
                },
            };
            let mut actions = Vec::new();
            machine.step(clocked.now, event, &mut actions);
            for action in actions {
                if let Action::Commit { model, .. } = &action {
                    let round = model.round.next();
                    next.extend(turnover.leaving(round).filter_map(|place| clocked.leaves(place)));
                    next.extend(turnover.coming(round).filter_map(|place| clocked.joins(place)));
                }
                let now = clocked.now;
                let publish = |event: &RunEvent| {
                    if clocked.hears(event) {
                        self.sink.publish_at(now.0, event);
                    }
                };
                match self.carry_out(action, kept, &mut next, publish) {
                    Some(Action::Send { site, task }) => clocked.send(site, task),
                    Some(Action::EvaluateCentrally { model }) => clocked.measure(model),
                    Some(Action::WakeAt(at)) => wake_at = Some(at),
                    Some(Action::Finish { outcome, model }) => return Ended { outcome, model },
                    Some(Action::Journal(_) | Action::Commit { .. } | Action::Publish(_) | Action::Answer { .. })
                    | None => {}
                }
            }
        }
    }
}

impl<'a> Clocked<'a> {
    fn new(
        fleet: &'a Fleet<'a>,
        systems: Systems<'a>,
        queue: &'a Queue,
        inbox: &'a mpsc::Receiver<Delivery>,
        threads: usize,
    ) -> Self {
        let mut clocked = Self {
            fleet,
            systems,
            queue,
            inbox,
            threads,
            now: Millis(0),
            timeline: BTreeMap::new(),
            number: 0,
            tickets: BTreeMap::new(),
            unstarted: BTreeSet::new(),
            answers: BTreeMap::new(),
            at_work: 0,
            abandoned: BTreeSet::new(),
            central: VecDeque::new(),
            places: Vec::with_capacity(fleet.population.len()),
            open: RoundId(0),
        };
        for (place, name) in fleet.population.names().enumerate() {
            let client = name.client_id();
            let mut presence = clocked.systems.presence(place, client);
            let is_available = presence.at_start();
            let change = presence.next(0);
            clocked.places.push(Place {
                client,
                presence,
                is_available,
                is_up: true,
                is_member: false,
                is_known: false,
                ticket: None,
                tasks: 0,
            });
            clocked.plan_change(place, change);
        }
        clocked
    }

    /// The next event, in the order of the clock; `None` where what was due is no event for the machine.
    fn next(&mut self, wake_at: &mut Option<Millis>, kept: &KeptStates) -> Option<Event> {
        self.look_ahead();
        // Measuring takes no time on the clock.
        if let Some(ticket) = self.central.pop_front() {
            return Some(self.wait_for(ticket, kept));
        }
        let due = self.timeline.first_key_value().map(|((at, _), _)| *at);
        match (due, *wake_at) {
            (Some(due), wake) if wake.is_none_or(|wake| due <= wake) => {
                let ((at, _), due) = self.timeline.pop_first()?;
                self.now = self.now.max(at);
                self.happens(due, kept)
            }
            (_, Some(wake)) => {
                self.now = self.now.max(wake);
                *wake_at = None;
                Some(Event::Tick)
            }
            // Nothing is due and nobody waits: the run cannot go on.
            (_, None) => Some(Event::Interrupt),
        }
    }

    fn happens(&mut self, due: Due, kept: &KeptStates) -> Option<Event> {
        match due {
            Due::Answer(ticket) => {
                let of = self.tickets.get(&ticket)?;
                let counts = of.task.kind == TaskKind::Evaluate || of.task.round == self.open;
                if !counts || of.due > self.last_moment(&of.task) {
                    self.take(ticket);
                    return None;
                }
                if self.unstarted.remove(&(of.due, ticket)) {
                    self.start(ticket);
                }
                let of = self.tickets.remove(&ticket)?;
                self.places[of.place].ticket = None;
                Some(self.wait_for(ticket, kept))
            }
            Due::Crash(ticket, away) => {
                let place = self.tickets.get(&ticket)?.place;
                self.at(self.now.plus(away), Due::Restart(place));
                self.change(place, "its process died", |place| place.is_up = false)
            }
            Due::Restart(place) => self.change(place, "", |place| place.is_up = true),
            Due::Change(place, is_available) => {
                let change = self.places[place].presence.next(self.now.0);
                self.plan_change(place, change);
                self.change(place, "it is not available now", |place| place.is_available = is_available)
            }
        }
    }

    fn joins(&mut self, place: usize) -> Option<Event> {
        self.change(place, "", |place| place.is_member = true)
    }

    fn leaves(&mut self, place: usize) -> Option<Event> {
        self.change(place, "it left the federation", |place| place.is_member = false)
    }

    /// Changes a site, and says so if it comes or goes by that. One that goes loses its task.
    fn change(&mut self, place: usize, reason: &str, change: impl FnOnce(&mut Place)) -> Option<Event> {
        let site = &mut self.places[place];
        let was_there = site.is_there();
        change(site);
        match (was_there, site.is_there()) {
            (false, true) if site.is_known => self.fleet.returning(place),
            (false, true) => self.fleet.arrival(place),
            (true, false) => {
                if let Some(ticket) = self.places[place].ticket {
                    self.take(ticket);
                }
                let site = self.fleet.population.name(place)?.clone();
                Some(Event::Left { site, reason: reason.to_owned() })
            }
            _ => None,
        }
    }

    fn plan_change(&mut self, place: usize, change: Option<(u64, bool)>) {
        if let Some((at, is_available)) = change {
            self.at(Millis(at), Due::Change(place, is_available));
        }
    }

    fn at(&mut self, at: Millis, due: Due) {
        self.number += 1;
        self.timeline.insert((at, self.number), due);
    }

    /// A site gets a task, in place of the one that it may have.
    fn send(&mut self, site: SiteName, task: OutTask) {
        let Some(place) = self.fleet.population.index(&site) else { return };
        if let Some(old) = self.places[place].ticket {
            self.take(old);
        }
        let client = self.places[place].client;
        let load = self.load(place, &task);
        let fate = match task.kind {
            TaskKind::Train => {
                self.open = task.round;
                self.places[place].tasks += 1;
                self.systems.fate(place, client, self.places[place].tasks, load)
            }
            TaskKind::Evaluate => self.systems.done(place, client, load),
        };
        self.number += 1;
        let ticket = self.number;
        let (due, work_ms) = match fate {
            Fate::Done { after, work } => {
                let due = self.now.plus(after);
                self.at(due, Due::Answer(ticket));
                // One that is late is known to be: nothing is computed for it.
                if due <= self.last_moment(&task) {
                    self.unstarted.insert((due, ticket));
                }
                (due, work)
            }
            Fate::Dropped => (Millis(u64::MAX), 0),
            Fate::Crashed { after, away } => {
                self.at(self.now.plus(after), Due::Crash(ticket, away));
                (Millis(u64::MAX), 0)
            }
        };
        self.places[place].ticket = Some(ticket);
        self.tickets.insert(ticket, Ticket { place, site, task, due, work_ms });
    }

    /// What the task asks of the site.
    fn load(&self, place: usize, task: &OutTask) -> Load {
        let plan = &self.fleet.plan;
        let data = self.fleet.population.data(place).ok();
        let train = data.as_ref().map_or(0, |data| data.train.len() as u64);
        let held = data.as_ref().and_then(|data| data.holdout.as_ref()).map_or(0, |held| held.len() as u64);
        let model = self.fleet.trainer.layout().bytes();
        let vectors = if task.control.is_some() { 2 } else { 1 };
        match task.kind {
            TaskKind::Train => Load {
                samples: match plan.train.steps {
                    Some(steps) => u64::from(steps).saturating_mul(u64::from(plan.train.batch)),
                    None => train.saturating_mul(u64::from(plan.train.epochs)),
                },
                down: model * vectors,
                up: model * vectors,
            },
            TaskKind::Evaluate => Load { samples: held, down: model, up: 0 },
        }
    }

    /// Takes a task from its site: nobody waits for the answer any more.
    fn take(&mut self, ticket: u64) {
        let Some(of) = self.tickets.remove(&ticket) else { return };
        self.places[of.place].ticket = None;
        let never_started = self.unstarted.remove(&(of.due, ticket)) || of.due > self.last_moment(&of.task);
        if !never_started && self.answers.remove(&ticket).is_none() {
            self.abandoned.insert(ticket);
        }
    }

    /// The last moment at which the answer to a task may count.
    fn last_moment(&self, task: &OutTask) -> Millis {
        match self.fleet.plan.round.updates.on_too_few {
            OnTooFew::Wait { longer } => task.deadline.plus(longer.as_millis()),
            OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Shrink { .. } => task.deadline,
        }
    }

    /// Gives workers the first answers that are due and may count.
    fn look_ahead(&mut self) {
        while self.at_work + self.answers.len() < self.threads + AHEAD
            && let Some((_, ticket)) = self.unstarted.pop_first()
        {
            self.start(ticket);
        }
    }

    fn start(&mut self, ticket: u64) {
        if let Some(Ticket { site, task, work_ms, .. }) = self.tickets.get(&ticket) {
            let (site, task, work_ms) = (site.clone(), task.clone(), Some(*work_ms));
            self.at_work += 1;
            self.queue.push(Job::Site { ticket, site, task, work_ms });
        }
    }

    /// The answer with this ticket, which a worker has or will have.
    fn wait_for(&mut self, ticket: u64, kept: &KeptStates) -> Event {
        loop {
            if let Some(Delivery { done, keep, .. }) = self.answers.remove(&ticket) {
                if let Some(keep) = keep {
                    kept.keep(keep);
                }
                return match done {
                    Done::Event(event) => event,
                    // No site of a plan with profiles waits for others.
                    Done::Held(site, result) => match *result {
                        Ok(update) => Event::Update { site, received: Received::screen(update) },
                        Err(declined) => declined,
                    },
                };
            }
            match self.inbox.recv_timeout(Duration::from_millis(100)) {
                // What a site was stopped in is no failure of the site.
                _ if self.fleet.stop.load(Ordering::Relaxed) => return Event::Interrupt,
                Ok(delivery) => {
                    self.at_work -= 1;
                    if !self.abandoned.remove(&delivery.ticket) {
                        self.answers.insert(delivery.ticket, delivery);
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Event::Interrupt,
            }
        }
    }

    /// Whether listeners hear of an event: of a site's coming once, of its going when it is for good.
    fn hears(&mut self, event: &RunEvent) -> bool {
        match event {
            RunEvent::SiteArrived { site, .. } => {
                let place = self.fleet.population.index(site).map(|place| &mut self.places[place]);
                place.is_none_or(|place| !std::mem::replace(&mut place.is_known, true))
            }
            RunEvent::SiteLeft { site, .. } => {
                self.fleet.population.index(site).is_none_or(|place| !self.places[place].is_member)
            }
            _ => true,
        }
    }

    fn measure(&mut self, model: Arc<ModelVersion>) {
        self.number += 1;
        self.at_work += 1;
        self.central.push_back(self.number);
        self.queue.push(Job::Central { ticket: self.number, model });
    }
}
