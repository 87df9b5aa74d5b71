//! Sites that do not keep to the rules.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use synod_client::session::JobKey;
use synod_common::ids::{Digest, RoundId};
use synod_common::update::UpdateHeader;
use synod_common::wire::TaskKind;

use super::network::{Down, Packet, Up};
use super::site::update_of;
use super::world::{Happening, World};

/// Updates that a hostile site remembers.
const REMEMBERED_MAX: usize = 8;

/// How a site misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Its updates are damaged in a way that a site can choose: values, length, plan, layout, samples.
    Garbage,
    /// It sends its updates many times, and those of past rounds.
    Replay,
    /// It names other rounds, and sends without being asked.
    OtherRounds,
    /// It takes its task and never answers.
    Silent,
    /// It says everything at the wrong time, and things that are no message.
    Noise,
    /// It comes and goes.
    Flapping,
}

impl Habit {
    pub(super) fn draw(rng: &mut ChaCha12Rng) -> Self {
        let all = [Self::Garbage, Self::Replay, Self::OtherRounds, Self::Silent, Self::Noise, Self::Flapping];
        all[rng.random_range(0..all.len())]
    }
}

/// A hostile site. It has no session: it says what it likes.
#[derive(Debug)]
pub(super) struct Hostile {
    index: usize,
    habit: Habit,
    /// Counts connections.
    life: u64,
    connection: Option<u64>,
    /// What it was asked last.
    task: Option<JobKey>,
    sent: Vec<(UpdateHeader, Arc<[f32]>)>,
}

impl Hostile {
    pub(super) fn new(index: usize, habit: Habit) -> Self {
        Self { index, habit, life: 0, connection: None, task: None, sent: Vec::new() }
    }

    pub(super) fn start(&mut self, world: &mut World<'_>) {
        if self.connection.is_none() {
            self.life += 1;
            self.connection = Some(world.connect(self.index));
            self.sleep(world);
        }
    }

    fn sleep(&self, world: &mut World<'_>) {
        let pause = world.rng.random_range(100..3_000);
        world.after(pause, Happening::SiteWakes { site: self.index, life: self.life });
    }

    pub(super) fn lose(&mut self, world: &mut World<'_>, connection: u64) {
        if self.connection == Some(connection) {
            self.connection = None;
            let pause = world.rng.random_range(100..3_000);
            world.after(pause, Happening::SiteStarts { site: self.index, life: 0 });
        }
    }

    /// Says something, whatever it was asked.
    pub(super) fn wake(&mut self, world: &mut World<'_>, life: u64) {
        let Some(connection) = self.connection.filter(|_| life == self.life) else { return };
        match self.habit {
            Habit::Noise => {
                let up = self.noise(world);
                self.say(world, up);
            }
            Habit::Replay => {
                if let Some((header, delta)) = self.remembered(world) {
                    self.upload(world, header, delta);
                }
            }
            Habit::OtherRounds => {
                let round = RoundId(world.rng.random_range(0..9));
                let model = self.task.map_or(Digest([0; 32]), |task| task.model);
                let (header, delta) = update_of(world, &world.scenario.sites[self.index], JobKey { round, model });
                self.upload(world, header, delta);
            }
            Habit::Flapping => {
                world.break_connection(connection, 0);
                self.connection = None;
                world.after(50, Happening::SiteStarts { site: self.index, life: 0 });
                return;
            }
            Habit::Garbage | Habit::Silent => {}
        }
        self.sleep(world);
    }

    pub(super) fn take(&mut self, world: &mut World<'_>, connection: u64, down: &Down) {
        if self.connection != Some(connection) {
            return;
        }
        match down {
            Down::Welcome => {
                let samples = if self.habit == Habit::Noise { u64::MAX } else { 7 };
                self.say(world, Up::Ready { samples });
            }
            Down::Task { key, kind: TaskKind::Train, .. } => {
                self.task = Some(*key);
                self.answer(world, *key);
            }
            Down::Task { key, kind: TaskKind::Evaluate, .. } => {
                if self.habit != Habit::Silent {
                    self.say(world, Up::Metrics { round: key.round });
                }
            }
            Down::Answer { .. } => {}
            Down::Finished(_) | Down::Closed { .. } => {
                world.break_connection(connection, 0);
                self.lose(world, connection);
            }
        }
    }

    fn answer(&mut self, world: &mut World<'_>, key: JobKey) {
        let (mut header, delta) = update_of(world, &world.scenario.sites[self.index], key);
        match self.habit {
            Habit::Garbage => {
                let mut values = delta.to_vec();
                match world.rng.random_range(0..8) {
                    0 => values[0] = f32::NAN,
                    1 => values[0] = f32::NEG_INFINITY,
                    2 => values.iter_mut().for_each(|value| *value = 1e30),
                    3 => values.push(1.0),
                    4 => header.plan = Digest([1; 32]),
                    5 => header.layout = Digest([1; 32]),
                    6 => header.samples = [0, 1_001, u64::MAX][world.rng.random_range(0..3)],
                    _ => header.steps = u64::MAX,
                }
                self.upload(world, header, values.into());
            }
            Habit::Replay => {
                for _ in 0..3 {
                    self.upload(world, header.clone(), Arc::clone(&delta));
                }
                self.sent.push((header, delta));
                self.sent.truncate(REMEMBERED_MAX);
            }
            Habit::OtherRounds => {
                for round in [key.round.next(), RoundId(key.round.0.saturating_sub(1)), RoundId(u64::MAX)] {
                    header.round = round;
                    self.upload(world, header.clone(), Arc::clone(&delta));
                }
            }
            Habit::Silent => {}
            Habit::Noise => {
                let up = self.noise(world);
                self.say(world, up);
            }
            Habit::Flapping => self.upload(world, header, delta),
        }
    }

    fn noise(&self, world: &mut World<'_>) -> Up {
        let round = RoundId(world.rng.random_range(0..9));
        match world.rng.random_range(0..6) {
            0 => Up::Junk,
            1 => Up::Progress { round, loss: f64::NAN },
            2 => Up::Metrics { round },
            3 => Up::Declined { round, reason: "no".to_owned() },
            4 => Up::Ready { samples: 0 },
            _ => Up::Hello,
        }
    }

    fn remembered(&self, world: &mut World<'_>) -> Option<(UpdateHeader, Arc<[f32]>)> {
        if self.sent.is_empty() { None } else { Some(self.sent[world.rng.random_range(0..self.sent.len())].clone()) }
    }

    fn upload(&self, world: &mut World<'_>, header: UpdateHeader, delta: Arc<[f32]>) {
        let upload = world.number();
        self.say(world, Up::Update { upload, header: Box::new(header), delta });
    }

    fn say(&self, world: &mut World<'_>, up: Up) {
        if let Some(connection) = self.connection {
            world.send(connection, Packet::Up(up));
        }
    }
}
