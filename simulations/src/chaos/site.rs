//! A client's process: the session machine as it is, a driver that does what the client does, and a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use synod_client::session::{Fault, JobKey, Kept, Product, Rules, Session, SessionAction, SessionEnd, SessionEvent};
use synod_common::metrics::Metrics;
use synod_common::update::UpdateHeader;
use synod_common::wire::{Progress, TaskKind};

use super::fact::trained;
use super::hostile::Hostile;
use super::network::{Down, Packet, Up};
use super::scenario::SiteSpec;
use super::world::{Clock, Happening, World};

/// How long a session tries to reach the coordinator, in milliseconds.
const UNREACHABLE_MS_MAX: u64 = 30_000;

/// A site over all lives of its client.
#[derive(Debug)]
pub(super) struct Site {
    index: usize,
    life: u64,
    disk: Disk,
    alive: Option<Alive>,
    hostile: Option<Hostile>,
    /// Refused for good: whoever runs it gives up.
    is_refused: bool,
}

/// What a site has on disk.
#[derive(Debug, Default)]
struct Disk {
    begun: Option<JobKey>,
    update: Option<Product>,
}

#[derive(Debug)]
struct Alive {
    session: Session,
    clock: Clock,
    connection: Option<u64>,
    uploads: BTreeMap<u64, JobKey>,
}

/// The update of a site that was trained for `key`, as an honest client sends it.
pub(super) fn update_of(world: &World<'_>, spec: &SiteSpec, key: JobKey) -> (UpdateHeader, Arc<[f32]>) {
    let (plan, layout) = (&world.scenario.plan, &world.scenario.layout);
    let header = UpdateHeader {
        round: key.round,
        plan: plan.digest(),
        layout: layout.digest(),
        samples: spec.samples,
        steps: 1,
        loss_before: None,
        before: None,
        train: Metrics::default(),
        after: None,
        train_ms: 1,
    };
    (header, trained(&spec.name, key.round, key.model, layout.len()).into())
}

impl Site {
    pub(super) fn new(index: usize, spec: &SiteSpec) -> Self {
        let hostile = spec.habit.map(|habit| Hostile::new(index, habit));
        Self { index, life: 0, disk: Disk::default(), alive: None, hostile, is_refused: false }
    }

    pub(super) fn start(&mut self, world: &mut World<'_>, life: u64) {
        if let Some(hostile) = &mut self.hostile {
            return hostile.start(world);
        }
        if self.alive.is_some() || life != self.life || self.is_refused {
            return;
        }
        self.life += 1;
        world.note(format_args!("{}: life {} begins", self.spec(world).name, self.life));
        let rules = Rules { unreachable_ms_max: UNREACHABLE_MS_MAX, spread: world.rng.random() };
        let clock = Clock::draw(world);
        self.alive = Some(Alive { session: Session::new(rules), clock, connection: None, uploads: BTreeMap::new() });
        self.step(world, SessionEvent::Start);
    }

    /// Dies without a word, and is started again.
    pub(super) fn die(&mut self, world: &mut World<'_>) {
        if self.alive.take().is_some() {
            world.note(format_args!("{}: dies", self.spec(world).name));
            self.end(world);
        }
    }

    fn end(&mut self, world: &mut World<'_>) {
        world.break_all(Some(self.index));
        let pause = world.rng.random_range(10..5_000);
        world.after(pause, Happening::SiteStarts { site: self.index, life: self.life });
    }

