//! Virtual time: what happens when, and what was noted of it.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use synod_client::session::JobKey;
use synod_common::time::Millis;
use synod_common::wire::TaskKind;
use synod_coordinator::round::Event;

use super::fact::Fact;
use super::network::{Network, Packet, Side};
use super::run::Sabotage;
use super::scenario::{Faults, Plot, Scenario, stream};

/// Something that happens at a time.
#[derive(Debug)]
pub(super) enum Happening {
    /// The coordinator's process starts.
    CoordinatorStarts,
    /// Its wake-up.
    CoordinatorWakes { life: u64, at: u64 },
    /// Its journal takes what waits.
    JournalWrites { life: u64 },
    /// It is told the result of work that it asked for.
    CoordinatorHears { life: u64, event: Box<Event> },
    /// A client's process starts.
    SiteStarts { site: usize, life: u64 },
    /// Its wake-up.
    SiteWakes { site: usize, life: u64 },
    /// A job of it ends.
    JobEnds { site: usize, life: u64, key: JobKey, kind: TaskKind, fails: bool },
    /// Its disk has an update.
    SiteStored { site: usize, life: u64, key: JobKey },
    /// A message comes.
    Delivery { connection: u64, packet: Packet },
    /// A side notices that a connection is broken.
    Lost { connection: u64, side: Side },
    /// What was set beforehand.
    Plot(Plot),
    /// Nothing goes wrong from now on.
    Calm,
}

/// What all processes share: time, chance, the network, and the notes.
#[derive(Debug)]
pub(super) struct World<'s> {
    pub(super) scenario: &'s Scenario,
    pub(super) sabotage: Option<Sabotage>,
    /// In milliseconds.
    pub(super) now: u64,
    /// By time, then in the order in which they were planned.
    pub(super) queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    pub(super) rng: ChaCha12Rng,
    pub(super) is_calm: bool,
    pub(super) network: Network,
    pub(super) log: Vec<String>,
    /// Since the last step.
    pub(super) facts: Vec<Fact>,
}

impl<'s> World<'s> {
    pub(super) fn new(scenario: &'s Scenario, seed: u64, sabotage: Option<Sabotage>) -> Self {
        Self {
            scenario,
            sabotage,
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            rng: stream(seed, "chance"),
            is_calm: false,
            network: Network::default(),
            log: Vec::new(),
            facts: Vec::new(),
        }
    }

    pub(super) fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), happening);
    }

    pub(super) fn after(&mut self, ms: u64, happening: Happening) {
        self.at(self.now.saturating_add(ms), happening);
    }

    /// A number that was not given before.
    pub(super) fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The next thing that happens; time moves to it.
    pub(super) fn next(&mut self) -> Option<Happening> {
        let ((at, _), happening) = self.queue.pop_first()?;
        self.now = at;
        Some(happening)
    }

    pub(super) fn faults(&self) -> Faults {
        if self.is_calm { Faults { delay_ms_max: 20, ..Faults::default() } } else { self.scenario.faults }
    }

    pub(super) fn note(&mut self, line: impl std::fmt::Display) {
        self.log.push(format!("{:>7} {line}", self.now));
    }
}

/// A process's clock: it begins anywhere and goes a little wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    born: u64,
    begins: u64,
    /// Its milliseconds in a thousand true ones.
    rate: u64,
}

impl Clock {
    pub(super) fn draw(world: &mut World<'_>) -> Self {
        let (begins, rate) = (world.rng.random_range(0..1_000_000_000), world.rng.random_range(950..=1_050));
        Self { born: world.now, begins, rate }
    }

    pub(super) fn read(self, now: u64) -> Millis {
        Millis(self.begins + (now - self.born) * self.rate / 1_000)
    }

    /// When it shows `at`.
    pub(super) fn when(self, at: Millis) -> u64 {
        let passed = u128::from(at.0.saturating_sub(self.begins)) * 1_000;
        self.born.saturating_add(u64::try_from(passed.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX))
    }
}
