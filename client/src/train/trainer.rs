//! One round of local training at one site.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::blocks::Layout;
use synod_common::ids::{ClientId, Digest, RoundId};
use synod_common::metrics::Metrics;
use synod_common::plan::{Plan, Task};
use synod_common::random::{Purpose, stream};
use synod_losses::{LossConfig, Memory};

use super::burn_engine::BurnEngine;
use super::engine::{Batch, Engine, Predictor};
use super::error::TrainError;
use super::memory::Memories;
use super::order::{self, Order};
use crate::catalogue::{kind_of, loss_of};
use crate::data::{Share, SiteData};
use crate::device::DeviceChoice;
use crate::models::Blueprint;
use crate::task::regression::standardise;
use crate::task::{Evaluation, Tally};

/// Most reports of progress in one round.
const REPORTS_MAX: u64 = 20;

/// Trains and evaluates the model of one plan on one device. Share it among threads behind an `Arc`: training
/// changes nothing in it but what a loss remembers of the site that trains.
pub struct Trainer {
    plan: Arc<Plan>,
    plan_digest: Digest,
    layout_digest: Digest,
    blueprint: Blueprint,
    loss: LossConfig,
    engine: Box<dyn Engine>,
    /// Values of one sample.
    inputs: usize,
    memories: Memories,
}

/// How far local training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub steps: u64,
    /// Mean loss per sample over the steps done.
    pub loss: f64,
}

