//! What a site's own model is, from the received one and what the site keeps.

use std::borrow::Cow;

use synod_common::blocks::Head;
use synod_common::extra::Guide;
use synod_common::plan::{BlockRule, FineTune, Moves, Personal, Plan};
use synod_common::state::State;

use super::super::course::{Accompanied, Phase};
use super::super::error::TrainError;
use super::super::trainer::Assignment;
use super::blocks::BlockSet;
use super::mixture::mixture;
use crate::models::Blueprint;

const BLOCKS: &str = "personal.blocks";
const MODEL: &str = "personal.model";
const ALPHA: &str = "personal.alpha";

/// The plan's `[personal]`, worked out for its model.
#[derive(Clone, Debug)]
pub(in crate::train) struct Personalisation {
    method: Option<Personal>,
    /// The blocks of which the site has its own, kept there or with FedPAC sent with each task; empty where none are.
    local: BlockSet,
    /// The head that FedPAC mixes.
    mixed: Option<Head>,
    head: BlockSet,
}

impl Personalisation {
    /// Of `plan`, whose model is `blueprint`.
    ///
    /// # Errors
    /// When no block of the model has the name of one that is to stay.
    pub(in crate::train) fn new(plan: &Plan, blueprint: &Blueprint) -> Result<Self, TrainError> {
        let rule = plan.personal.as_ref().and_then(Personal::local_blocks);
        let local = rule.as_ref().map_or_else(BlockSet::default, |rule| BlockSet::new(blueprint, rule));
        if rule.is_some() && local.is_empty() {
            let names = blueprint.layout().blocks().iter().map(|block| block.name.as_str());
            return Err(TrainError::NoBlock { names: names.collect::<Vec<_>>().join(", ") });
        }
        let head = BlockSet::new(blueprint, &BlockRule::Head);
        let mixed = match plan.personal {
            Some(Personal::Fedpac { .. }) => blueprint.layout().head(),
            _ => None,
        };
        let local = if mixed.is_some() { head.clone() } else { local };
        Ok(Self { method: plan.personal.clone(), local, mixed, head })
    }

    /// The options of Ditto: the strength of the pull, and passes.
    pub(in crate::train) fn ditto(&self) -> Option<(f64, u32)> {
        match self.method {
            Some(Personal::Ditto { lambda, epochs }) => Some((lambda, epochs)),
            _ => None,
        }
    }

    /// What is trained before a site measures.
    pub(in crate::train) fn fine_tune(&self) -> Option<FineTune> {
        self.method.as_ref().and_then(Personal::fine_tune)
    }

