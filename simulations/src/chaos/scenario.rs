//! A scenario: what federation it is, what goes wrong, and when. All of it from one seed.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::ids::{Digest, SiteName};
use synod_common::plan::{AnyLoss, Plan};

use super::hostile::Habit;

/// Everything that a seed decides before the first step.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Layout,
    pub(super) initial: Vec<f32>,
    pub(super) sites: Vec<SiteSpec>,
    pub(super) faults: Faults,
    /// What happens at which time, in milliseconds.
    pub(super) plot: Vec<(u64, Plot)>,
    /// From here on nothing goes wrong any more, in milliseconds.
    pub(super) calm_at: u64,
}

/// One site.
#[derive(Clone, Debug)]
pub(super) struct SiteSpec {
    pub(super) name: SiteName,
    pub(super) samples: u64,
    /// What its training takes at most, in milliseconds.
    pub(super) training_ms_max: u64,
    /// How it misbehaves, if it does.
    pub(super) habit: Option<Habit>,
}

/// How often things go wrong: probabilities, and times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) delay_ms_max: u64,
    /// A packet is sent again, which takes so much longer.
    pub(super) loss: f64,
    /// A connection breaks, at each message.
    pub(super) breaks: f64,
    /// The coordinator dies, at each step, after any of its actions.
    pub(super) coordinator_crash: f64,
    /// The power fails, at each write of the journal.
    pub(super) power_cut: f64,
    /// A client dies, at each step.
    pub(super) site_crash: f64,
    /// A training fails, or never ends.
    pub(super) training: f64,
    /// A disk takes seconds for a write.
    pub(super) slow_disk: f64,
}

/// What happens at a time that is set beforehand.
#[derive(Clone, Debug)]
pub(super) enum Plot {
    Revoke(usize),
    Partition { site: usize, ms: u64 },
    CrashCoordinator,
    CrashSite(usize),
    Interrupt,
}

/// The random numbers of one purpose.
pub(super) fn stream(seed: u64, purpose: &str) -> ChaCha12Rng {
    ChaCha12Rng::from_seed(Digest::of(format!("synod chaos, {purpose} of seed {seed}").as_bytes()).0)
}

impl Scenario {
    /// The scenario of `seed`.
    pub(super) fn of(seed: u64) -> Result<Self, String> {
        let rng = &mut stream(seed, "scenario");
        let sites = sites(rng);
        let (mut revoked, hostile) = (Vec::new(), sites.iter().filter(|site| site.habit.is_some()).count());
        if rng.random_bool(0.4) {
            let site = rng.random_range(0..sites.len());
            // Without it there are still enough.
            if sites[site].habit.is_some() || sites.len() > 2 * hostile + 2 {
                revoked.push(site);
            }
        }
        let is_reliable = |site: &usize| sites[*site].habit.is_none() && !revoked.contains(site);
        let reliable = (0..sites.len()).filter(is_reliable).count();
        let text = plan_text(seed, rng, sites.len(), reliable);
        let plan = Plan::read(&text, &AnyLoss).map_err(|error| format!("the scenario's plan is none: {error}"))?;
        let blocks = [("weight", rng.random_range(8..=32)), ("bias", rng.random_range(2..=8))];
        let block = |(name, length): (&str, usize)| BlockSpec {
            name: name.to_owned(),
            shape: vec![length],
            kind: BlockKind::Parameter,
        };
        let layout = Layout::new(blocks.map(block).to_vec()).map_err(|error| error.to_string())?;
        let initial = (0..layout.len()).map(|_| f32::from(rng.random_range(-64_i8..64)) / 64.0).collect();
        let calm_at = rng.random_range(5_000..60_000);
        let plot = plot(rng, &sites, &revoked, calm_at);
        Ok(Self { plan: Arc::new(plan), layout, initial, faults: faults(rng), sites, plot, calm_at })
    }
}

