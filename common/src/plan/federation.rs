//! The `[round]`, `[screening]` and `[evaluate]` sections: how sites work together.

use serde::{Deserialize, Serialize};

use super::reader::Section;
use super::units::PlanDuration;

/// Most sites of one run, virtual or real.
pub const SITES_MAX: u32 = 10_000_000;

/// Who takes part in a round and how long it may take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundPlan {
    /// Sites chosen for each round; 0 chooses every site that is there.
    pub cohort: u32,
    /// Updates a round needs; 0 means one from every member of the cohort.
    pub updates_min: u32,
    /// Sites that must be there before the first round begins.
    pub sites_min: u32,
    /// How long the coordinator waits for `sites_min` sites.
    pub arrive_max: PlanDuration,
    /// How long a round may take.
    pub time_max: PlanDuration,
    /// How much longer the round stays open for the rest once it has `updates_min` updates.
    pub grace: PlanDuration,
    /// What happens when `time_max` is over and there are too few updates.
    pub on_too_few: OnTooFew,
    /// How often a round is tried again before the run stops (with `on_too_few = "retry"`).
    pub retries_max: u32,
}

/// What happens when a round has too few updates in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTooFew {
    /// The run stops and says who was missing.
    Stop,
    /// The round begins again with the sites that are there.
    Retry,
}

impl RoundPlan {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let plan = Self {
            cohort: s.number("cohort", 0, 0..=SITES_MAX),
            updates_min: s.number("updates_min", 0, 0..=SITES_MAX),
            sites_min: s.number("sites_min", 2, 1..=SITES_MAX),
            arrive_max: s.or("arrive_max", PlanDuration::from_secs(600)),
            time_max: s.or("time_max", PlanDuration::from_secs(1800)),
            grace: s.or("grace", PlanDuration::from_secs(0)),
            on_too_few: s.or("on_too_few", OnTooFew::Stop),
            retries_max: s.number("retries_max", 3, 0..=1000),
        };
        if plan.cohort != 0 && plan.updates_min > plan.cohort {
            s.problem(
                "updates_min",
                format!(
                    "`updates_min` is {}, more than the cohort of {}: no round could ever close",
                    plan.updates_min, plan.cohort
                ),
                Some("lower updates_min or raise cohort"),
            );
        }
        s.finish();
        plan
    }
}

/// What an update must satisfy before it counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Screening {
    /// Largest L2 norm of a delta.
    pub norm_max: f64,
    /// Most samples a site may claim.
    pub samples_max: u64,
}

impl Screening {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let screening = Self {
            norm_max: s.number("norm_max", 1e4, 1e-9..=1e12),
            samples_max: s.number("samples_max", 100_000_000, 1..=1_000_000_000),
        };
        s.finish();
        screening
    }
}

/// When and how models are measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluate {
    /// The global model on the central test set, each so many rounds; 0 only at the end.
    pub central_every: u32,
    /// Global and local models on each site's held-out samples, each so many rounds; 0 only at the end.
    pub site_every: u32,
    /// Samples of one evaluation batch.
    pub batch: u32,
}

impl Evaluate {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let evaluate = Self {
            central_every: s.number("central_every", 1, 0..=1_000_000),
            site_every: s.number("site_every", 1, 0..=1_000_000),
            batch: s.number("batch", 512, 1..=65_536),
        };
        s.finish();
        evaluate
    }

    /// Whether sites measure models in round `round` of `rounds`.
    #[must_use]
    pub fn sites_in(&self, round: u64) -> bool {
        self.site_every > 0 && round.is_multiple_of(u64::from(self.site_every))
    }

    /// Whether the global model of round `round` is measured centrally; the last one always is.
    #[must_use]
    pub fn central_in(&self, round: u64, rounds: u64) -> bool {
        round == rounds || (self.central_every > 0 && round.is_multiple_of(u64::from(self.central_every)))
    }
}