    /// FedPAC's head and centroids of `task`, and the strength of the pull to them.
    ///
    /// # Errors
    /// When they are missing or of another model.
    pub(in crate::train) fn aligned<'a>(&self, task: &Assignment<'a>) -> Result<Option<(Guide<'a>, f64)>, TrainError> {
        let (Some(head), Some(Personal::Fedpac { lambda, .. })) = (&self.mixed, &self.method) else { return Ok(None) };
        let (expected, found) = (Guide::values(head), task.extra.map_or(0, <[f32]>::len));
        match Guide::read(task.extra.unwrap_or_default(), head) {
            Some(guide) => Ok(Some((guide, *lambda))),
            None => Err(TrainError::State { name: "guide", expected, found }),
        }
    }

    /// The head that FedPAC mixes, where the plan has it.
    pub(in crate::train) fn mixed(&self) -> Option<&Head> {
        self.mixed.as_ref()
    }

    /// The model that training begins with at a site that received `task`. With FedPAC, a task without a guide is about its
    /// model as it is.
    ///
    /// # Errors
    /// When what is kept or came along is of another model.
    pub(in crate::train) fn start<'a>(&self, task: &Assignment<'a>) -> Result<Cow<'a, [f32]>, TrainError> {
        let model = task.model;
        let own = match (&self.mixed, task.extra) {
            (Some(_), Some(_)) => self.aligned(task)?.map(|(guide, _)| guide.head),
            (Some(_), None) => None,
            (None, _) => kept(task.state, BLOCKS, self.local.len())?,
        };
        match own {
            Some(packed) if !self.local.is_empty() => {
                let mut start = model.to_vec();
                self.local.unpack(packed, &mut start);
                Ok(Cow::Owned(start))
            }
            _ => Ok(Cow::Borrowed(model)),
        }
    }

    /// The model that a site answers with, before any fine-tuning.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(in crate::train) fn answer<'a>(&self, task: &Assignment<'a>) -> Result<Cow<'a, [f32]>, TrainError> {
        let Assignment { model, state, .. } = *task;
        match &self.method {
            Some(Personal::Ditto { .. }) => Ok(Cow::Borrowed(own(state, model)?)),
            Some(Personal::Apfl { alpha, .. }) => {
                Ok(Cow::Owned(mixture(own(state, model)?, model, state.number(ALPHA).unwrap_or(*alpha))))
            }
            _ => self.start(task),
        }
    }

    /// The second model as a site that received `model` has it at the start of a round.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(in crate::train) fn own<'a>(&self, model: &'a [f32], state: &'a State) -> Result<&'a [f32], TrainError> {
        own(state, model)
    }

    /// APFL's model that trains in step with the shared one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(in crate::train) fn accompanied<'a>(
        &self,
        model: &'a [f32],
        state: &'a State,
    ) -> Result<Option<Accompanied<'a>>, TrainError> {
        let Some(Personal::Apfl { alpha, adapt }) = self.method else { return Ok(None) };
        let alpha = state.number(ALPHA).unwrap_or(alpha);
        Ok(Some(Accompanied { own: own(state, model)?, alpha, adapts: adapt }))
    }

    /// What moves when in a round with `steps` steps on a site whose pass has `pass` steps.
    pub(in crate::train) fn phases(&self, steps: u64, pass: u64) -> Vec<Phase> {
        match self.method {
            Some(Personal::Fedrep { head_epochs } | Personal::Fedpac { head_epochs, .. }) => vec![
                Phase { steps: pass.saturating_mul(u64::from(head_epochs)), frozen: self.head.others() },
                Phase { steps, frozen: self.head.members().to_vec() },
            ],
            Some(Personal::Fedbabu(_)) => vec![Phase { steps, frozen: self.head.members().to_vec() }],
            _ => vec![Phase::free(steps)],
        }
    }

    /// The one phase of fine-tuning.
    pub(in crate::train) fn tuning(&self, tune: FineTune, pass: u64) -> Phase {
        let frozen = match tune.moves {
            Moves::All => Vec::new(),
            Moves::Head => self.head.others(),
        };
        Phase { steps: pass.saturating_mul(u64::from(tune.epochs)), frozen }
    }

    /// The values in `trained` of the blocks of the site's own.
    pub(in crate::train) fn local_values(&self, trained: &[f32]) -> Vec<f32> {
        self.local.pack(trained)
    }

    /// Takes the blocks that stay out of `delta` and keeps their trained `values` in `state`. With FedPAC, whose head began
    /// elsewhere than in the `received` model, `delta` gets its difference to the latter.
    pub(in crate::train) fn retain(&self, values: Vec<f32>, received: &[f32], delta: &mut [f32], state: &mut State) {
        if let Some(head) = &self.mixed {
            let values = values.iter().zip(&received[head.range.clone()]);
            delta[head.range.clone()].iter_mut().zip(values).for_each(|(delta, (own, shared))| *delta = own - shared);
        } else if !self.local.is_empty() {
            state.set_vector(BLOCKS, values);
            self.local.clear(delta);
        }
    }

    /// Keeps a second model in `state`, with APFL's alpha where it has moved.
    pub(in crate::train) fn keep(&self, own: Vec<f32>, alpha: Option<f64>, state: &mut State) {
        state.set_vector(MODEL, own);
        if let (Some(alpha), Some(Personal::Apfl { adapt: true, .. })) = (alpha, &self.method) {
            state.set_number(ALPHA, alpha);
        }
    }
}

/// The second model; that of the first round is the received one.
fn own<'a>(state: &'a State, model: &'a [f32]) -> Result<&'a [f32], TrainError> {
    Ok(kept(state, MODEL, model.len())?.unwrap_or(model))
}

fn kept<'a>(state: &'a State, name: &'static str, expected: usize) -> Result<Option<&'a [f32]>, TrainError> {
    match state.vector(name) {
        Some(values) if values.len() != expected => Err(TrainError::State { name, expected, found: values.len() }),
        values => Ok(values),
    }
}