    fn spec<'w>(&self, world: &World<'w>) -> &'w SiteSpec {
        &world.scenario.sites[self.index]
    }

    pub(super) fn wake(&mut self, world: &mut World<'_>, life: u64) {
        if let Some(hostile) = &mut self.hostile {
            return hostile.wake(world, life);
        }
        self.step_in(world, life, SessionEvent::Tick);
    }

    pub(super) fn job_ends(&mut self, world: &mut World<'_>, life: u64, key: JobKey, kind: TaskKind, fails: bool) {
        let event = match kind {
            _ if fails => SessionEvent::Failed { key, reason: "it diverged".to_owned() },
            TaskKind::Train => SessionEvent::Trained(Product { key, loss: None }),
            TaskKind::Evaluate => SessionEvent::Measured(key),
        };
        self.step_in(world, life, event);
    }

    pub(super) fn stored(&mut self, world: &mut World<'_>, life: u64, key: JobKey) {
        // A client that died in between may have it on disk, too: the rename is what counts.
        if life == self.life || world.rng.random_bool(0.5) {
            self.disk.update = Some(Product { key, loss: None });
        }
        self.step_in(world, life, SessionEvent::Stored(key));
    }

    /// A message of the coordinator.
    pub(super) fn take(&mut self, world: &mut World<'_>, connection: u64, down: Down) {
        if let Some(hostile) = &mut self.hostile {
            return hostile.take(world, connection, &down);
        }
        let Some(alive) = self.alive.as_mut().filter(|a| a.connection == Some(connection)) else { return };
        let event = match down {
            Down::Welcome => {
                let samples = world.scenario.sites[self.index].samples;
                world.send(connection, Packet::Up(Up::Ready { samples }));
                let kept = match (self.disk.update, self.disk.begun) {
                    (Some(product), _) => Kept::Update(product),
                    (None, Some(key)) => Kept::Begun(key),
                    (None, None) => Kept::Nothing,
                };
                SessionEvent::Greeted { plan: world.scenario.plan.digest(), kept }
            }
            Down::Task { key, kind, time_left_ms } => {
                let due = alive.clock.read(world.now).plus(time_left_ms);
                SessionEvent::Task { key, kind, due }
            }
            Down::Answer { upload, answer } => {
                let Some(key) = alive.uploads.remove(&upload) else { return };
                SessionEvent::Answered { key, answer }
            }
            Down::Finished(finish) => SessionEvent::Finished(finish),
            Down::Closed { fault, reason } => {
                alive.connection = None;
                world.break_connection(connection, 0);
                SessionEvent::Disconnected { fault, reason: reason.to_owned() }
            }
        };
        self.step(world, event);
    }

    pub(super) fn lose(&mut self, world: &mut World<'_>, connection: u64) {
        if let Some(hostile) = &mut self.hostile {
            return hostile.lose(world, connection);
        }
        let Some(alive) = self.alive.as_mut().filter(|a| a.connection == Some(connection)) else { return };
        alive.connection = None;
        alive.uploads.clear();
        let reason = "the line is gone".to_owned();
        self.step(world, SessionEvent::Disconnected { fault: Fault::Passing, reason });
    }

    fn step_in(&mut self, world: &mut World<'_>, life: u64, event: SessionEvent) {
        if life == self.life {
            self.step(world, event);
        }
    }

    fn step(&mut self, world: &mut World<'_>, event: SessionEvent) {
        let Some(alive) = &mut self.alive else { return };
        let mut actions = Vec::new();
        alive.session.step(alive.clock.read(world.now), event, &mut actions);
        let dies = world.rng.random_bool(world.faults().site_crash);
        let carried_out = if dies { world.rng.random_range(0..=actions.len()) } else { actions.len() };
        for action in actions.drain(..carried_out) {
            self.carry_out(world, action);
        }
        if dies {
            self.die(world);
        }
    }

    fn carry_out(&mut self, world: &mut World<'_>, action: SessionAction) {
        let (site, life, spec) = (self.index, self.life, self.spec(world));
        let Some(alive) = &mut self.alive else { return };
        world.note(format_args!("{}: {action:?}", spec.name));
        match action {
            SessionAction::Connect => alive.connection = Some(world.connect(site)),
            SessionAction::WakeAt(at) => {
                world.at(alive.clock.when(at), Happening::SiteWakes { site, life });
            }
            SessionAction::Start { key, kind, .. } => {
                let goes_wrong = world.rng.random_bool(world.faults().training);
                let fails = goes_wrong && world.rng.random_bool(0.5);
                // What neither fails nor ends soon is a slow site.
                let most = if goes_wrong { 60_000 } else { spec.training_ms_max };
                let takes = world.rng.random_range(1..=most);
                if kind == TaskKind::Train && world.rng.random_bool(0.7) {
                    self.disk.begun = Some(key);
                }
                world.after(takes, Happening::JobEnds { site, life, key, kind, fails });
            }
            SessionAction::Store(key) => {
                let takes = world.rng.random_range(1..200);
                world.after(takes, Happening::SiteStored { site, life, key });
            }
            SessionAction::Upload(key) => {
                let upload = world.number();
                let (header, delta) = update_of(world, spec, key);
                alive.uploads.insert(upload, key);
                self.say(world, Up::Update { upload, header: Box::new(header), delta });
            }
            SessionAction::Report(Progress { round, loss, .. }) => self.say(world, Up::Progress { round, loss }),
            SessionAction::SendMetrics(key) => self.say(world, Up::Metrics { round: key.round }),
            SessionAction::Decline { round, reason } => self.say(world, Up::Declined { round, reason }),
            SessionAction::Forget(key) => {
                self.disk.begun = self.disk.begun.filter(|begun| *begun != key);
                self.disk.update = self.disk.update.filter(|product| product.key != key);
            }
            SessionAction::Cancel(_) | SessionAction::Tell(_) => {}
            SessionAction::End(end) => {
                self.alive = None;
                self.is_refused = world.is_calm && matches!(end, SessionEnd::Refused { .. });
                self.end(world);
            }
        }
    }

    fn connection(&self) -> Option<u64> {
        self.alive.as_ref().and_then(|alive| alive.connection)
    }

    fn say(&self, world: &mut World<'_>, up: Up) {
        if let Some(connection) = self.connection() {
            world.send(connection, Packet::Up(up));
        }
    }
}