/// What comes with the delta of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Training samples of the site.
    pub samples: u64,
    /// Optimiser steps done.
    pub steps: u64,
    /// Mean loss of the received model over the training samples, without margin control, where the plan asks for it.
    pub loss_before: Option<f64>,
    /// The received model on the held-out samples, in rounds in which sites measure.
    pub before: Option<Metrics>,
    /// `loss`: the mean per sample over all steps, with margin control if the plan has it. Absent without steps.
    pub train: Metrics,
    /// The trained model on the held-out samples, in rounds in which sites measure.
    pub after: Option<Metrics>,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("plan", &self.plan.name)
            .field("model", &self.plan.model)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// Prepares the training of `plan` on `device`.
    ///
    /// # Errors
    /// When the device is not there, the model cannot be laid out, or the loss is none of the zoo's.
    pub fn new(plan: Arc<Plan>, device: &DeviceChoice) -> Result<Self, TrainError> {
        let loss = loss_of(&plan)?;
        let kind = kind_of(&plan.task);
        if !loss.fits(kind) {
            return Err(loss.unfit(kind).into());
        }
        let blueprint = Blueprint::new(&plan)?;
        let engine = Box::new(BurnEngine::new(&plan, blueprint.clone(), loss.clone(), device.open()?));
        let inputs = plan.data.input_values();
        let (plan_digest, layout_digest) = (plan.digest(), blueprint.layout().digest());
        Ok(Self { plan, plan_digest, layout_digest, blueprint, loss, engine, inputs, memories: Memories::default() })
    }

    /// The blocks of the model.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.blueprint.layout()
    }

    /// The digest of the plan, computed once: it names every task and update.
    #[must_use]
    pub fn plan_digest(&self) -> Digest {
        self.plan_digest
    }

    /// The digest of the layout, computed once.
    #[must_use]
    pub fn layout_digest(&self) -> Digest {
        self.layout_digest
    }

    /// First values of the model, as [`initial`](crate::models::initial()).
    #[must_use]
    pub fn initial(&self) -> Vec<f32> {
        self.blueprint.initial(self.plan.seed)
    }

    /// Trains a copy of `global` on the site's samples and writes the trained model minus `global` to `delta`.
    ///
    /// `watch` hears of the progress some twenty times at most, and stops the training by breaking. For the same bits
    /// on every machine, call this in a thread pool of one thread.
    ///
    /// # Errors
    /// When the data do not fit the plan, the loss or a parameter stops being a number, the device fails, or `watch`
    /// breaks. Then `delta` holds nothing of meaning.
    pub fn train(
        &self,
        round: RoundId,
        client: ClientId,
        global: &[f32],
        site: &SiteData,
        delta: &mut [f32],
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<Trained, TrainError> {
        self.blueprint.check(global)?;
        if delta.len() != global.len() {
            return Err(TrainError::Buffer { expected: global.len(), found: delta.len() });
        }
        let samples = site.train.len() as u64;
        let holdout = site.holdout.as_ref().filter(|_| self.plan.evaluate.sites_in(round.0));
        let before = holdout.map(|holdout| self.evaluate(global, holdout)).transpose()?.map(|e| e.metrics);
        if samples == 0 {
            return Err(TrainError::Empty);
        }
        let loss_before = match self.plan.train.loss_before {
            true => self.evaluate(global, &site.train)?.metrics.get("loss"),
            false => None,
        };
        let steps = order::steps(&self.plan.train, site.train.len());
        if steps == 0 {
            delta.fill(0.0);
            let train = Metrics { samples, values: BTreeMap::new() };
            return Ok(Trained { samples, steps, loss_before, after: before.clone(), before, train });
        }
        let loss = self.learn(round, client, global, &site.train, steps, delta, watch)?;
        let after = holdout.map(|holdout| self.evaluate(delta, holdout)).transpose()?.map(|e| e.metrics);
        for (delta, global) in delta.iter_mut().zip(global) {
            *delta -= global;
        }
        let train = Metrics { samples, values: BTreeMap::from([("loss".to_owned(), loss)]) };
        Ok(Trained { samples, steps, loss_before, before, train, after })
    }

    /// Metrics of the parameters `model` on `share`, without margin control.
    ///
    /// # Errors
    /// When `model` or the samples do not fit the plan, the model's outputs are no numbers, or the device fails.
    pub fn evaluate(&self, model: &[f32], share: &Share) -> Result<Evaluation, TrainError> {
        let predictor = self.engine.predictor(model)?;
        let mut tally = Tally::new(&self.plan.task, &self.loss);
        let positions: Vec<u32> = (0..share.len() as u32).collect();
        let mut batch = Batch::default();
        for positions in positions.chunks(self.plan.evaluate.batch.max(1) as usize) {
            self.fill(share, positions, &mut batch)?;
            self.measure(predictor.as_ref(), &mut batch, &mut tally)?;
        }
        Ok(tally.finish())
    }

    fn measure(&self, predictor: &dyn Predictor, batch: &mut Batch, tally: &mut Tally<'_>) -> Result<(), TrainError> {
        let outputs = predictor.outputs(batch)?;
        match outputs.iter().find(|output| !output.is_finite()) {
            Some(value) => Err(TrainError::Outputs { value: *value }),
            None => Ok(tally.add(&outputs, &batch.labels, &batch.targets)?),
        }
    }

    /// Trains, writes the trained parameters to `out`, and returns the mean loss per sample.
    #[expect(clippy::too_many_arguments, reason = "private, and called once")]
    fn learn(
        &self,
        round: RoundId,
        client: ClientId,
        global: &[f32],
        share: &Share,
        steps: u64,
        out: &mut [f32],
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<f64, TrainError> {
        let train = &self.plan.train;
        let samples = u32::try_from(share.len()).unwrap_or(u32::MAX);
        let lr = train.optimiser.lr() * train.schedule.factor(round.0, u64::from(self.plan.rounds));
        let mut order = Order::new(samples, train.batch, stream(self.plan.seed, round, client, Purpose::Shuffle));
        let mut learner = self.engine.learner(global)?;
        let mut state = self.memories.of(client, &self.loss, share, self.plan.task.classes())?;
        let (read_every, report_every) = (self.engine.read_every(), steps.div_ceil(REPORTS_MAX));
        let mut batch = Batch::default();
        // Samples of each step whose loss is not read yet.
        let mut unread = Vec::new();
        let (mut seen, mut sum) = (0.0_f64, 0.0_f64);
        for step in 1..=steps {
            if let (Some(remembering), Some(state)) = (self.loss.remembering(), &mut state)
                && order.begins_pass()
            {
                remembering.begin_pass(state);
            }
            let positions = order.next_batch();
            self.fill(share, positions, &mut batch)?;
            if let Task::Regression { mean, std, .. } = &self.plan.task {
                standardise(&mut batch.targets, mean, std);
            }
            unread.push(positions.len());
            learner.step(&mut batch, lr, state.as_mut().map(|state| Memory::new(state, positions)))?;
            let report = step % report_every == 0 || step == steps;
            if !report && (unread.len() as u64) < read_every {
                continue;
            }
            let first = step + 1 - unread.len() as u64;
            for (step, (loss, samples)) in (first..).zip(learner.losses()?.into_iter().zip(unread.drain(..))) {
                if !loss.is_finite() {
                    return Err(TrainError::Diverged { round, step, steps, loss, lr });
                }
                seen += samples as f64;
                sum += samples as f64 * loss;
            }
            if report && watch(StepReport { step, steps, loss: sum / seen }).is_break() && step < steps {
                return Err(TrainError::Stopped { step, steps });
            }
        }
        learner.write(out)?;
        match out.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(TrainError::NotFinite { round, index, steps, lr }),
            None => {
                self.memories.keep(client, state);
                Ok(sum / seen)
            }
        }
    }

    /// Gathers samples into `batch` and checks that they fit the plan.
    fn fill(&self, share: &Share, positions: &[u32], batch: &mut Batch) -> Result<(), TrainError> {
        let expected = self.inputs;
        // An engine that took the buffer gets another of the right size at once, not one that grows to it.
        batch.inputs.clear();
        batch.inputs.reserve_exact(expected * positions.len());
        share.gather(positions, &mut batch.inputs, &mut batch.labels);
        share.gather_targets(positions, &mut batch.targets);
        let found = batch.inputs.len() / positions.len().max(1);
        if found != expected {
            return Err(TrainError::Inputs { expected, found });
        }
        let (classes, width) = match self.plan.task {
            Task::Classification { classes } => (classes as usize, 0),
            Task::MultiLabel { .. } | Task::Regression { .. } => (usize::MAX, self.plan.task.outputs()),
        };
        if batch.targets.len() != positions.len() * width {
            return Err(TrainError::Targets { expected: width, task: self.plan.task.name() });
        }
        match batch.labels.iter().find(|label| usize::try_from(**label).map_or(true, |label| label >= classes)) {
            Some(label) => Err(TrainError::Label { label: *label, classes }),
            None => Ok(()),
        }
    }
}
