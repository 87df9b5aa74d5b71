//! Joins the plan's strategy to the arithmetic of [`crate::aggregate`]: takes updates as they arrive and gives the step.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;

use synod_common::blocks::{BlockKind, Layout};
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{self, Strategy};
use synod_common::update::Buffer;

use crate::aggregate::{
    self, AggregateError, BufferedSum, GramBlocks, Keep, NormRule, Orientation, Principal, Screened, Shares, Weighting,
};

/// Why a round's updates give no step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The arithmetic refused.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// The next model would have a value that is not finite.
    #[error(
        "the next model has a value that is not finite (value {0}); lower aggregate.server_lr or the learning rate"
    )]
    NonFinite(usize),
}

/// The updates of one round on their way to a step.
///
/// Memory besides the updates it was given: the mean holds 16 bytes per parameter and at most a handful of updates,
/// however many arrive; principal gradients hold every update of the round and 8 bytes per pair of updates and block.
#[derive(Debug)]
pub struct Aggregator {
    rule: Rule,
    samples: BTreeMap<ClientId, NonZeroU32>,
}

#[derive(Debug)]
enum Rule {
    Mean {
        sum: BufferedSum<Buffer>,
        weighting: plan::Weighting,
    },
    Principal {
        grams: Box<GramBlocks<ClientId, Buffer>>,
        config: Principal,
        blocks: aggregate::Layout,
        state: Vec<Range<usize>>,
        weighting: Weighting,
    },
}

impl Aggregator {
    /// The aggregator of `round` for at most `updates_max` updates.
    ///
    /// # Errors
    /// When the strategy's options or the layout are outside what the arithmetic takes.
    pub fn new(
        strategy: &Strategy,
        round: RoundId,
        layout: &Layout,
        updates_max: usize,
    ) -> Result<Self, AggregateError> {
        let rule = match strategy {
            Strategy::Fedavg { weighting } => Rule::Mean { sum: BufferedSum::new(layout.len()), weighting: *weighting },
            Strategy::PrincipalGradient(p) if round.0 <= u64::from(p.warmup_rounds) => {
                Rule::Mean { sum: BufferedSum::new(layout.len()), weighting: p.weighting }
            }
            Strategy::PrincipalGradient(p) => {
                let blocks =
                    aggregate::Layout::new(layout.blocks().iter().map(synod_common::blocks::BlockSpec::elements))?;
                let config = to_config(p)?;
                let blocks = config.scope.blocks(&blocks);
                Rule::Principal {
                    grams: Box::new(GramBlocks::new(blocks.clone(), updates_max)),
                    config,
                    blocks,
                    state: layout.ranges().filter(|(b, _)| b.kind == BlockKind::State).map(|(_, r)| r).collect(),
                    weighting: to_weighting(p.weighting),
                }
            }
        };
        Ok(Self { rule, samples: BTreeMap::new() })
    }

    /// Number of updates taken.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.samples.len()
    }

    /// Takes the update of `client`, which `screened` is the screening of. A client is taken once; the caller sees to that.
    ///
    /// # Errors
    /// When the arithmetic refuses the update; the aggregator is then as it was.
    pub fn push(
        &mut self,
        client: ClientId,
        samples: NonZeroU32,
        delta: Buffer,
        screened: Screened,
    ) -> Result<(), AggregateError> {
        match &mut self.rule {
            Rule::Mean { sum, weighting } => {
                let weight = match weighting {
                    plan::Weighting::Samples => samples,
                    plan::Weighting::Uniform => NonZeroU32::MIN,
                };
                // Spent buffers go back to their pool when they drop.
                sum.push_screened(weight, delta, screened, &mut Vec::new())?;
            }
            Rule::Principal { grams, .. } => grams.push(client, delta)?,
        }
        self.samples.insert(client, samples);
        Ok(())
    }

    /// Writes the next model: `model + server_lr * step`, and returns the norm of the change.
    ///
    /// # Errors
    /// Without updates, or when the result would not be finite.
    pub fn finish(self, server_lr: f64, model: &[f32], next: &mut [f32]) -> Result<f64, StepError> {
        match self.rule {
            Rule::Mean { sum, .. } => sum.finish(&mut Vec::new())?.mean(next)?,
            Rule::Principal { grams, config, blocks, state, weighting } => {
                let samples: Vec<NonZeroU32> = self.samples.into_values().collect();
                let shares = Shares::by(weighting, &samples)?;
                let sorted = grams.finish();
                let updates: Vec<&[f32]> = sorted.updates.iter().map(AsRef::as_ref).collect();
                aggregate::principal_from_grams(&sorted.grams, &updates, &blocks, &shares, &config, next)?;
                // What training leaves behind, such as running means, has no direction to agree on.
                let by_samples = Shares::samples(&samples)?;
                for range in state {
                    let parts: Vec<&[f32]> = updates.iter().filter_map(|u| u.get(range.clone())).collect();
                    if let Some(out) = next.get_mut(range) {
                        aggregate::mean(&parts, &by_samples, out)?;
                    }
                }
            }
        }
        step(server_lr, model, next)
    }
}

/// `next = model + server_lr * next`; the norm of the change.
fn step(server_lr: f64, model: &[f32], next: &mut [f32]) -> Result<f64, StepError> {
    if server_lr != 1.0 {
        for value in next.iter_mut() {
            *value = (f64::from(*value) * server_lr) as f32;
        }
    }
    let norm = aggregate::screen(next).map_err(|error| match error {
        AggregateError::NonFinite { at, .. } => StepError::NonFinite(at),
        other => StepError::Aggregate(other),
    })?;
    for (value, old) in next.iter_mut().zip(model) {
        *value += old;
    }
    match next.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(StepError::NonFinite(at)),
        None => Ok(norm.norm()),
    }
}

fn to_weighting(weighting: plan::Weighting) -> Weighting {
    match weighting {
        plan::Weighting::Samples => Weighting::Samples,
        plan::Weighting::Uniform => Weighting::Uniform,
    }
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
