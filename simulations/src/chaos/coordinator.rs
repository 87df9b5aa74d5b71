//! The coordinator's process: the round machine and the journal as they are, and a driver that does what the server does, with
//! deaths between any two actions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use rand::RngExt;
use synod_client::session::{Finish, JobKey};
use synod_common::event::Outcome;
use synod_common::ids::{Digest, SiteName};
use synod_common::state::State;
use synod_common::update::BufferPool;
use synod_common::wire::Answer;
use synod_coordinator::journal::{Entry, Journal, Keep, KeepModels, KeepUpdates, Write};
use synod_coordinator::round::{Action, Event, Machine, Measured, Setup};

use super::fact::{Fact, Holdings};
use super::network::{Down, Packet};
use super::run::Sabotage;
use super::storage::Disk;
use super::world::{Clock, Happening, World};

/// Most writes of one transaction, as in the journal's thread.
const GROUP_MAX: usize = 64;

/// What is kept of models and updates.
pub(super) const KEEP: Keep =
    Keep { models: KeepModels::Last(NonZeroU32::MIN.saturating_add(1)), updates: KeepUpdates::Open };

/// The coordinator over all its lives.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    life: u64,
    disk: Disk,
    /// Revoked sites, as the registry has them on disk.
    pub(super) registry: BTreeSet<SiteName>,
    pub(super) alive: Option<Alive>,
    /// The run is over and complete.
    pub(super) is_done: bool,
}

/// One life.
#[derive(Debug)]
pub(super) struct Alive {
    machine: Machine,
    journal: Journal,
    clock: Clock,
    /// Waits for the journal.
    writes: VecDeque<Write>,
    is_writing: bool,
    wake_at: Option<u64>,
    pub(super) revoked: BTreeSet<SiteName>,
    /// Connections whose greeting was taken, and whether it ended with `Ready`.
    pub(super) greeted: BTreeMap<u64, bool>,
    /// The connection of each site that is ready.
    pub(super) sites: BTreeMap<SiteName, u64>,
    /// Where the answer to a site's update goes.
    pub(super) answers: BTreeMap<SiteName, (u64, u64)>,
}

impl Coordinator {
    /// Starts on what the disk has.
    ///
    /// # Errors
    /// What is wrong with the journal: nothing that a crash leaves may be.
    pub(super) fn start(&mut self, world: &mut World<'_>) -> Result<(), String> {
        if self.alive.is_some() || self.is_done {
            return Ok(());
        }
        self.life += 1;
        // It knows nothing of connections of an earlier life, and says so.
        world.break_all(None);
        let cut = world.rng.random_bool(world.faults().power_cut);
        let fuse = world.rng.random_range(1..12);
        self.disk.set_fuse(cut.then_some(fuse));
        let opened = self.open(world);
        let is_off = self.disk.is_off();
        self.disk.set_fuse(None);
        match opened {
            // The power went off while it started.
            _ if is_off => {
                world.note("coordinator: the power fails at the start");
                self.die(world);
            }
            Ok(None) => {
                world.note("coordinator: the run is over");
                self.is_done = true;
            }
            Ok(Some(alive)) => {
                world.note(format_args!("coordinator: life {} begins", self.life));
                self.alive = Some(alive);
                self.step(world, Event::Start);
            }
            Err(reason) => return Err(reason),
        }
        Ok(())
    }

    fn open(&self, world: &mut World<'_>) -> Result<Option<Alive>, String> {
        let disk = self.disk.open();
        let journal = Journal::open(disk.clone(), Arc::new(disk), KEEP).map_err(|error| error.to_string())?;
        let mut entries = Vec::new();
        let noted = journal.for_each_line(|_, line| {
            entries.push(line.entry);
            Ok(())
        });
        noted.map_err(|error| error.to_string())?;
        journal.collect_garbage().map_err(|error| error.to_string())?;
        world.facts.push(Fact::Recovered { entries });
        if journal.is_completed() {
            return Ok(None);
        }
        let scenario = world.scenario;
        let setup = Setup {
            plan: Arc::clone(&scenario.plan),
            layout: scenario.layout.clone(),
            initial: scenario.initial.clone(),
            state: State::default(),
            pool: BufferPool::new(scenario.layout.len(), 4),
        };
        let machine = journal.machine(setup).map_err(|error| error.to_string())?;
        let forgets = world.sabotage == Some(Sabotage::ForgetRevoked);
        Ok(Some(Alive {
            machine,
            journal,
            clock: Clock::draw(world),
            writes: VecDeque::new(),
            is_writing: false,
            wake_at: None,
            revoked: if forgets { BTreeSet::new() } else { self.registry.clone() },
            greeted: BTreeMap::new(),
            sites: BTreeMap::new(),
            answers: BTreeMap::new(),
        }))
    }

