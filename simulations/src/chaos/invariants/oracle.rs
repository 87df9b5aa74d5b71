//! The committed model is the oracle's over the acknowledged updates, bit for bit.
//!
//! The oracle is the rules written down once more, in the simplest way: values are multiples of 1/64, so that their sums are
//! exact in f64 in any order.

use std::collections::{BTreeMap, BTreeSet};

use synod_common::ids::SiteName;
use synod_common::plan::{ServerOptimiser, Strategy};
use synod_coordinator::journal::Entry;

use super::super::fact::Fact;
use super::super::scenario::Scenario;
use super::Invariant;

#[derive(Debug)]
pub(super) struct Oracle {
    takes_median: bool,
    momentum: Option<f64>,
    model: Vec<f32>,
    velocity: Vec<f32>,
    /// Of the open attempt: samples and values.
    updates: BTreeMap<SiteName, (u64, Vec<f32>)>,
    acknowledged: BTreeSet<SiteName>,
}

impl Oracle {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let aggregate = &scenario.plan.aggregate;
        Self {
            takes_median: matches!(aggregate.strategy, Strategy::Median),
            momentum: if let Some(ServerOptimiser::Sgd { momentum }) = aggregate.server {
                Some(momentum)
            } else {
                None
            },
            model: scenario.initial.clone(),
            velocity: vec![0.0; scenario.initial.len()],
            updates: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
        }
    }

    fn combined(&self, at: usize) -> f32 {
        let values = self.updates.values().map(|(samples, values)| (*samples as f64, f64::from(values[at])));
        if self.takes_median {
            let mut sorted: Vec<f64> = values.map(|(_, value)| value).collect();
            sorted.sort_by(f64::total_cmp);
            let middle = sorted.len() / 2;
            let median =
                if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
            return median as f32;
        }
        let (total, sum) =
            values.fold((0.0, 0.0), |(total, sum), (samples, value)| (total + samples, sum + samples * value));
        (sum / total) as f32
    }

    fn commit(&mut self) {
        for at in 0..self.model.len() {
            let mut step = self.combined(at);
            if let Some(momentum) = self.momentum {
                step = (momentum * f64::from(self.velocity[at]) + f64::from(step)) as f32;
                self.velocity[at] = step;
            }
            self.model[at] += step;
        }
    }
}

impl Invariant for Oracle {
    fn begins(&mut self) {
        self.updates.clear();
        self.acknowledged.clear();
    }

    fn durable(&mut self, entry: &Entry, values: &[f32]) -> Result<(), String> {
        match entry {
            Entry::UpdateAccepted(accepted) => {
                self.updates.insert(accepted.site.clone(), (accepted.header.samples, values.to_vec()));
            }
            Entry::MemberOut { site, .. } => {
                self.updates.remove(site);
            }
            Entry::RoundCommitted(committed) => {
                let round = committed.round;
                if let Some(site) = self.acknowledged.iter().find(|site| !committed.took_part.contains(site)) {
                    return Err(format!(
                        "the update of {site} was acknowledged and is not in the model of round {round}"
                    ));
                }
                if !self.updates.keys().eq(committed.took_part.iter()) {
                    let (part, there) = (&committed.took_part, self.updates.keys());
                    return Err(format!(
                        "round {round} is made of {part:?}, the journal has {:?}",
                        there.collect::<Vec<_>>()
                    ));
                }
                self.commit();
                if let Some(at) = (0..values.len()).find(|at| self.model[*at].to_bits() != values[*at].to_bits()) {
                    let (found, expected) = (values[at], self.model[at]);
                    return Err(format!("value {at} of round {round} is {found:?}, the oracle says {expected:?}"));
                }
            }
            Entry::RunStarted { .. } | Entry::SiteJoined { .. } | Entry::RoundOpened(_) | Entry::RunEnded { .. } => {}
        }
        Ok(())
    }

    fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        if let Fact::Acknowledged { site, .. } = fact
            && self.updates.contains_key(site)
        {
            self.acknowledged.insert(site.clone());
        }
        Ok(())
    }
}
