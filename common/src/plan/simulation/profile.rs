//! `[[simulation.profile]]`: the machines and lines of simulated sites, on a virtual clock.

use serde::{Deserialize, Serialize};

use crate::plan::reader::Section;
use crate::plan::units::PlanDuration;

/// Most profiles of a plan: more are a table of sites, which a trace is for.
const PROFILES_MAX: usize = 1000;

/// The machine and the line of a share of the sites. With any profile a simulation runs on a virtual clock: how long a
/// task takes is computed, and deadlines decide who is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// A name for people.
    pub name: String,
    /// How many of the sites have it, in proportion to the shares of all profiles.
    pub share: f64,
    /// Samples that a site trains on in a second.
    pub samples_per_second: f64,
    /// Standard deviation of the logarithm of a site's own factor on its speed and bandwidth, drawn once.
    pub sigma: f64,
    /// Bandwidth towards the site, in megabits a second.
    pub down_mbit: f64,
    /// Bandwidth from the site, in megabits a second.
    pub up_mbit: f64,
    /// One way, once for a task and once for its answer.
    pub latency: PlanDuration,
    /// Probability that a site never answers a task.
    pub dropout: f64,
    /// Probability that a site's process dies in a task.
    pub crash: f64,
    /// How long a site is away after that; it then gets its task again if the round is open.
    pub restart: PlanDuration,
    /// When sites are there.
    pub availability: Availability,
}

/// When a site is there. One that goes loses what it was working on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// At all times.
    Always,
    /// Each day between two hours of its own time.
    DayNight {
        /// Hour from which it is there, 0 to below 24. The run begins at hour 0 of the first zone.
        from: f64,
        /// Hour until which it is there; before `from` it is that of the next day.
        until: f64,
        /// Hours over which the sites' own times are spread evenly at random.
        zones: f64,
    },
    /// On and off at random, for exponentially distributed times.
    Markov {
        /// Mean time on.
        on: PlanDuration,
        /// Mean time off.
        off: PlanDuration,
    },
    /// As a file says.
    Trace {
        /// CSV without a heading, inside the data folder: device, from, until, the times in seconds since the run began.
        /// Devices are dealt to sites in turn, and the trace begins again when its last time is over.
        path: String,
    },
}

const AVAILABILITIES: &[&str] = &["always", "day_night", "markov", "trace"];

impl Profile {
    pub(super) fn read_all(s: &mut Section<'_, '_>) -> Vec<Self> {
        let sections = s.sections("profile");
        if sections.len() > PROFILES_MAX {
            s.problem(
                "profile",
                format!("there are {} profiles, at most {PROFILES_MAX} are allowed", sections.len()),
                None,
            );
            return Vec::new();
        }
        let profiles: Vec<Self> = sections.into_iter().enumerate().map(|(at, o)| Self::read(at, o)).collect();
        if !profiles.is_empty() && profiles.iter().map(|profile| profile.share).sum::<f64>() <= 0.0 {
            s.problem("profile", "all shares are 0: no site would have a profile", Some("raise a share"));
        }
        profiles
    }

    fn read(at: usize, mut o: Section<'_, '_>) -> Self {
        let bandwidth = |o: &mut Section<'_, '_>, key| o.number(key, 10.0, 1e-3..=1e9);
        let profile = Self {
            name: o.or("name", format!("profile-{at}")),
            share: o.number("share", 1.0, 0.0..=1e6),
            samples_per_second: o.number("samples_per_second", 100.0, 1e-6..=1e12),
            sigma: o.number("sigma", 0.0, 0.0..=10.0),
            down_mbit: bandwidth(&mut o, "down_mbit"),
            up_mbit: bandwidth(&mut o, "up_mbit"),
            latency: o.or("latency", PlanDuration::from_millis(50)),
            dropout: o.number("dropout", 0.0, 0.0..=1.0),
            crash: o.number("crash", 0.0, 0.0..=1.0),
            restart: o.or("restart", PlanDuration::from_secs(60)),
            availability: read_availability(&mut o),
        };
        o.finish();
        profile
    }
}