    /// How often it was started.
    pub(super) fn lives(&self) -> u64 {
        self.life
    }

    /// Dies if it is alive.
    pub(super) fn crash(&mut self, world: &mut World<'_>) {
        if self.alive.is_some() {
            self.die(world);
        }
    }

    /// Dies without a word, and is started again.
    fn die(&mut self, world: &mut World<'_>) {
        world.note("coordinator: dies");
        self.alive = None;
        self.disk.crash(&mut world.rng);
        world.break_all(None);
        let pause = world.rng.random_range(10..5_000);
        world.after(pause, Happening::CoordinatorStarts);
    }

    pub(super) fn wake(&mut self, world: &mut World<'_>, life: u64, at: u64) {
        if let Some(alive) = self.alive.as_mut().filter(|a| life == self.life && a.wake_at == Some(at)) {
            alive.wake_at = None;
            self.step(world, Event::Tick);
        }
    }

    pub(super) fn hear(&mut self, world: &mut World<'_>, life: u64, event: Event) {
        if life == self.life && self.alive.is_some() {
            self.step(world, event);
        }
    }

    pub(super) fn interrupt(&mut self, world: &mut World<'_>) {
        if self.alive.is_some() {
            self.step(world, Event::Interrupt);
        }
    }

    /// The journal's thread takes what waits.
    pub(super) fn write(&mut self, world: &mut World<'_>, life: u64) {
        let Some(alive) = self.alive.as_mut().filter(|_| life == self.life) else { return };
        let group: Vec<Write> = alive.writes.drain(..alive.writes.len().min(GROUP_MAX)).collect();
        let entries: Vec<Entry> = group.iter().map(entry_of).collect();
        let cut = world.rng.random_bool(world.faults().power_cut);
        let fuse = world.rng.random_range(1..=2 + 2 * u32::try_from(group.len()).unwrap_or(1));
        self.disk.set_fuse(cut.then_some(fuse));
        let told = alive.journal.write(group);
        if self.disk.is_off() {
            world.note("coordinator: the power fails in a write");
            return self.die(world);
        }
        self.disk.set_fuse(None);
        for entry in entries {
            world.note(format_args!("journal: {}", entry.kind()));
            world.facts.push(Fact::Durable { entry });
        }
        let slow = world.rng.random_bool(world.faults().slow_disk);
        let mut at = world.now;
        for event in told {
            at += world.rng.random_range(0..=if slow { 3_000 } else { 5 });
            world.at(at, Happening::CoordinatorHears { life, event: Box::new(event) });
        }
        alive.is_writing = !alive.writes.is_empty();
        if alive.is_writing {
            world.at(at, Happening::JournalWrites { life });
        }
    }

    pub(super) fn step(&mut self, world: &mut World<'_>, event: Event) {
        let Some(alive) = &mut self.alive else { return };
        let mut actions = Vec::new();
        alive.machine.step(alive.clock.read(world.now), event, &mut actions);
        let dies = world.rng.random_bool(world.faults().coordinator_crash);
        let carried_out = if dies { world.rng.random_range(0..=actions.len()) } else { actions.len() };
        for action in actions.drain(..carried_out) {
            self.carry_out(world, action);
        }
        if dies && self.alive.is_some() {
            return self.die(world);
        }
        if let Some(alive) = &self.alive {
            let updates = alive.writes.iter().filter(|w| matches!(entry_of(w), Entry::UpdateAccepted(_))).count();
            let (blobs, blob_bytes) = self.disk.blobs();
            world.facts.push(Fact::Holds(Holdings {
                updates,
                writes: alive.writes.len(),
                blobs,
                blob_bytes,
                connections: alive.sites.len(),
                answers: alive.answers.len(),
            }));
        }
    }

