//! In which order the updates of a simulation come, where that matters.
//!
//! A simulated task has no duration of its own: how fast a worker thread is must not decide who takes part. Where a plan counts
//! updates as they come, a task takes as many units as it has steps, times a draw between 1 and 2 from the seed, the round and
//! the site. The next update is that of the task that is done first; ties go to the one that was given first.

use std::collections::{BTreeMap, VecDeque};

use rand::Rng;
use synod_common::ids::{RoundId, SiteName};
use synod_common::plan::Plan;
use synod_common::random::{Purpose, stream};

/// Parts of one step's unit.
const UNIT: u64 = 1024;

/// The ticket of what may come at any time.
pub(super) const ANY_TIME: u64 = 0;

/// What comes back from workers, handed on in the order of the simulated time.
#[derive(Debug)]
pub(super) struct Pace<T> {
    is_ordered: bool,
    now: u64,
    given: u64,
    /// When each task is done, by its ticket.
    due: BTreeMap<u64, u64>,
    /// Tasks by when they are done, with their result where it came.
    tasks: BTreeMap<(u64, u64), Option<T>>,
    ready: VecDeque<T>,
}

impl<T> Pace<T> {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            is_ordered: plan.round.depends_on_order(),
            now: 0,
            given: ANY_TIME,
            due: BTreeMap::new(),
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// A site with so many training `samples` begins a training task; the ticket of its result.
    pub(super) fn train(&mut self, plan: &Plan, round: RoundId, site: &SiteName, samples: u64) -> u64 {
        if !self.is_ordered {
            return ANY_TIME;
        }
        let draw = stream(plan.seed, round, site.client_id(), Purpose::Pace).next_u64() % UNIT;
        let steps = plan.train.steps_of(samples).max(1);
        self.given += 1;
        let due = self.now.saturating_add(steps.saturating_mul(UNIT + draw));
        self.due.insert(self.given, due);
        self.tasks.insert((due, self.given), None);
        self.given
    }

    /// A result came.
    pub(super) fn came(&mut self, ticket: u64, result: T) {
        match self.due.remove(&ticket) {
            Some(due) => drop(self.tasks.insert((due, ticket), Some(result))),
            None => self.ready.push_back(result),
        }
    }

    /// The next result, if it is there.
    pub(super) fn next(&mut self) -> Option<T> {
        if let Some(result) = self.ready.pop_front() {
            return Some(result);
        }
        let first = self.tasks.first_entry()?;
        if first.get().is_none() {
            return None;
        }
        self.now = first.key().0;
        first.remove()
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
        assert!(pace.due[&after] > 100_000, "time does not go back");
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
