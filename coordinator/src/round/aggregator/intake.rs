//! How updates are kept until the round closes: as little of them as the strategy can do with.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use synod_common::blocks::{BlockSpec, Layout};
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{self, Optimiser, Plan, Strategy, Weighting};
use synod_common::update::Buffer;

use crate::aggregate::{
    self, AggregateError, BufferedSum, Cagrad, ClipBound, DirectionLength, FedMgda, GeometricMedian, GramBlocks, Keep,
    NormRule, Orientation, Principal, Projection, Scope, Screened, Trim,
};

/// A row of the Gram matrix: sites in the order of their ids, and after them what they are measured by, FedGH's direction of
/// past steps or FLTrust's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Site(ClientId),
    Last,
}

/// The updates so far, and the rule that will combine them.
#[derive(Debug)]
pub(super) enum Intake {
    /// Their exact sum.
    Mean { sum: BufferedSum<Buffer>, weighting: Weighting },
    /// Their exact sum, each as it is.
    Sum { sum: BufferedSum<Buffer> },
    /// Themselves.
    Held { updates: BTreeMap<ClientId, Buffer>, rule: HeldRule },
    /// Themselves with their inner products, and room for the direction of past steps: FedGH.
    Past { grams: Box<GramBlocks<Row, Buffer>>, blocks: aggregate::Layout },
    /// Themselves with their inner products, the trusted site's after all others: FLTrust.
    Trusted { grams: Box<GramBlocks<Row, Buffer>>, blocks: aggregate::Layout, root: ClientId },
    /// Themselves with their inner products.
    Grams { grams: Box<GramBlocks<ClientId, Buffer>>, blocks: aggregate::Layout, rule: GramRule },
}

/// A rule that needs every update, and no inner products.
#[derive(Debug)]
pub(super) enum HeldRule {
    Fednova { weighting: Weighting, momentum: f64 },
    Qfedavg { q: f64, lipschitz: f64 },
    Median,
    TrimmedMean(Trim),
    NormClipping { weighting: Weighting, bound: ClipBound },
}

/// A rule in the Gram domain.
#[derive(Debug)]
pub(super) enum GramRule {
    Principal { weighting: Weighting, config: Principal },
    Projection { weighting: Weighting, config: Projection },
    Pcgrad { weighting: Weighting },
    Cagrad { weighting: Weighting, radius: Cagrad },
    Fedmgda { weighting: Weighting, config: FedMgda },
    GeometricMedian { weighting: Weighting, config: GeometricMedian },
    Krum { hostile: usize, keep: Option<usize> },
    Bulyan { hostile: usize },
}

