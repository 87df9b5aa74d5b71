//! One seed from its first step to its last.

use std::fmt;

use rand::RngExt;
use synod_common::event::RunEvent;

use super::coordinator::Coordinator;
use super::fact::Fact;
use super::invariants::Invariants;
use super::network::{Packet, Side};
use super::scenario::{Plot, Scenario};
use super::site::Site;
use super::world::{Happening, World};

/// How long a run may take once nothing goes wrong any more, in milliseconds of its own time: its rounds and some attempts,
/// each with its time, and the pauses of everyone who comes back.
const CALM_MS_MAX: u64 = 900_000;
/// Steps of one seed, at most: more would be a storm of messages that feeds itself.
const STEPS_MAX: u64 = 400_000;

/// A mistake that the harness makes on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Updates are acknowledged before the journal has them.
    AcknowledgeEarly,
    /// An update is handed to the machine for a second site as well, and counts twice.
    CountTwice,
    /// A coordinator that is started again does not read who was revoked.
    ForgetRevoked,
}

/// A seed that held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survived {
    /// Steps.
    pub steps: u64,
    /// Rounds that were committed.
    pub rounds: u64,
    /// Deaths of the coordinator.
    pub deaths: u64,
    /// Everything that happened, a line each.
    pub log: Vec<String>,
}

/// A seed that did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What does not hold.
    pub what: String,
    /// Everything that happened until then.
    pub log: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}; see it again with `synod chaos --replay {}`", self.seed, self.what, self.seed)
    }
}

/// Plays `seed` to its end.
///
/// # Errors
/// The invariant that does not hold, or that the run did not end once faults stopped.
pub fn play(seed: u64, sabotage: Option<Sabotage>) -> Result<Survived, Box<Failure>> {
    let failed = |what: String, log| Box::new(Failure { seed, what, log });
    let scenario = Scenario::of(seed).map_err(|what| failed(what, Vec::new()))?;
    let mut world = World::new(&scenario, seed, sabotage);
    let result = Play::new(&scenario).run(&mut world);
    let World { log, now, .. } = world;
    match result {
        Ok((steps, rounds, deaths)) => Ok(Survived { steps, rounds, deaths, log }),
        Err(what) => Err(failed(format!("after {now} ms {what}"), log)),
    }
}

struct Play {
    coordinator: Coordinator,
    sites: Vec<Site>,
    invariants: Invariants,
    rounds: u64,
}

impl Play {
    fn new(scenario: &Scenario) -> Self {
        Self {
            coordinator: Coordinator::default(),
            sites: scenario.sites.iter().enumerate().map(|(index, spec)| Site::new(index, spec)).collect(),
            invariants: Invariants::new(scenario),
            rounds: 0,
        }
    }

    /// Steps, rounds and deaths of the coordinator.
    fn run(mut self, world: &mut World<'_>) -> Result<(u64, u64, u64), String> {
        let scenario = world.scenario;
        world.note(format_args!("{:?}", scenario.faults));
        world.at(0, Happening::CoordinatorStarts);
        for site in 0..self.sites.len() {
            let at = world.rng.random_range(0..3_000);
            world.at(at, Happening::SiteStarts { site, life: 0 });
        }
        for (at, plot) in &scenario.plot {
            world.at(*at, Happening::Plot(plot.clone()));
        }
        world.at(scenario.calm_at, Happening::Calm);
        let end = scenario.calm_at + CALM_MS_MAX;
        let mut steps = 0;
        while !self.coordinator.is_done {
            let happening = world.next().ok_or("nothing happens any more, and the run is not over")?;
            steps += 1;
            if world.now > end || steps > STEPS_MAX {
                return Err(format!("the run is not over, {CALM_MS_MAX} ms and {STEPS_MAX} steps are enough"));
            }
            self.happen(world, happening)?;
            for fact in world.facts.drain(..) {
                if let Fact::Published(event) = &fact
                    && let RunEvent::RoundCommitted { round, .. } = **event
                {
                    self.rounds = self.rounds.max(round.0);
                }
                self.invariants.observe(&fact)?;
            }
        }
        self.invariants.at_the_end(u64::from(scenario.plan.rounds))?;
        Ok((steps, self.rounds, self.coordinator.lives() - 1))
    }

    fn happen(&mut self, world: &mut World<'_>, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::CoordinatorStarts => self.coordinator.start(world)?,
            Happening::CoordinatorWakes { life, at } => self.coordinator.wake(world, life, at),
            Happening::JournalWrites { life } => self.coordinator.write(world, life),
            Happening::CoordinatorHears { life, event } => self.coordinator.hear(world, life, *event),
            Happening::SiteStarts { site, life } => self.sites[site].start(world, life),
            Happening::SiteWakes { site, life } => self.sites[site].wake(world, life),
            Happening::JobEnds { site, life, key, kind, fails } => {
                self.sites[site].job_ends(world, life, key, kind, fails);
            }
            Happening::SiteStored { site, life, key } => self.sites[site].stored(world, life, key),
            Happening::Delivery { connection, packet: Packet::Up(up) } => self.coordinator.take(world, connection, up),
            Happening::Delivery { connection, packet: Packet::Down(down) } => {
                if let Some(site) = world.network.site_of(connection) {
                    self.sites[site].take(world, connection, down);
                }
            }
            Happening::Lost { connection, side: Side::Coordinator } => self.coordinator.lose(world, connection),
            Happening::Lost { connection, side: Side::Site } => {
                if let Some(site) = world.network.site_of(connection) {
                    self.sites[site].lose(world, connection);
                }
            }
            Happening::Plot(Plot::Revoke(site)) => {
                let name = &world.scenario.sites[site].name;
                self.coordinator.revoke(world, name);
            }
            Happening::Plot(Plot::Partition { site, ms }) => {
                world.note(format_args!("site {site} is cut off for {ms} ms"));
                world.partition(site, ms);
            }
            Happening::Plot(Plot::CrashCoordinator) => self.coordinator.crash(world),
            Happening::Plot(Plot::CrashSite(site)) => self.sites[site].die(world),
            Happening::Plot(Plot::Interrupt) => self.coordinator.interrupt(world),
            Happening::Calm => {
                world.note("nothing goes wrong from now on");
                world.is_calm = true;
                world.heal();
            }
        }
        Ok(())
    }
}
