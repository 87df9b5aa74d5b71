//! How long tasks take, and what fails.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use synod_client::data::Trace;
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{Plan, Profile};
use synod_common::random::{Purpose, run_stream, stream};

use super::availability::Presence;

/// Bits of a megabit, by the millisecond.
const BITS_OF_MBIT_MS: f64 = 1e3;

/// The machines of all sites.
#[derive(Debug)]
pub(in crate::fleet) struct Systems<'a> {
    profiles: &'a [Profile],
    traces: &'a [Trace],
    /// The profile of each site.
    of: Vec<u16>,
    seed: u64,
}

/// What a task asks of a site.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet) struct Load {
    /// Passes over single samples.
    pub(in crate::fleet) samples: u64,
    /// Bytes to the site.
    pub(in crate::fleet) down: u64,
    /// Bytes from the site.
    pub(in crate::fleet) up: u64,
}

/// What becomes of a task, in milliseconds since it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Fate {
    /// The answer is there after `after`, of which `work` were work.
    Done { after: u64, work: u64 },
    /// The site never answers.
    Dropped,
    /// The site's process dies after `after` and is there again `away` later.
    Crashed { after: u64, away: u64 },
}

impl<'a> Systems<'a> {
    /// Deals the profiles of the plan to `sites` sites by their shares. `traces` has one for each profile.
    pub(in crate::fleet) fn new(plan: &'a Plan, traces: &'a [Trace], sites: usize) -> Self {
        let profiles = plan.simulation.as_ref().map_or(&[][..], |simulation| &simulation.profiles);
        let total: f64 = profiles.iter().map(|profile| profile.share).sum();
        let mut of = Vec::with_capacity(sites);
        let mut sum = 0.0;
        for (number, profile) in (0_u16..).zip(profiles) {
            sum += profile.share;
            let until = (sum / total * sites as f64).round() as usize;
            of.resize(until.clamp(of.len(), sites), number);
        }
        of.shuffle(&mut run_stream(plan.seed, Purpose::Systems));
        Self { profiles, traces, of, seed: plan.seed }
    }

    /// The profile of the site at `place`.
    pub(in crate::fleet) fn profile(&self, place: usize) -> &'a Profile {
        &self.profiles[usize::from(self.of[place])]
    }

    /// When the site at `place` is there.
    pub(in crate::fleet) fn presence(&self, place: usize, client: ClientId) -> Presence {
        let number = usize::from(self.of[place]);
        let nothing = Trace::default();
        let trace = self.traces.get(number).unwrap_or(&nothing);
        Presence::new(&self.profiles[number].availability, trace, place, self.seed, client)
    }

    /// What becomes of the training task `number` of the site, counted from 1.
    pub(in crate::fleet) fn fate(&self, place: usize, client: ClientId, number: u64, load: Load) -> Fate {
        let profile = self.profile(place);
        let mut rng = stream(self.seed, RoundId(number), client, Purpose::Systems);
        let (drops, crashes, at): (f64, f64, f64) = (rng.random(), rng.random(), rng.random());
        match self.done(place, client, load) {
            _ if drops < profile.dropout => Fate::Dropped,
            Fate::Done { after, .. } if crashes < profile.crash => {
                Fate::Crashed { after: (after as f64 * at).ceil() as u64, away: profile.restart.as_millis() }
            }
            fate => fate,
        }
    }

    /// How long a task takes where nothing fails.
    pub(in crate::fleet) fn done(&self, place: usize, client: ClientId, load: Load) -> Fate {
        let profile = self.profile(place);
        let factor = factor(profile.sigma, self.seed, client);
        let line = |bytes: u64, mbit: f64| bytes as f64 * 8.0 / (mbit * factor * BITS_OF_MBIT_MS);
        let work = load.samples as f64 / (profile.samples_per_second * factor) * 1e3;
        let lines = line(load.down, profile.down_mbit) + line(load.up, profile.up_mbit);
        let after = work + lines + 2.0 * profile.latency.as_millis() as f64;
        Fate::Done { after: after.ceil() as u64, work: work.ceil() as u64 }
    }
}

/// A site's own factor on its speed and bandwidth.
fn factor(sigma: f64, seed: u64, client: ClientId) -> f64 {
    if sigma == 0.0 {
        return 1.0;
    }
    // Apart from what decides when the site is there.
    let mut rng = stream(seed, RoundId(u64::MAX), client, Purpose::Systems);
    let normal: f64 = StandardNormal.sample(&mut rng);
    (sigma * normal).exp()
}

#[cfg(test)]
mod tests {
    use synod_common::plan::AnyLoss;

    use super::*;

    fn plan(profiles: &str) -> Plan {
        let text = format!(
            "model = \"logistic\"\n[task.classification]\nclasses = 3\n[data]\nsource = \"digits\"\n[simulation]\nclients = 10\n{profiles}"
        );
        Plan::read(&text, &AnyLoss).unwrap_or_else(|error| panic!("{error}"))
    }

    const LOAD: Load = Load { samples: 500, down: 1_000_000, up: 500_000 };

    #[test]
    fn a_task_takes_its_work_its_bytes_and_its_way() {
        let plan = plan(
            "[[simulation.profile]]\nsamples_per_second = 100.0\ndown_mbit = 8.0\nup_mbit = 1.0\nlatency = \"100ms\"\n",
        );
        let systems = Systems::new(&plan, &[], 10);
        // 5 s of work, 1 s down, 4 s up, and twice 0.1 s.
        let fate = systems.fate(3, ClientId([3; 16]), 1, LOAD);
        assert_eq!(fate, Fate::Done { after: 10_200, work: 5000 });
    }

    #[test]
    fn profiles_are_dealt_by_their_shares_and_the_seed() {
        let plan = plan("[[simulation.profile]]\nshare = 3.0\n[[simulation.profile]]\nshare = 1.0\nname = \"slow\"\n");
        let slow = |sites| {
            let systems = Systems::new(&plan, &[], sites);
            (0..sites).filter(|place| systems.profile(*place).name == "slow").collect::<Vec<_>>()
        };
        assert_eq!((slow(100).len(), slow(10).len()), (25, 2));
        assert!(slow(100) != (75..100).collect::<Vec<_>>(), "not the last ones");
        assert_eq!(slow(100), slow(100));
    }

    #[test]
    fn failures_have_their_probabilities() {
        let plan = plan("[[simulation.profile]]\ndropout = 0.2\ncrash = 0.5\nrestart = \"3s\"\n");
        let systems = Systems::new(&plan, &[], 10);
        let fates: Vec<Fate> = (1..2000).map(|n| systems.fate(0, ClientId([1; 16]), n, LOAD)).collect();
        let share = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count() as f64 / 2000.0;
        let (dropped, crashed) = (share(|f| *f == Fate::Dropped), share(|f| matches!(f, Fate::Crashed { .. })));
        assert!((dropped - 0.2).abs() < 0.03 && (crashed - 0.4).abs() < 0.04, "{dropped} {crashed}");
        let back = |f: &Fate| !matches!(f, Fate::Crashed { away, .. } if *away != 3000);
        assert!(fates.iter().all(back));
    }

    #[test]
    fn sites_of_a_profile_differ_by_their_own_factor() {
        let plan = plan("[[simulation.profile]]\nsigma = 1.0\n");
        let systems = Systems::new(&plan, &[], 10);
        let fate = |client: u8, number| systems.fate(0, ClientId([client; 16]), number, LOAD);
        assert_eq!(fate(1, 1), fate(1, 2));
        assert_ne!(fate(1, 1), fate(2, 1));
    }
}