fn sites(rng: &mut ChaCha12Rng) -> Vec<SiteSpec> {
    let number = rng.random_range(2..=8);
    let hostile = if number > 3 { rng.random_range(0..=(number - 2) / 2) } else { 0 };
    let site = |index: usize, rng: &mut ChaCha12Rng| SiteSpec {
        name: ["a", "b", "c", "d", "e", "f", "g", "h"]
            .get(index)
            .and_then(|name| SiteName::new(name).ok())
            .expect("there are at most eight sites, and their names are letters"),
        samples: rng.random_range(1..200),
        training_ms_max: rng.random_range(50..4_000),
        habit: (index < hostile).then(|| Habit::draw(rng)),
    };
    (0..number).map(|index| site(index, rng)).collect()
}

/// A plan that `reliable` of `sites` can always finish.
fn plan_text(seed: u64, rng: &mut ChaCha12Rng, sites: usize, reliable: usize) -> String {
    let strategy = ["fedavg = {}", "fedavgm = { momentum = 0.5 }", "median = {}"][rng.random_range(0..3)];
    let unreliable = sites - reliable;
    let updates_min = rng.random_range(1..=reliable - unreliable);
    // A drawn cohort may have everyone who is not reliable, and so may those who are there first.
    let cohort = if rng.random_bool(0.3) { unreliable + updates_min } else { 0 };
    let (rounds, sites_min) = (rng.random_range(2..=6), unreliable + updates_min);
    let time_max = rng.random_range(4..=20);
    let grace = [0, 200, 2_000][rng.random_range(0..3)];
    let on_too_few =
        ["\"stop\"", "{ retry = { times = 2 } }", "{ wait = { longer = \"5s\" } }", "{ shrink = { floor = 1 } }"]
            [rng.random_range(0..4)];
    let holdout = [0.0, 0.2][rng.random_range(0..2)];
    format!(
        "name = \"chaos {seed}\"\nseed = {seed}\nrounds = {rounds}\nmodel = \"logistic\"\n\
         [task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\nholdout = {holdout:.1}\n\
         [aggregate.strategy]\n{strategy}\n\
         [round]\ncohort = {cohort}\narrival.count.min = {sites_min}\narrival.time.max = \"60s\"\n\
         updates.count.min = {updates_min}\nupdates.time.max = \"{time_max}s\"\nupdates.grace = \"{grace}ms\"\n\
         updates.on_too_few = {on_too_few}\nevaluation.time.max = \"20s\"\n\
         [screening]\nnorm_max = 1000.0\nsamples_max = 1000\n"
    )
}

fn faults(rng: &mut ChaCha12Rng) -> Faults {
    let mut rate = |max: f64| if rng.random_bool(0.5) { rng.random_range(0.0..max) } else { 0.0 };
    let faults = Faults {
        delay_ms_max: 1,
        loss: rate(0.2),
        breaks: rate(0.08),
        coordinator_crash: rate(0.03),
        power_cut: rate(0.08),
        site_crash: rate(0.05),
        training: rate(0.1),
        slow_disk: rate(0.1),
    };
    Faults { delay_ms_max: [5, 100, 1_000][rng.random_range(0..3)], ..faults }
}

fn plot(rng: &mut ChaCha12Rng, sites: &[SiteSpec], revoked: &[usize], calm_at: u64) -> Vec<(u64, Plot)> {
    let mut plot: Vec<_> = revoked.iter().map(|site| (rng.random_range(0..calm_at), Plot::Revoke(*site))).collect();
    for _ in 0..rng.random_range(0..6) {
        let site = rng.random_range(0..sites.len());
        let happens = match rng.random_range(0..8) {
            0 | 1 => Plot::CrashCoordinator,
            2 => Plot::CrashSite(site),
            3 => Plot::Interrupt,
            _ => Plot::Partition { site, ms: rng.random_range(100..20_000) },
        };
        plot.push((rng.random_range(0..calm_at), happens));
    }
    plot
}