impl Intake {
    pub(super) fn new(
        plan: &Plan,
        round: RoundId,
        layout: &Layout,
        updates_max: usize,
    ) -> Result<Self, AggregateError> {
        let mean = |weighting| Self::Mean { sum: BufferedSum::new(layout.len()), weighting };
        let held = |rule| Ok(Self::Held { updates: BTreeMap::new(), rule });
        let blocks =
            |scope: Scope| Ok(scope.blocks(&aggregate::Layout::new(layout.blocks().iter().map(BlockSpec::elements))?));
        let grams = |scope: Scope, rule| {
            let blocks = blocks(scope)?;
            Ok(Self::Grams { grams: Box::new(GramBlocks::new(blocks.clone(), updates_max)), blocks, rule })
        };
        match &plan.aggregate.strategy {
            Strategy::Fedavg { weighting } => Ok(mean(*weighting)),
            Strategy::Sum => Ok(Self::Sum { sum: BufferedSum::new(layout.len()) }),
            Strategy::Fednova { weighting } => {
                let momentum = match plan.train.optimiser {
                    Optimiser::Sgd { momentum, .. } => momentum,
                    // Reading a plan refuses these.
                    Optimiser::Adam(_) | Optimiser::AdamW(_) => 0.0,
                };
                held(HeldRule::Fednova { weighting: *weighting, momentum })
            }
            Strategy::Qfedavg { q, lipschitz } => {
                let lipschitz = lipschitz.unwrap_or(1.0 / plan.train.optimiser.lr());
                held(HeldRule::Qfedavg { q: *q, lipschitz })
            }
            Strategy::PrincipalGradient(p) if round.0 <= u64::from(p.warmup_rounds) => Ok(mean(p.weighting)),
            Strategy::PrincipalGradient(p) => {
                let config = to_config(p)?;
                grams(config.scope, GramRule::Principal { weighting: p.weighting, config })
            }
            Strategy::PrincipalProjection { damping, keep, weighting, scope } => {
                let config = Projection::new(*damping, Keep::new(*keep)?)?;
                grams(to_scope(*scope), GramRule::Projection { weighting: *weighting, config })
            }
            Strategy::Fedgh { scope } => {
                let blocks = blocks(to_scope(*scope))?;
                let rows = updates_max.saturating_add(1);
                Ok(Self::Past { grams: Box::new(GramBlocks::new(blocks.clone(), rows)), blocks })
            }
            Strategy::Pcgrad { weighting, scope } => {
                grams(to_scope(*scope), GramRule::Pcgrad { weighting: *weighting })
            }
            Strategy::Cagrad { c, weighting, scope } => {
                grams(to_scope(*scope), GramRule::Cagrad { weighting: *weighting, radius: Cagrad::new(*c)? })
            }
            Strategy::FedmgdaPlus { epsilon, length, weighting } => {
                let length = match length {
                    plan::DirectionLength::Direction => DirectionLength::Direction,
                    plan::DirectionLength::MeanOfNorms => DirectionLength::MeanOfNorms,
                };
                let config = FedMgda::new(*epsilon, length)?;
                grams(Scope::Whole, GramRule::Fedmgda { weighting: *weighting, config })
            }
            Strategy::Median => held(HeldRule::Median),
            Strategy::TrimmedMean { trim } => held(HeldRule::TrimmedMean(Trim::new(*trim)?)),
            Strategy::GeometricMedian { weighting, smoothing, iterations_max } => {
                let config = GeometricMedian { smoothing: *smoothing, iterations_max: *iterations_max as usize };
                grams(Scope::Whole, GramRule::GeometricMedian { weighting: *weighting, config })
            }
            Strategy::NormClipping { weighting, factor } => {
                held(HeldRule::NormClipping { weighting: *weighting, bound: ClipBound::MedianNorm(*factor) })
            }
            Strategy::Krum { hostile } => {
                grams(Scope::Whole, GramRule::Krum { hostile: *hostile as usize, keep: Some(1) })
            }
            Strategy::MultiKrum { hostile, keep } => {
                let keep = keep.map(|keep| keep as usize);
                grams(Scope::Whole, GramRule::Krum { hostile: *hostile as usize, keep })
            }
            Strategy::Fltrust { root } => {
                let blocks = blocks(Scope::Whole)?;
                let grams = Box::new(GramBlocks::new(blocks.clone(), updates_max));
                Ok(Self::Trusted { grams, blocks, root: root.client_id() })
            }
            Strategy::Bulyan { hostile } => grams(Scope::Whole, GramRule::Bulyan { hostile: *hostile as usize }),
        }
    }

    pub(super) fn push(
        &mut self,
        client: ClientId,
        samples: NonZeroU32,
        delta: Buffer,
        screened: Screened,
    ) -> Result<(), AggregateError> {
        match self {
            // Spent buffers go back to their pool when they drop.
            Self::Mean { sum, weighting } => {
                sum.push_screened(weighting.weight(samples), delta, screened, &mut Vec::new())
            }
            Self::Sum { sum } => sum.push_screened(NonZeroU32::MIN, delta, screened, &mut Vec::new()),
            Self::Held { updates, .. } => {
                updates.insert(client, delta);
                Ok(())
            }
            Self::Past { grams, .. } => grams.push(Row::Site(client), delta),
            Self::Trusted { grams, root, .. } => {
                grams.push(if client == *root { Row::Last } else { Row::Site(client) }, delta)
            }
            Self::Grams { grams, .. } => grams.push(client, delta),
        }
    }
}

fn to_scope(scope: plan::Scope) -> Scope {
    match scope {
        plan::Scope::Block => Scope::Block,
        plan::Scope::Model => Scope::Whole,
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
        scope: to_scope(p.scope),
    })
}
