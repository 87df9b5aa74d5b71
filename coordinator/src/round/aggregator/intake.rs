//! How updates are kept until the round closes: as little of them as the strategy can do with.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use synod_common::blocks::{BlockSpec, Layout};
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{Scope, Strategy, Weighting};
use synod_common::update::Buffer;

use crate::aggregate::{self, AggregateError, BufferedSum, GramBlocks, Screened};

/// A row of the Gram matrix: sites in the order of their ids, and after them the direction of past steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Site(ClientId),
    Past,
}

/// The updates so far.
#[derive(Debug)]
pub(super) enum Intake {
    /// Their exact sum.
    Mean { sum: BufferedSum<Buffer>, weighting: Weighting },
    /// Themselves.
    Held(BTreeMap<ClientId, Buffer>),
    /// Themselves with their inner products.
    Grams { grams: Box<GramBlocks<Row, Buffer>>, blocks: aggregate::Layout },
}

impl Intake {
    pub(super) fn new(
        strategy: &Strategy,
        round: RoundId,
        layout: &Layout,
        updates_max: usize,
    ) -> Result<Self, AggregateError> {
        let mean = |weighting| Self::Mean { sum: BufferedSum::new(layout.len()), weighting };
        let grams = |scope, rows: usize| {
            let blocks = aggregate::Layout::new(layout.blocks().iter().map(BlockSpec::elements))?;
            let blocks = if scope == Scope::Block { blocks } else { blocks.whole() };
            Ok(Self::Grams { grams: Box::new(GramBlocks::new(blocks.clone(), rows)), blocks })
        };
        match strategy {
            Strategy::Fedavg { weighting } => Ok(mean(*weighting)),
            Strategy::PrincipalGradient(p) if round.0 <= u64::from(p.warmup_rounds) => Ok(mean(p.weighting)),
            Strategy::PrincipalGradient(p) => grams(p.scope, updates_max),
            Strategy::Fedgh { scope } => grams(*scope, updates_max.saturating_add(1)),
            Strategy::Fednova { .. } | Strategy::Qfedavg { .. } => Ok(Self::Held(BTreeMap::new())),
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
            Self::Held(updates) => {
                updates.insert(client, delta);
                Ok(())
            }
            Self::Grams { grams, .. } => grams.push(Row::Site(client), delta),
        }
    }
}
