//! Many seeds.

use rayon::prelude::*;

use super::run::{Failure, Sabotage, play};

/// Failures that are kept with everything that happened in them: the first ones are the ones to look at.
const FAILURES_MAX: usize = 20;

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// Seeds that were played.
    pub seeds: u64,
    /// Their steps.
    pub steps: u64,
    /// Rounds that were committed.
    pub rounds: u64,
    /// Deaths of coordinators.
    pub deaths: u64,
    /// Seeds that did not hold.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<Failure>,
}

impl Campaign {
    /// Plays `seeds` seeds from `first` on, on all cores.
    #[must_use]
    pub fn run(first: u64, seeds: u64, sabotage: Option<Sabotage>) -> Self {
        let one = |seed| match play(seed, sabotage) {
            Ok(run) => Self { seeds: 1, steps: run.steps, rounds: run.rounds, deaths: run.deaths, ..Self::default() },
            Err(failure) => Self { seeds: 1, failed: 1, failures: vec![*failure], ..Self::default() },
        };
        (first..first.saturating_add(seeds)).into_par_iter().map(one).reduce(Self::default, Self::and)
    }

    fn and(mut self, other: Self) -> Self {
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_MAX);
        Self {
            seeds: self.seeds + other.seeds,
            steps: self.steps + other.steps,
            rounds: self.rounds + other.rounds,
            deaths: self.deaths + other.deaths,
            failed: self.failed + other.failed,
            failures: self.failures,
        }
    }
}
