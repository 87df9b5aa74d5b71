//! One round of local training at one site.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::blocks::Layout;
use synod_common::ids::{ClientId, Digest, RoundId};
use synod_common::metrics::Metrics;
use synod_common::plan::{Plan, Task};
use synod_common::random::Purpose;
use synod_common::state::State;
use synod_losses::LossConfig;

use super::algorithm::{Remembered, SiteMemory};
use super::burn_engine::BurnEngine;
use super::course::{self, Course};
use super::engine::{Batch, Engine, Predictor};
use super::error::TrainError;
use super::loss_memory;
use super::order;
use super::personal::Personalisation;
use super::progress::Watch;
use crate::catalogue::{kind_of, loss_of};
use crate::data::{Share, SiteData};
use crate::device::DeviceChoice;
use crate::models::Blueprint;
use crate::task::{Evaluation, Tally};

/// Trains and evaluates the model of one plan on one device. Share it among threads behind an `Arc`: training
/// changes nothing in it but what a loss remembers of the site that trains.
pub struct Trainer {
    pub(super) plan: Arc<Plan>,
    plan_digest: Digest,
    layout_digest: Digest,
    pub(super) blueprint: Blueprint,
    pub(super) personal: Personalisation,
    pub(super) loss: LossConfig,
    pub(super) engine: Box<dyn Engine>,
    /// Values of one sample.
    pub(super) inputs: usize,
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
    /// What came beside the model, where the plan has it: see [`Extras`](synod_common::extra::Extras).
    pub extra: Option<&'a [f32]>,
    /// What the site kept of its last round; empty in its first.
    pub state: &'a State,
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
    /// What the site answers with the received model, on the held-out samples, in rounds in which sites measure.
    pub before: Option<Metrics>,
    /// `loss`: the mean per sample over all steps, with margin control and the terms of algorithms if the plan has them.
    /// Absent without steps.
    pub train: Metrics,
    /// What it answers with the trained model, on the same samples.
    pub after: Option<Metrics>,
    /// What the site keeps for its next round, if this update counts.
    pub state: State,
    /// What goes up beside the delta, where the plan has it: see [`Extras`](synod_common::extra::Extras).
    pub extra: Option<Vec<f32>>,
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
        let personal = Personalisation::new(&plan, &blueprint)?;
        let engine = Box::new(BurnEngine::new(&plan, blueprint.clone(), loss.clone(), device.open()?));
        let inputs = plan.data.input_values();
        let (plan_digest, layout_digest) = (plan.digest(), blueprint.layout().digest());
        Ok(Self { plan, plan_digest, layout_digest, blueprint, personal, loss, engine, inputs })
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

    /// Whether a site keeps something from one of its rounds to the next: algorithms with a
    /// state, a model of its own, or a loss that remembers.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        self.plan.has_site_state() || self.loss.remembering().is_some()
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
        self.train_keeping(task, site, delta, &mut Watch { report: watch, progress: None })
    }

    /// As [`train`](Self::train), with somebody who keeps how far it is. A training that goes on ends with the same bits.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn train_keeping(
        &self,
        task: &Assignment<'_>,
        site: &SiteData,
        delta: &mut [f32],
        watch: &mut Watch<'_>,
    ) -> Result<Trained, TrainError> {
        let (received, train) = (task.model, &self.plan.train);
        self.blueprint.check(received)?;
        if delta.len() != received.len() {
            return Err(TrainError::Buffer { expected: received.len(), found: delta.len() });
        }
        let aligned = self.personal.aligned(task)?;
        // With nothing to pull to, or no pull, the training is that of any engine.
        let aligned = aligned.filter(|(guide, lambda)| *lambda != 0.0 && guide.known.contains(&1.0));
        let start = self.personal.start(task)?;
        // To the algorithms, the blocks that stay at the site are as good as received.
        let begun = Assignment { model: &start, ..*task };
        let memory = SiteMemory::new(&train.algorithm, &begun)?;
        let samples = site.train.len() as u64;
        if samples == 0 {
            return Err(TrainError::Empty);
        }
        let measured = site.holdout.is_some() && self.plan.evaluate.sites_in(task.round.0);
        let measure = |task: &Assignment<'_>| if measured { self.evaluate_at_site(task, site) } else { Ok(None) };
        let before = measure(task)?;
        let loss_before = match train.loss_before {
            true => self.evaluate(&start, &site.train)?.metrics.get("loss"),
            false => None,
        };
        // What moves of the shared blocks: steps in which only others move do not count.
        let steps = order::steps(train, site.train.len());
        let lr = self.lr(task.round);
        let phases = self.personal.phases(steps, self.pass(site));
        let mut values = BTreeMap::new();
        let accompanied = self.personal.accompanied(received, task.state)?;
        let mut own = accompanied.map(|with| (with.own.to_vec(), with.alpha));
        let mut local = self.personal.local_values(&start);
        let mut of_loss = None;
        let mixed = self.personal.mixed();
        let needed = measured || mixed.is_some();
        let trained;
        if let Some(form) = self.blueprint.closed_form() {
            self.sum_up(form, &site.train, delta)?;
            trained = measured.then(|| delta.to_vec());
        } else if course::steps(&phases) == 0 {
            trained = needed.then(|| start.to_vec());
            delta.fill(0.0);
        } else {
            let course = Course { start: &start, accompanied, aligned, phases: &phases, lr, purpose: Purpose::Shuffle };
            let learned = self.learn(&begun, &memory, &site.train, &course, delta, watch)?;
            values.insert("loss".to_owned(), learned.loss);
            (of_loss, own) = (learned.of_loss, learned.own);
            local = self.personal.local_values(delta);
            trained = needed.then(|| delta.to_vec());
            for (delta, start) in delta.iter_mut().zip(start.iter()) {
                *delta -= start;
            }
        }
        let Remembered { mut state, control } = memory.after(delta, steps, lr);
        match of_loss {
            Some(of_loss) => loss_memory::keep(&of_loss, &mut state)?,
            None => loss_memory::carry(task.state, &mut state)?,
        }
        self.personal.retain(local, received, delta, &mut state);
        if let Some((own, alpha)) = own {
            self.personal.keep(own, Some(alpha), &mut state);
        }
        self.ditto(task, site, &mut state, watch.report)?;
        let extra = match (mixed, &trained) {
            (Some(head), Some(trained)) => {
                let before = self.class_sums(&start, &site.train, head)?;
                Some(before.statistics(&self.class_sums(trained, &site.train, head)?, head))
            }
            _ => control,
        };
        let after = match &trained {
            Some(trained) => measure(&Assignment { model: trained, state: &state, extra: None, ..*task })?,
            None => None,
        };
        Ok(Trained { samples, steps, loss_before, before, train: Metrics { samples, values }, after, state, extra })
    }

    /// The learning rate of `round`.
    pub(super) fn lr(&self, round: RoundId) -> f64 {
        let train = &self.plan.train;
        train.optimiser.lr() * train.schedule.factor(round.0, u64::from(self.plan.rounds))
    }

    /// Steps of one pass over the site's training samples.
    pub(super) fn pass(&self, site: &SiteData) -> u64 {
        (site.train.len() as u64).div_ceil(u64::from(self.plan.train.batch.max(1)))
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

    /// Gathers samples into `batch` and checks that they fit the plan.
    pub(super) fn fill(&self, share: &Share, positions: &[u32], batch: &mut Batch) -> Result<(), TrainError> {
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
