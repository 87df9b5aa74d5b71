//! In which order the updates of a simulation come, where that matters.
//!
//! A simulated task has no duration of its own: how fast a worker thread is must not decide who takes part. Where a plan counts
//! updates as they come, a task takes as many units as it has steps, times a draw between 1 and 2 from the seed, the round and
//! the site. The next update is that of the task that is done first; ties go to the one that was given first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::Rng;
use synod_common::ids::{RoundId, SiteName};
use synod_common::plan::Plan;
use synod_common::random::{Purpose, stream};

/// Parts of one step's unit.
const UNIT: u64 = 1024;

/// When a task is done, and which it was of all tasks: smaller ones come first.
pub(super) type Turn = (u64, u64);

/// What comes back from workers, handed on in the order of the simulated time.
#[derive(Debug)]
pub(super) struct Pace<T> {
    is_ordered: bool,
    now: u64,
    given: u64,
    at_work: BTreeSet<Turn>,
    waiting: BTreeMap<Turn, T>,
    ready: VecDeque<T>,
}

impl<T> Pace<T> {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            is_ordered: plan.round.depends_on_order(),
            now: 0,
            given: 0,
            at_work: BTreeSet::new(),
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// A site with so many training `samples` begins a training task.
    pub(super) fn train(&mut self, plan: &Plan, round: RoundId, site: &SiteName, samples: u64) -> Turn {
        if !self.is_ordered {
            return self.other();
        }
        let draw = stream(plan.seed, round, site.client_id(), Purpose::Pace).next_u64() % UNIT;
        let steps = plan.train.steps_of(samples).max(1);
        self.given += 1;
        let turn = (self.now.saturating_add(steps.saturating_mul(UNIT + draw)), self.given);
        self.at_work.insert(turn);
        turn
    }

    /// Another job begins, whose result may come at any time.
    pub(super) fn other(&mut self) -> Turn {
        self.given += 1;
        (self.now, self.given)
    }

    /// A result came.
    pub(super) fn came(&mut self, turn: Turn, result: T) {
        if self.at_work.contains(&turn) {
            self.waiting.insert(turn, result);
        } else {
            self.ready.push_back(result);
        }
    }

    /// The next result, if it is there.
    pub(super) fn next(&mut self) -> Option<T> {
        if let Some(result) = self.ready.pop_front() {
            return Some(result);
        }
        let turn = *self.at_work.first()?;
        let result = self.waiting.remove(&turn)?;
        self.at_work.remove(&turn);
        self.now = turn.0;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::plan::AnyLoss;

    fn plan(round: &str) -> Plan {
        let text = format!(
            "model = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[round]\n{round}\n"
        );
        Plan::read(&text, &AnyLoss).unwrap()
    }

    fn site(name: &str) -> SiteName {
        SiteName::new(name).unwrap()
    }

    #[test]
    fn results_come_by_the_work_behind_them_whoever_is_ready_first() {
        let plan = plan("updates.count.min = 1");
        let mut pace = Pace::new(&plan);
        let long = pace.train(&plan, RoundId(1), &site("a"), 100_000);
        let short = pace.train(&plan, RoundId(1), &site("b"), 10);
        pace.came(long, "long");
        assert_eq!(pace.next(), None, "the shorter task is done first");
        pace.came(short, "short");
        assert_eq!([pace.next(), pace.next(), pace.next()], [Some("short"), Some("long"), None]);
        let after = pace.train(&plan, RoundId(2), &site("b"), 10);
        assert!(after.0 > long.0, "time does not go back");
    }

    #[test]
    fn where_order_does_not_matter_nothing_waits() {
        let plan = plan("cohort = 0");
        let mut pace = Pace::new(&plan);
        pace.train(&plan, RoundId(1), &site("a"), 1);
        let second = pace.train(&plan, RoundId(1), &site("b"), 100_000);
        pace.came(second, 2);
        assert_eq!(pace.next(), Some(2));
    }
}