fn read_availability(s: &mut Section<'_, '_>) -> Availability {
    let Some(choice) = s.choice("availability") else { return Availability::Always };
    let name = choice.name.clone();
    if !AVAILABILITIES.contains(&name.as_str()) {
        choice.unknown("availability", AVAILABILITIES);
        return Availability::Always;
    }
    let mut o = choice.options;
    let availability = match name.as_str() {
        "day_night" => {
            let (from, until) = (o.number("from", 22.0, 0.0..=24.0), o.number("until", 6.0, 0.0..=24.0));
            if from == until {
                o.problem("until", "`from` and `until` are the same hour: no time is between them", None);
            }
            Availability::DayNight { from, until, zones: o.number("zones", 0.0, 0.0..=24.0) }
        }
        "markov" => {
            let time = |o: &mut Section<'_, '_>, key| {
                let time = o.or(key, PlanDuration::from_secs(3600));
                if time.as_millis() == 0 {
                    o.problem(key, format!("`{key}` is 0, a mean time is above that"), None);
                }
                time
            };
            Availability::Markov { on: time(&mut o, "on"), off: time(&mut o, "off") }
        }
        "trace" => Availability::Trace {
            path: o.required("path", "the file that says when devices are there").unwrap_or_default(),
        },
        _ => Availability::Always,
    };
    o.finish();
    availability
}

/// Sites that come later or go before the end, by rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteArrival {
    /// Share of all sites that is not there at the start, drawn from the seed.
    pub late: f64,
    /// The first round for which late sites arrive.
    pub from: u64,
    /// The last one; they are spread evenly over these rounds.
    pub until: u64,
    /// Share of all sites that goes for good, drawn apart from the late ones.
    pub leaving: f64,
    /// The first round without some of them.
    pub leave_from: u64,
    /// The round without all of them.
    pub leave_until: u64,
}

impl SiteArrival {
    pub(super) fn read(mut o: Section<'_, '_>) -> Self {
        let rounds = 2..=1_000_000;
        let (from, leave_from) = (o.number("from", 2, rounds.clone()), o.number("leave_from", 2, rounds.clone()));
        let arrival = Self {
            late: o.number("late", 0.0, 0.0..=1.0),
            from,
            until: o.number("until", from, rounds.clone()),
            leaving: o.number("leaving", 0.0, 0.0..=1.0),
            leave_from,
            leave_until: o.number("leave_until", leave_from, rounds),
        };
        for (key, wrong) in [("until", arrival.until < from), ("leave_until", arrival.leave_until < leave_from)] {
            if wrong {
                o.problem(key, format!("`{key}` is before the round it begins with"), None);
            }
        }
        o.finish();
        arrival
    }
}

/// Samples of sites that change while a run goes on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// What changes.
    pub what: DriftKind,
    /// The last round before anything changes.
    pub from: u64,
    /// The round in which all is changed; the change grows evenly from `from` on.
    pub until: u64,
}

/// What changes while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// The classes: each site draws half of them that it has at first, and has the others at the end.
    Labels,
    /// The meaning of labels: at the end classes are permuted, everywhere in the same way.
    Concept,
    /// The inputs: `[simulation.shift]` acts on them not at all at first and fully at the end.
    Inputs,
}

impl Drift {
    pub(super) fn read(mut o: Section<'_, '_>) -> Option<Self> {
        let what = o.required("what", "what changes: labels, concept or inputs");
        let from = o.number("from", 1, 0..=1_000_000);
        let until = o.number("until", from + 1, 1..=1_000_000);
        if until <= from {
            o.problem("until", format!("`until` is {until}, it comes after `from`, which is {from}"), None);
        }
        o.finish();
        Some(Self { what: what?, from, until })
    }

    /// How much is changed in `round`: 0 to 1.
    #[must_use]
    pub fn share(&self, round: u64) -> f64 {
        (round.saturating_sub(self.from) as f64 / self.until.saturating_sub(self.from).max(1) as f64).min(1.0)
    }
}
