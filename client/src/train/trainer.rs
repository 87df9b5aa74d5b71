//! One round of local training at one site.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::blocks::Layout;
use synod_common::ids::{ClientId, Digest, RoundId};
use synod_common::metrics::Metrics;
use synod_common::plan::{Plan, Task};
use synod_common::random::{Purpose, stream};
use synod_common::state::State;
use synod_losses::{LossConfig, LossState, Memory};

use super::algorithm::{Remembered, SiteMemory};
use super::burn_engine::BurnEngine;
use super::engine::{Batch, Engine, Predictor};
use super::error::TrainError;
use super::loss_memory;
use super::order::{self, Order};
use crate::catalogue::{kind_of, loss_of};
use crate::data::{Share, SiteData};
use crate::device::DeviceChoice;
use crate::models::{Blueprint, ClosedForm, Target};
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
}

/// What a site is to train, and what it brings along.
#[derive(Clone, Copy, Debug)]
pub struct Assignment<'a> {
    /// The round.
    pub round: RoundId,
    /// Who trains; its id in random streams.
    pub client: ClientId,
    /// The received model, `[layout.len()]`.
    pub model: &'a [f32],
    /// SCAFFOLD's control variate of the coordinator, `[layout.len()]`; only there where the plan has SCAFFOLD.
    pub control: Option<&'a [f32]>,
    /// What the site kept of its last round; empty in its first.
    pub state: &'a State,
}

/// Local steps of a round and their learning rate.
#[derive(Clone, Copy)]
struct Steps {
    steps: u64,
    lr: f64,
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
    /// `loss`: the mean per sample over all steps, with margin control and the terms of algorithms if the plan has them.
    /// Absent without steps.
    pub train: Metrics,
    /// The trained model on the held-out samples, in rounds in which sites measure.
    pub after: Option<Metrics>,
    /// What the site keeps for its next round, if this update counts.
    pub state: State,
    /// The change of the site's control variate, `[layout.len()]`; there where the plan has SCAFFOLD.
    pub control: Option<Vec<f32>>,
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
        Ok(Self { plan, plan_digest, layout_digest, blueprint, loss, engine, inputs })
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

    /// Whether a site keeps something from one of its rounds to the next: algorithms with a state, or a loss that remembers.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        self.plan.train.algorithm.has_site_state() || self.loss.remembering().is_some()
    }

    /// First values of the model, as [`initial`](crate::models::initial()).
    #[must_use]
    pub fn initial(&self) -> Vec<f32> {
        self.blueprint.initial(self.plan.seed)
    }

    /// Trains a copy of the task's model on the site's samples and writes the trained model minus the received one to
    /// `delta`.
    ///
    /// `watch` hears of the progress some twenty times at most, and stops the training by breaking. For the same bits
    /// on every machine, call this in a thread pool of one thread.
    ///
    /// # Errors
    /// When data or task do not fit the plan, the loss or a parameter stops being a number, the device fails, or `watch`
    /// breaks. Then `delta` holds nothing of meaning.
    pub fn train(
        &self,
        task: &Assignment<'_>,
        site: &SiteData,
        delta: &mut [f32],
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<Trained, TrainError> {
        let (global, train) = (task.model, &self.plan.train);
        self.blueprint.check(global)?;
        if delta.len() != global.len() {
            return Err(TrainError::Buffer { expected: global.len(), found: delta.len() });
        }
        let memory = SiteMemory::new(&train.algorithm, task)?;
        let samples = site.train.len() as u64;
        if samples == 0 {
            return Err(TrainError::Empty);
        }
        let holdout = site.holdout.as_ref().filter(|_| self.plan.evaluate.sites_in(task.round.0));
        let before = holdout.map(|holdout| self.evaluate(global, holdout)).transpose()?.map(|e| e.metrics);
        let loss_before = match train.loss_before {
            true => self.evaluate(global, &site.train)?.metrics.get("loss"),
            false => None,
        };
        let steps = order::steps(train, site.train.len());
        let lr = train.optimiser.lr() * train.schedule.factor(task.round.0, u64::from(self.plan.rounds));
        let mut values = BTreeMap::new();
        let mut after = before.clone();
        let mut of_loss = None;
        if let Some(form) = self.blueprint.closed_form() {
            self.sum_up(form, &site.train, delta)?;
            after = holdout.map(|holdout| self.evaluate(delta, holdout)).transpose()?.map(|e| e.metrics);
        } else if steps == 0 {
            delta.fill(0.0);
        } else {
            let (loss, remembered) = self.learn(task, &memory, &site.train, Steps { steps, lr }, delta, watch)?;
            of_loss = remembered;
            values.insert("loss".to_owned(), loss);
            after = holdout.map(|holdout| self.evaluate(delta, holdout)).transpose()?.map(|e| e.metrics);
            for (delta, global) in delta.iter_mut().zip(global) {
                *delta -= global;
            }
        }
        let Remembered { mut state, control } = memory.after(delta, steps, lr);
        match of_loss {
            Some(of_loss) => loss_memory::keep(&of_loss, &mut state)?,
            None => loss_memory::carry(task.state, &mut state)?,
        }
        Ok(Trained { samples, steps, loss_before, before, train: Metrics { samples, values }, after, state, control })
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

    /// Writes the sums of a model in closed form over the samples of `share` to `out`: one pass, in f64.
    fn sum_up(&self, form: &ClosedForm, share: &Share, out: &mut [f32]) -> Result<(), TrainError> {
        let width = self.plan.task.outputs();
        let mut sums = vec![0.0; out.len()];
        let positions: Vec<u32> = (0..share.len() as u32).collect();
        let mut batch = Batch::default();
        for positions in positions.chunks(self.plan.train.batch.max(1) as usize) {
            self.fill(share, positions, &mut batch)?;
            if let Task::Regression { mean, std, .. } = &self.plan.task {
                standardise(&mut batch.targets, mean, std);
            }
            for (sample, inputs) in batch.inputs.chunks_exact(self.inputs).enumerate() {
                let target = match &self.plan.task {
                    Task::Classification { .. } => Target::Class(batch.labels[sample] as usize),
                    _ => Target::Numbers(&batch.targets[sample * width..(sample + 1) * width]),
                };
                form.add(&mut sums, inputs, target);
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
        Ok(())
    }

    /// Trains, writes the trained parameters to `out`, and returns the mean loss per sample and what the loss remembers.
    fn learn(
        &self,
        task: &Assignment<'_>,
        memory: &SiteMemory<'_>,
        share: &Share,
        Steps { steps, lr }: Steps,
        out: &mut [f32],
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<(f64, Option<LossState>), TrainError> {
        let (round, train) = (task.round, &self.plan.train);
        let samples = u32::try_from(share.len()).unwrap_or(u32::MAX);
        let mut order = Order::new(samples, train.batch, stream(self.plan.seed, round, task.client, Purpose::Shuffle));
        let class_counts = match train.algorithm.fedlc {
            Some(_) => share.class_counts(self.plan.task.outputs()),
            None => Vec::new(),
        };
        let mut learner = self.engine.learner(memory, &class_counts)?;
        let mut state = loss_memory::restore(&self.loss, share, self.plan.task.classes(), task.state)?;
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
            None => Ok((sum / seen, state)),
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
