//! Joins the plan's strategy to the arithmetic of [`crate::aggregate`]: takes updates as they arrive and gives the next model.
//!
//! ```text
//! update ── clip ──► intake ──── combine ──► drift ──► server optimiser ──► next model
//!                    mean, held     │               │
//!                    or Gram        └── State of the last round ──► State of this one
//! ```

mod collaboration;
mod combine;
mod drift;
mod intake;
mod optimise;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use synod_common::blocks::Layout;
use synod_common::extra::StatisticsError;
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::Plan;
use synod_common::state::{State, StateError};
use synod_common::update::Buffer;

use crate::aggregate::{AggregateError, Screened, clip_norm, scale};
use collaboration::Collaboration;
pub(super) use collaboration::{guide, personal_head};
use combine::Closing;
pub(super) use drift::CONTROL;
use drift::Drift;
use intake::Intake;

/// Why a round's updates give no step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The arithmetic refused.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// What is remembered does not belong to this model.
    #[error(transparent)]
    State(#[from] StateError),
    /// What a site said of its classes cannot be.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// FLTrust without the update it measures the others by.
    #[error(
        "the trusted site sent no update, and `fltrust` has nothing to measure the others by; bring the site named in aggregate.strategy.fltrust.root back"
    )]
    NoRoot,
    /// The next model would have a value that is not finite.
    #[error(
        "the next model has a value that is not finite (value {0}); lower aggregate.server_lr or the learning rate"
    )]
    NonFinite(usize),
}

/// What an update says of itself, as far as strategies ask for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// Training samples behind it.
    pub samples: NonZeroU32,
    /// Steps of the local optimiser.
    pub steps: u64,
    /// Loss of the received model at the site, at least 0.
    pub loss_before: Option<f64>,
    /// How many rounds older than the round's model the model is that it was trained from.
    pub age: u64,
}

/// The step of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// L2 norm of the change of the model.
    pub norm: f64,
    /// What the strategy remembers once the round is committed.
    pub state: State,
}

/// The updates of one round on their way to a step.
///
/// Memory besides the updates it was given: means hold 16 bytes per parameter and at most a handful of updates, however many
/// arrive; strategies that look at directions hold every update of the round and 8 bytes per pair of updates and block; the
/// others hold every update.
#[derive(Debug)]
pub struct Aggregator {
    plan: Arc<Plan>,
    layout: Layout,
    sites: usize,
    intake: Intake,
    drift: Drift,
    /// FedPAC's, where the plan has it.
    collaboration: Option<Collaboration>,
    /// In the order of the client ids, like everything that is held.
    counted: BTreeMap<(ClientId, u64), Counted>,
}

/// What is kept of an update that counts, besides its values.
#[derive(Debug, Clone, Copy)]
struct Counted {
    contribution: Contribution,
    norm_squared: f64,
}

impl Aggregator {
    /// The aggregator of `round` for at most `updates_max` updates, in a run that knows `sites` sites.
    ///
    /// # Errors
    /// When the layout is outside what the arithmetic takes.
    pub fn new(
        plan: &Arc<Plan>,
        round: RoundId,
        layout: &Layout,
        updates_max: usize,
        sites: usize,
    ) -> Result<Self, AggregateError> {
        let intake = Intake::new(plan, round, layout, updates_max)?;
        let drift = Drift::new(plan.train.algorithm, layout.len());
        let collaboration = Collaboration::new(plan, layout);
        let (plan, layout, counted) = (Arc::clone(plan), layout.clone(), BTreeMap::new());
        Ok(Self { plan, layout, sites, intake, drift, collaboration, counted })
    }

    /// Number of updates taken.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.counted.len()
    }

    /// Takes the update of `client`, which `screened` is the screening of, and where the plan has one the vector beside it. A
    /// client is taken once at each age; the caller sees to that. The delta of an update of an older model is taken times the
    /// weight that the plan gives its age.
    ///
    /// # Errors
    /// When the arithmetic refuses the update, or it is too old; the aggregator is then as it was.
    pub fn push(
        &mut self,
        client: ClientId,
        contribution: Contribution,
        mut delta: Buffer,
        mut screened: Screened,
        extra: Option<(Buffer, Screened)>,
    ) -> Result<(), AggregateError> {
        if let Some(norm_max) = self.plan.aggregate.clip_norm {
            screened = clip_norm(&mut delta, screened, norm_max)?;
        }
        let head = self.collaboration.as_ref().map(|collaboration| collaboration.head(&delta)).transpose()?;
        let weight = self.plan.round.weight_at(contribution.age).ok_or(AggregateError::Coefficient(0))?;
        if weight < 1.0 {
            screened = scale(&mut delta, weight)?;
        }
        self.intake.push(client, contribution.samples, delta, screened)?;
        match (extra, &mut self.collaboration, head) {
            (Some((statistics, _)), Some(collaboration), Some(head)) => {
                collaboration.push(client, contribution.samples, head, statistics);
            }
            (Some((change, screened)), ..) => self.drift.push(change, screened)?,
            (None, ..) => {}
        }
        self.counted.insert((client, contribution.age), Counted { contribution, norm_squared: screened.norm_squared });
        Ok(())
    }

    /// Writes the next model after `model` into `next`. `state` is what the strategy remembers of committed rounds; what it
    /// remembers after this one is returned and counts only if the round is committed.
    ///
    /// # Errors
    /// Without updates, when the state is of another model, or when the result would not be finite.
    pub fn finish(self, state: &State, model: &[f32], next: &mut [f32]) -> Result<Step, StepError> {
        let mut state = state.clone();
        let Self { plan, layout, sites, intake, drift, collaboration, counted } = self;
        let share = counted.len() as f64 / sites.max(counted.len()).max(1) as f64;
        Closing { counted: counted.into_values().collect(), layout: &layout }.combine(intake, &mut state, next)?;
        drift.finish(share, &mut state, next.len())?;
        if let Some(collaboration) = collaboration {
            collaboration.finish(model, &mut state)?;
        }
        let norm = optimise::optimise(&plan, share, &layout, &mut state, model, next)?;
        Ok(Step { norm, state })
    }
}
