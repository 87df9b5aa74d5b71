//! What an update must satisfy before it counts. Every refusal says what is wrong, why, and what to do.

use std::num::NonZeroU32;

use synod_common::blocks::Layout;
use synod_common::extra::{ClassStatistics, Extras};
use synod_common::ids::{Digest, RoundId};
use synod_common::plan::{Plan, Strategy};

use super::actions::Received;
use super::aggregator::{Contribution, personal_head};
use crate::aggregate::{AggregateError, Screened};

/// What the current round expects of an update.
pub(super) struct Expected<'a> {
    pub(super) round: RoundId,
    /// How many rounds ago that round was the open one.
    pub(super) age: u64,
    pub(super) plan: &'a Plan,
    pub(super) plan_digest: Digest,
    pub(super) layout: &'a Layout,
    pub(super) layout_digest: Digest,
}

/// What is known of an update that passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Passed {
    pub(super) contribution: Contribution,
    pub(super) screened: Screened,
    /// Of the vector beside the delta, where the plan has one.
    pub(super) extra: Option<Screened>,
}

impl Expected<'_> {
    /// Checks `update`; on refusal the text for the site and the report.
    pub(super) fn check(&self, received: &Received) -> Result<Passed, String> {
        let Received { update, screening, .. } = received;
        let (header, limits) = (&update.header, &self.plan.screening);
        if header.plan != self.plan_digest {
            return Err(format!(
                "the update was trained by plan {}, this run is plan {}; restart the client, it will fetch the current plan",
                header.plan.short(),
                self.plan_digest.short()
            ));
        }
        if header.round != self.round {
            return Err(format!(
                "the update answers round {}, the site's task was of round {}; it is not counted, nothing is to be done",
                header.round, self.round
            ));
        }
        if header.layout != self.layout_digest || update.delta.len() != self.layout.len() {
            return Err(format!(
                "the update has {} values in layout {}, the model has {} in layout {}; use the same Synod release on both sides",
                update.delta.len(),
                header.layout.short(),
                self.layout.len(),
                self.layout_digest.short()
            ));
        }
        let samples = u32::try_from(header.samples).ok().and_then(NonZeroU32::new);
        let samples = samples.filter(|s| u64::from(s.get()) <= limits.samples_max).ok_or_else(|| {
            format!(
                "the update claims {} training samples, 1 to {} are believed; correct the site's data, or raise screening.samples_max in the plan",
                header.samples, limits.samples_max
            )
        })?;
        let screened = self.bounded("update", screening, Some(self.layout))?;
        let extra = self.extra(received)?;
        let steps_max = self.plan.train.steps_of(header.samples);
        if header.steps > steps_max {
            return Err(format!(
                "the update claims {} steps of training, its {samples} samples make at most {steps_max}; use the same Synod release on both sides",
                header.steps
            ));
        }
        let fair = matches!(self.plan.aggregate.strategy, Strategy::Qfedavg { .. });
        if fair && !header.loss_before.is_some_and(|loss| loss >= 0.0) {
            return Err(format!(
                "the update gives {} as loss of the received model, by which strategy qfedavg weighs it; it must be there and at least 0, use another train.loss or strategy",
                header.loss_before.map_or_else(|| "nothing".to_owned(), |loss| loss.to_string())
            ));
        }
        let contribution =
            Contribution { samples, steps: header.steps, loss_before: header.loss_before, age: self.age };
        Ok(Passed { contribution, screened, extra })
    }

    /// Checks the vector beside the delta, which is there exactly where the plan has one.
    fn extra(&self, received: &Received) -> Result<Option<Screened>, String> {
        let found = received.update.extra.as_ref().map(|extra| extra.len());
        let expected = Extras::new(self.plan, self.layout).update;
        if found != expected {
            let values = |length: Option<usize>| length.map_or_else(|| "no".to_owned(), |length| length.to_string());
            return Err(format!(
                "the update has {} values beside its delta, the plan asks for {}; use the same Synod release on both sides",
                values(found),
                values(expected)
            ));
        }
        let head = personal_head(self.plan, self.layout);
        let (what, blocks) = match head {
            Some(_) => ("vector of class statistics", None),
            None => ("change of the control variate", Some(self.layout)),
        };
        let screened = received.extra_screening.as_ref().map(|s| self.bounded(what, s, blocks)).transpose()?;
        if let (Some(head), Some(statistics)) = (head, &received.update.extra) {
            ClassStatistics::read(statistics, &head)
                .map_err(|error| format!("{error}; use the same Synod release on both sides"))?;
        }
        Ok(screened)
    }

    /// Finite values and a norm within the limit, of a vector that has the blocks of a model or none.
    fn bounded(
        &self,
        what: &str,
        screening: &Result<Screened, AggregateError>,
        blocks: Option<&Layout>,
    ) -> Result<Screened, String> {
        let screened = screening.as_ref().map_err(|error| explain(what, error, blocks))?;
        let (norm, norm_max) = (screened.norm(), self.plan.screening.norm_max);
        if norm > norm_max {
            return Err(format!(
                "the {what} has the norm {norm:.4e}, at most {norm_max:.4e} is accepted; lower the learning rate, or raise screening.norm_max in the plan"
            ));
        }
        Ok(*screened)
    }
}

fn explain(what: &str, error: &AggregateError, blocks: Option<&Layout>) -> String {
    let AggregateError::NonFinite { at, .. } = error else { return error.to_string() };
    let block = blocks.and_then(|layout| layout.ranges().find(|(_, range)| range.contains(at)));
    let place = block.map_or_else(String::new, |(block, _)| format!(" in block `{}`", block.name));
    format!(
        "the {what} has a value that is not finite{place} (value {at}); lower the learning rate or check the site's data for extreme values"
    )
}
