//! From updates to the round's combined update, as the plan's strategy has it.

use std::num::NonZeroU32;

use synod_common::blocks::{BlockKind, Layout};
use synod_common::plan::{self, Optimiser, Plan, Strategy, Weighting};
use synod_common::state::State;
use synod_common::update::Buffer;

use super::intake::{Intake, Row};
use super::{Counted, StepError};
use crate::aggregate::{
    self, AggregateError, Gram, GramBlocks, Keep, NormRule, Orientation, Principal, Shares, SortedUpdates,
    fedgh_coefficients, fednova_coefficients, follow, mean, principal_from_grams, qfedavg_coefficients, weighted_sum,
    weighted_sum_blocks,
};

/// FedGH's direction of past steps.
const PAST: &str = "past";

/// Writes the combined update into `out`.
pub(super) fn combine(
    intake: Intake,
    plan: &Plan,
    layout: &Layout,
    counted: &[Counted],
    state: &mut State,
    out: &mut [f32],
) -> Result<(), StepError> {
    let samples: Vec<NonZeroU32> = counted.iter().map(|c| c.contribution.samples).collect();
    let updates = match (intake, &plan.aggregate.strategy) {
        (Intake::Mean { sum, .. }, _) => return Ok(sum.finish(&mut Vec::new())?.mean(out)?),
        (Intake::Held(updates), strategy) => {
            let updates: Vec<Buffer> = updates.into_values().collect();
            weighted_sum(&slices(&updates), &coefficients(strategy, plan, counted, &samples)?, out)?;
            updates
        }
        (Intake::Grams { grams, blocks }, Strategy::Fedgh { .. }) => fedgh(*grams, &blocks, state, out)?,
        (Intake::Grams { grams, blocks }, strategy) => {
            let SortedUpdates { updates, grams, .. } = grams.finish();
            direction(strategy, &grams, &slices(&updates), &blocks, &samples, out)?;
            updates
        }
    };
    // What training leaves behind, such as running means, has no direction to agree on.
    let by_samples = Shares::samples(&samples)?;
    for (_, range) in layout.ranges().filter(|(block, _)| block.kind == BlockKind::State) {
        let parts: Vec<&[f32]> = updates.iter().take(counted.len()).filter_map(|u| u.get(range.clone())).collect();
        if let Some(out) = out.get_mut(range) {
            mean(&parts, &by_samples, out)?;
        }
    }
    Ok(())
}

fn slices(updates: &[Buffer]) -> Vec<&[f32]> {
    updates.iter().map(AsRef::as_ref).collect()
}

/// The coefficient of each update under a rule that needs no inner products.
fn coefficients(
    strategy: &Strategy,
    plan: &Plan,
    counted: &[Counted],
    samples: &[NonZeroU32],
) -> Result<Vec<f64>, AggregateError> {
    match strategy {
        Strategy::Fednova { weighting } => {
            let steps: Vec<u64> = counted.iter().map(|c| c.contribution.steps).collect();
            let momentum = match plan.train.optimiser {
                Optimiser::Sgd { momentum, .. } => momentum,
                Optimiser::Adam(_) | Optimiser::AdamW(_) => 0.0,
            };
            fednova_coefficients(&Shares::by(*weighting, samples)?, &steps, momentum)
        }
        Strategy::Qfedavg { q, lipschitz } => {
            // Screening saw to it that each has a loss; NaN would be refused here.
            let losses: Vec<f64> = counted.iter().map(|c| c.contribution.loss_before.unwrap_or(f64::NAN)).collect();
            let norms: Vec<f64> = counted.iter().map(|c| c.norm_squared).collect();
            qfedavg_coefficients(&losses, &norms, *q, lipschitz.unwrap_or(1.0 / plan.train.optimiser.lr()))
        }
        Strategy::Fedavg { .. } | Strategy::PrincipalGradient(_) | Strategy::Fedgh { .. } => {
            Shares::by(Weighting::Samples, samples).map(|shares| shares.as_slice().to_vec())
        }
    }
}

/// The combined update under a rule that follows directions and remembers nothing.
fn direction(
    strategy: &Strategy,
    grams: &[Gram],
    updates: &[&[f32]],
    blocks: &aggregate::Layout,
    samples: &[NonZeroU32],
    out: &mut [f32],
) -> Result<(), AggregateError> {
    match strategy {
        Strategy::PrincipalGradient(p) => {
            principal_from_grams(grams, updates, blocks, &Shares::by(p.weighting, samples)?, &to_config(p)?, out)
        }
        Strategy::Fedavg { .. } | Strategy::Fednova { .. } | Strategy::Qfedavg { .. } | Strategy::Fedgh { .. } => {
            mean(updates, &Shares::samples(samples)?, out)
        }
    }
}

/// FedGH: the direction of past steps is one more row after the updates. Returns the updates, and that row after them.
fn fedgh(
    mut grams: GramBlocks<Row, Buffer>,
    blocks: &aggregate::Layout,
    state: &mut State,
    out: &mut [f32],
) -> Result<Vec<Buffer>, StepError> {
    let past = if let Some(past) = state.take_vector(PAST, out.len())? {
        past
    } else {
        let held = grams.held();
        let mut first = vec![0.0; out.len()];
        mean(&held, &Shares::uniform(held.len())?, &mut first)?;
        first
    };
    let mut followed = past.clone();
    grams.push(Row::Past, Buffer::from(past))?;
    let SortedUpdates { updates, grams, .. } = grams.finish();
    let coefficients = grams.iter().map(fedgh_coefficients).collect::<Result<Vec<_>, _>>()?;
    let rows = slices(&updates);
    weighted_sum_blocks(&rows[..rows.len() - 1], blocks, &coefficients, out)?;
    follow(&mut followed, out)?;
    state.set_vector(PAST, followed);
    Ok(updates)
}

fn to_config(p: &plan::PrincipalGradient) -> Result<Principal, AggregateError> {
    Ok(Principal {
        keep: Keep::new(p.keep)?,
        orientation: match p.orientation {
            plan::Orientation::Own => Orientation::Own,
            plan::Orientation::Majority => Orientation::Majority,
        },
        norm: match p.norm {
            plan::StepNorm::AsReleased => NormRule::AsReleased,
            plan::StepNorm::Mean => NormRule::Mean,
            plan::StepNorm::MeanOfNorms => NormRule::MeanOfNorms,
        },
        scope: match p.scope {
            plan::Scope::Block => aggregate::Scope::Block,
            plan::Scope::Model => aggregate::Scope::Whole,
        },
    })
}
