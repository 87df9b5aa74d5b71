//! From updates to the round's combined update, as the plan's strategy has it.

use std::num::NonZeroU32;

use synod_common::blocks::{BlockKind, Layout};
use synod_common::plan::Weighting;
use synod_common::state::State;
use synod_common::update::Buffer;

use super::intake::{GramRule, HeldRule, Intake, Row};
use super::{Counted, StepError};
use crate::aggregate::{
    self, AggregateError, Gram, GramBlocks, Krum, Shares, SortedUpdates, bulyan_from_gram, cagrad_coefficients,
    clip_coefficients, combine_from_grams, coordinate_median, fedgh_coefficients, fedmgda_coefficients,
    fednova_coefficients, fltrust_coefficients, follow, geometric_median_coefficients, krum_coefficients, mean,
    pcgrad_coefficients, principal_from_grams, projection_coefficients, qfedavg_coefficients, trimmed_mean,
    weighted_sum, weighted_sum_blocks,
};

/// FedGH's direction of past steps.
const PAST: &str = "past";

/// A round that closes: its updates in the order of the client ids are handed along beside it.
pub(super) struct Closing<'a> {
    pub(super) counted: Vec<Counted>,
    pub(super) layout: &'a Layout,
}

impl Closing<'_> {
    /// Writes the combined update into `out`.
    ///
    /// What training leaves behind, such as running means, has no direction and no number of steps: it is averaged by
    /// samples. Robust rules treat it like the rest, since hostile sites could use it as well.
    pub(super) fn combine(&self, intake: Intake, state: &mut State, out: &mut [f32]) -> Result<(), StepError> {
        match intake {
            Intake::Mean { sum, .. } => sum.finish(&mut Vec::new())?.mean(out)?,
            Intake::Sum { sum } => sum.finish(&mut Vec::new())?.total(out)?,
            Intake::Held { updates, rule } => {
                let updates: Vec<Buffer> = updates.into_values().collect();
                self.held(&rule, &slices(&updates), out)?;
            }
            Intake::Trusted { grams, blocks, .. } => trusted(*grams, &blocks, out)?,
            Intake::Past { grams, blocks } => self.fedgh(*grams, &blocks, state, out)?,
            Intake::Grams { grams, blocks, rule } => {
                let SortedUpdates { updates, grams, .. } = grams.finish();
                self.directions(&rule, &grams, &slices(&updates), &blocks, out)?;
            }
        }
        Ok(())
    }

    fn shares(&self, weighting: Weighting) -> Result<Shares, AggregateError> {
        let samples: Vec<NonZeroU32> = self.counted.iter().map(|c| c.contribution.samples).collect();
        Shares::by(weighting, &samples)
    }

    fn average_state(&self, updates: &[&[f32]], out: &mut [f32]) -> Result<(), AggregateError> {
        let shares = self.shares(Weighting::Samples)?;
        for (_, range) in self.layout.ranges().filter(|(block, _)| block.kind == BlockKind::State) {
            let parts: Vec<&[f32]> = updates.iter().filter_map(|u| u.get(range.clone())).collect();
            if let Some(out) = out.get_mut(range) {
                mean(&parts, &shares, out)?;
            }
        }
        Ok(())
    }

    fn held(&self, rule: &HeldRule, updates: &[&[f32]], out: &mut [f32]) -> Result<(), AggregateError> {
        match rule {
            HeldRule::Fednova { weighting, momentum } => {
                let steps: Vec<u64> = self.counted.iter().map(|c| c.contribution.steps).collect();
                weighted_sum(updates, &fednova_coefficients(&self.shares(*weighting)?, &steps, *momentum)?, out)?;
                self.average_state(updates, out)
            }
            HeldRule::Qfedavg { q, lipschitz } => {
                // Screening saw to it that each has a loss; NaN is refused here.
                let loss = |c: &Counted| c.contribution.loss_before.unwrap_or(f64::NAN);
                let losses: Vec<f64> = self.counted.iter().map(loss).collect();
                let norms: Vec<f64> = self.counted.iter().map(|c| c.norm_squared).collect();
                weighted_sum(updates, &qfedavg_coefficients(&losses, &norms, *q, *lipschitz)?, out)?;
                self.average_state(updates, out)
            }
            HeldRule::Median => coordinate_median(updates, out),
            HeldRule::TrimmedMean(trim) => trimmed_mean(updates, *trim, out),
            HeldRule::NormClipping { weighting, bound } => {
                let norms: Vec<f64> = self.counted.iter().map(|c| c.norm_squared.sqrt()).collect();
                weighted_sum(updates, &clip_coefficients(&norms, &self.shares(*weighting)?, *bound)?, out)
            }
        }
    }

    /// Everything in the Gram domain that remembers nothing.
    fn directions(
        &self,
        rule: &GramRule,
        grams: &[Gram],
        updates: &[&[f32]],
        blocks: &aggregate::Layout,
        out: &mut [f32],
    ) -> Result<(), AggregateError> {
        match rule {
            GramRule::Principal { weighting, config } => {
                principal_from_grams(grams, updates, blocks, &self.shares(*weighting)?, config, out)?;
                self.average_state(updates, out)
            }
            GramRule::Projection { weighting, config } => {
                let shares = self.shares(*weighting)?;
                let of = |_, gram: &Gram| projection_coefficients(gram, &shares, *config);
                combine_from_grams(grams, updates, blocks, of, out)?;
                self.average_state(updates, out)
            }
            GramRule::Pcgrad { weighting } => {
                let shares = self.shares(*weighting)?;
                combine_from_grams(grams, updates, blocks, |_, gram| pcgrad_coefficients(gram, &shares), out)?;
                self.average_state(updates, out)
            }
            GramRule::Cagrad { weighting, radius } => {
                let shares = self.shares(*weighting)?;
                let of = |_, gram: &Gram| cagrad_coefficients(gram, &shares, *radius);
                combine_from_grams(grams, updates, blocks, of, out)?;
                self.average_state(updates, out)
            }
            GramRule::Fedmgda { weighting, config } => {
                let shares = self.shares(*weighting)?;
                let of = |_, gram: &Gram| fedmgda_coefficients(gram, &shares, *config);
                combine_from_grams(grams, updates, blocks, of, out)?;
                self.average_state(updates, out)
            }
            GramRule::GeometricMedian { weighting, config } => {
                let shares = self.shares(*weighting)?;
                let of = |_, gram: &Gram| geometric_median_coefficients(gram, &shares, *config);
                combine_from_grams(grams, updates, blocks, of, out)
            }
            GramRule::Krum { hostile, keep } => {
                let keep = keep.unwrap_or_else(|| updates.len().saturating_sub(hostile + 2));
                let of = |_, gram: &Gram| krum_coefficients(gram, Krum { hostile: *hostile, keep });
                combine_from_grams(grams, updates, blocks, of, out)
            }
            GramRule::Bulyan { hostile } => {
                let gram = grams.first().ok_or(AggregateError::Empty)?;
                bulyan_from_gram(gram, updates, *hostile, out)
            }
        }
    }

    /// FedGH: the direction of past steps is one more row after the updates.
    fn fedgh(
        &self,
        mut grams: GramBlocks<Row, Buffer>,
        blocks: &aggregate::Layout,
        state: &mut State,
        out: &mut [f32],
    ) -> Result<(), StepError> {
        let past = if let Some(past) = state.take_vector(PAST, out.len())? {
            past
        } else {
            let held = grams.held();
            let mut first = vec![0.0; out.len()];
            mean(&held, &Shares::uniform(held.len())?, &mut first)?;
            first
        };
        let mut followed = past.clone();
        grams.push(Row::Last, Buffer::from(past))?;
        let SortedUpdates { updates, grams, .. } = grams.finish();
        let coefficients = grams.iter().map(fedgh_coefficients).collect::<Result<Vec<_>, _>>()?;
        let rows = slices(&updates);
        let updates = rows.get(..self.counted.len()).unwrap_or(&rows);
        weighted_sum_blocks(updates, blocks, &coefficients, out)?;
        follow(&mut followed, out)?;
        state.set_vector(PAST, followed);
        Ok(self.average_state(updates, out)?)
    }
}

/// FLTrust: the root is the row after the updates.
fn trusted(grams: GramBlocks<Row, Buffer>, blocks: &aggregate::Layout, out: &mut [f32]) -> Result<(), StepError> {
    let SortedUpdates { keys, updates, grams } = grams.finish();
    if keys.last() != Some(&Row::Last) {
        return Err(StepError::NoRoot);
    }
    let coefficients = grams.iter().map(fltrust_coefficients).collect::<Result<Vec<_>, _>>()?;
    let rows = slices(&updates);
    let others = rows.split_last().map_or(&[][..], |(_, others)| others);
    Ok(weighted_sum_blocks(others, blocks, &coefficients, out)?)
}

fn slices(updates: &[Buffer]) -> Vec<&[f32]> {
    updates.iter().map(AsRef::as_ref).collect()
}