    fn carry_out(&mut self, world: &mut World<'_>, action: Action) {
        let life = self.life;
        let Some(alive) = &mut self.alive else { return };
        match action {
            Action::Send { site, task } => {
                if let Some(connection) = alive.sites.get(&site) {
                    let key = JobKey { round: task.round, model: task.model.digest };
                    let time_left_ms = task.deadline.since(alive.clock.read(world.now));
                    world.note(format_args!("coordinator: {:?} {} to {site}", task.kind, task.round));
                    world.facts.push(Fact::Sent { site, what: "a task" });
                    world.send(*connection, Packet::Down(Down::Task { key, kind: task.kind, time_left_ms }));
                }
            }
            Action::Answer { site, round, answer } => {
                if let Some((connection, upload)) = alive.answers.remove(&site) {
                    world.note(format_args!("coordinator: answers {site} for round {round}: {answer:?}"));
                    world.facts.push(Fact::Sent { site: site.clone(), what: "an answer" });
                    if answer == Answer::Accepted {
                        world.facts.push(Fact::Acknowledged { site, round });
                    }
                    world.send(connection, Packet::Down(Down::Answer { upload, answer }));
                }
            }
            Action::Journal(record) => {
                let values: Vec<f32> = record.values().flatten().copied().collect();
                let entry = record.entry().clone();
                if let (Entry::UpdateAccepted(accepted), Some(Sabotage::AcknowledgeEarly)) = (&entry, world.sabotage) {
                    let (site, round) = (accepted.site.clone(), accepted.header.round);
                    if let Some((connection, upload)) = alive.answers.remove(&site) {
                        world.facts.push(Fact::Acknowledged { site, round });
                        let answer = Answer::Accepted;
                        world.send(connection, Packet::Down(Down::Answer { upload, answer }));
                    }
                }
                self.give(world, entry, values.into(), Write::Record(record));
            }
            Action::Commit { entry, model, state } => {
                let values = model.values.to_vec().into();
                let given = Entry::RoundCommitted(entry.clone());
                self.give(world, given, values, Write::Commit { entry, model, state });
            }
            Action::EvaluateCentrally { model } => {
                let result = Ok(Measured::default());
                let event = Box::new(Event::CentralEvaluation { round: model.round, result });
                let takes = world.rng.random_range(1..2_000);
                world.after(takes, Happening::CoordinatorHears { life, event });
            }
            Action::WakeAt(at) => {
                let at = alive.clock.when(at).max(world.now);
                alive.wake_at = Some(at);
                world.at(at, Happening::CoordinatorWakes { life, at });
            }
            Action::Publish(event) => {
                world.note(format_args!("run: {}", serde_json::to_string(&event).unwrap_or_default()));
                world.facts.push(Fact::Published(Box::new(event)));
            }
            Action::Finish { outcome, model } => self.finish(world, &outcome, model.digest),
        }
    }

    fn give(&mut self, world: &mut World<'_>, entry: Entry, values: Arc<[f32]>, write: Write) {
        let life = self.life;
        let Some(alive) = &mut self.alive else { return };
        world.facts.push(Fact::Given { entry, values });
        alive.writes.push_back(write);
        if !alive.is_writing {
            alive.is_writing = true;
            let slow = world.rng.random_bool(world.faults().slow_disk);
            let waits = world.rng.random_range(0..=if slow { 3_000 } else { 5 });
            world.after(waits, Happening::JournalWrites { life });
        }
    }

    /// Tells the sites, writes what waits, and ends. A run that has not all its rounds is started again.
    fn finish(&mut self, world: &mut World<'_>, outcome: &Outcome, model: Digest) {
        let Some(mut alive) = self.alive.take() else { return };
        let finish = Finish { completed: *outcome == Outcome::Completed, reason: format!("{outcome:?}"), model };
        for (site, connection) in &alive.sites {
            world.facts.push(Fact::Sent { site: site.clone(), what: "the end" });
            world.send(*connection, Packet::Down(Down::Finished(finish.clone())));
        }
        let rest: Vec<Write> = alive.writes.drain(..).collect();
        let entries: Vec<Entry> = rest.iter().map(entry_of).collect();
        alive.journal.write(rest);
        world.facts.extend(entries.into_iter().map(|entry| Fact::Durable { entry }));
        drop(alive);
        self.disk.crash(&mut world.rng);
        // The next start finds out whether the run is complete.
        let pause = world.rng.random_range(500..3_000);
        world.after(pause, Happening::CoordinatorStarts);
    }
}

/// What a write says happened.
fn entry_of(write: &Write) -> Entry {
    match write {
        Write::Record(record) => record.entry().clone(),
        Write::Commit { entry, .. } => Entry::RoundCommitted(entry.clone()),
    }
}
