//! Any model on any device, by burn.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use synod_common::plan::{FedSam, MarginReduction, Optimiser, Plan};
use synod_common::random::Purpose;
use synod_common::state::State;
use synod_losses::classification::softmax_objective;
use synod_losses::regulariser::margin_control;
use synod_losses::{LossConfig, LossError, Memory, Scratch, Targets, TaskKind, multilabel, regression};

use super::algorithm::{Correction, Pair, SiteMemory, Terms, Views, ascend, clip};
use super::course::Accompanied;
use super::engine::{Batch, Engine, Learner, Predictor, Start};
use super::error::TrainError;
use super::optimiser::Stepper;
use super::personal::{Companion, freeze};
use crate::catalogue::kind_of;
use crate::device::reads_are_free;
use crate::models::{Blueprint, Network, write_flat};

/// Steps after which losses are read where reading waits for the device: often enough to stop a diverged training
/// soon, too seldom to cost anything.
const READ_EVERY: u64 = 64;

mod progress;

#[derive(Debug)]
pub(super) struct BurnEngine {
    blueprint: Blueprint,
    kind: TaskKind,
    seed: u64,
    loss: LossConfig,
    margin: Option<margin_control::Config>,
    optimiser: Optimiser,
    clip_norm: Option<f64>,
    /// Without recording: batches and evaluation.
    plain: Device,
    /// With recording: parameters in training.
    recording: Device,
}

impl BurnEngine {
    pub(super) fn new(plan: &Plan, blueprint: Blueprint, loss: LossConfig, device: Device) -> Self {
        let margin = plan.train.margin_control.map(|control| {
            margin_control::Config::default().with_lambda(control.lambda).with_reduction(match control.reduction {
                MarginReduction::Batch => margin_control::Scope::Batch,
                MarginReduction::Mean => margin_control::Scope::Mean,
            })
        });
        let recording = device.clone().autodiff();
        let train = &plan.train;
        let (optimiser, clip_norm) = (train.optimiser, train.clip_norm);
        let kind = kind_of(&plan.task);
        let seed = plan.seed;
        Self { blueprint, kind, seed, loss, margin, optimiser, clip_norm, plain: device, recording }
    }

    /// The inputs of a batch on the device. The buffer itself becomes the tensor where the device is the CPU.
    fn inputs(&self, batch: &mut Batch) -> Tensor<2> {
        let samples = batch.labels.len();
        let values = batch.inputs.len() / samples.max(1);
        Tensor::from_data(TensorData::new(std::mem::take(&mut batch.inputs), [samples, values]), &self.plain)
    }

    /// The objective of a step for the outputs of the network, by the kind of the task.
    fn objective(
        &self,
        outputs: Tensor<2>,
        targets: &Targets,
        memory: Option<&mut Memory<'_>>,
    ) -> Result<Tensor<1>, LossError> {
        let margin = self.margin.as_ref().filter(|margin| margin.lambda != 0.0);
        if let (Some(remembering), Some(memory)) = (self.loss.remembering(), memory) {
            let loss = remembering.objective(outputs.clone(), targets.clone(), memory)?;
            return Ok(match margin {
                Some(margin) => loss + margin_control::margin_control(outputs, margin)?,
                None => loss,
            });
        }
        match targets {
            Targets::Labels(labels) => softmax_objective(outputs, labels.clone(), &self.loss, margin),
            Targets::Matrix(rows) if self.kind == TaskKind::MultiLabel => {
                multilabel::objective(outputs, rows.clone(), &self.loss)
            }
            Targets::Matrix(rows) => regression::objective(outputs, rows.clone(), &self.loss),
            _ => Err(self.loss.unfit(self.kind)),
        }
    }

    fn targets(&self, batch: &mut Batch) -> Targets {
        let samples = batch.labels.len();
        let labels = std::mem::take(&mut batch.labels);
        match self.kind {
            TaskKind::MultiLabel | TaskKind::Regression => {
                let width = batch.targets.len() / samples.max(1);
                let rows = TensorData::new(std::mem::take(&mut batch.targets), [samples, width]);
                Targets::Matrix(Tensor::from_data(rows, &self.plain))
            }
            _ => Targets::Labels(Tensor::from_data(TensorData::new(labels, [samples]), &self.plain)),
        }
    }
}

impl Engine for BurnEngine {
    fn learner(&self, memory: &SiteMemory<'_>, start: &Start<'_>) -> Result<Box<dyn Learner + '_>, TrainError> {
        let (algorithms, received, plain) = (memory.algorithms(), memory.received(), &self.plain);
        let network = |model: &[f32]| Network::new(&self.blueprint, model, &self.recording);
        let companion = |with: Accompanied<'_>| {
            let stepper = Stepper::new(self.optimiser);
            network(with.own).map(|own| Companion::new(own, stepper, with.alpha, with.adapts))
        };
        Ok(Box::new(BurnLearner {
            engine: self,
            network: Some(network(start.model)?),
            fedsam: algorithms.fedsam.filter(|fedsam| fedsam.rho != 0.0),
            terms: Terms::new(algorithms, &self.blueprint, received, memory.previous, start, plain)?,
            correction: Correction::new(algorithms.pull(), memory.offset(), received, plain),
            stepper: Stepper::new(self.optimiser),
            frozen: Vec::new(),
            companion: start.accompanied.map(companion).transpose()?,
            views: algorithms
                .isogclr
                .and_then(|options| Views::new(&options, memory.stream(self.seed, Purpose::Views))),
            losses: Vec::new(),
        }))
    }

    fn predictor(&self, model: &[f32]) -> Result<Box<dyn Predictor + '_>, TrainError> {
        let network = Network::new(&self.blueprint, model, &self.plain)?;
        Ok(Box::new(BurnPredictor { engine: self, network }))
    }

    fn read_every(&self) -> u64 {
        if reads_are_free(&self.plain) { 1 } else { READ_EVERY }
    }
}

struct BurnLearner<'a> {
    engine: &'a BurnEngine,
    /// Empty only while the optimiser rebuilds it.
    network: Option<Network>,
    fedsam: Option<FedSam>,
    terms: Terms,
    correction: Option<Correction>,
    stepper: Stepper,
    /// For each block whether it keeps its values; empty where all move.
    frozen: Vec<bool>,
    companion: Option<Companion>,
    views: Option<Views>,
    /// Losses on the device, not read yet.
    losses: Vec<Tensor<1>>,
}

impl BurnLearner<'_> {
    fn network(&self) -> &Network {
        self.network.as_ref().expect("every step puts the network back")
    }

    /// The objective of a batch at `network`, `[1]`, and its gradients.
    fn differentiate(
        &self,
        network: &Network,
        inputs: &Tensor<2>,
        targets: &Targets,
        views: Option<&Pair>,
        mut memory: Option<&mut Memory<'_>>,
    ) -> Result<(Tensor<1>, GradientsParams), TrainError> {
        let features = network.features(inputs.clone());
        let outputs = network.head(features.clone());
        let calibrated = self.terms.calibrate(outputs.clone());
        let loss = self.engine.objective(calibrated, targets, memory.as_deref_mut())?;
        let mut loss = self.terms.add(loss, inputs, &features, &outputs, targets);
        if let (Some(contrast), Some(views), Some(memory)) = (&self.views, views, memory) {
            loss = contrast.add(loss, network, views, memory)?;
        }
        let mut gradients = GradientsParams::from_grads(loss.backward(), network);
        freeze(network, &mut gradients, &self.frozen);
        Ok((loss.inner(), gradients))
    }
}

impl BurnLearner<'_> {
    /// A step of the accompanying model, where there is one, before the shared one moves.
    fn step_companion(
        &mut self,
        inputs: &Tensor<2>,
        targets: &Targets,
        views: Option<&Pair>,
        lr: f64,
        memory: Option<&Memory<'_>>,
    ) -> Result<(), TrainError> {
        let Some(mut companion) = self.companion.take() else { return Ok(()) };
        let mixed = companion.mixed(self.network());
        // What a loss remembers is of the shared model.
        let mut scratch = memory.map(Memory::to_scratch);
        let mut memory = scratch.as_mut().map(Scratch::memory);
        let (_, gradients) = self.differentiate(&mixed, inputs, targets, views, memory.as_mut())?;
        let clip_norm = self.engine.clip_norm;
        let finish = |network: &Network, gradients: &mut GradientsParams| {
            if let Some(norm_max) = clip_norm {
                clip(network, gradients, norm_max);
            }
        };
        companion.step(self.network(), gradients, lr, finish).map_err(|reason| TrainError::Failed { reason })?;
        self.companion = Some(companion);
        Ok(())
    }
}

impl Learner for BurnLearner<'_> {
    fn step(&mut self, batch: &mut Batch, lr: f64, mut memory: Option<Memory<'_>>) -> Result<(), TrainError> {
        let engine = self.engine;
        let inputs = engine.inputs(batch);
        let targets = engine.targets(batch);
        let views = self.views.as_mut().and_then(|views| views.draw(&inputs));
        let views = views.as_ref();
        let (loss, mut gradients) = self.differentiate(self.network(), &inputs, &targets, views, memory.as_mut())?;
        self.step_companion(&inputs, &targets, views, lr, memory.as_ref())?;
        if let Some(fedsam) = self.fedsam {
            // What a loss remembers is of the model itself, not of its worst neighbour.
            let worst = ascend(self.network().clone(), &gradients, &fedsam);
            let mut scratch = memory.as_ref().map(Memory::to_scratch);
            let mut memory = scratch.as_mut().map(Scratch::memory);
            gradients = self.differentiate(&worst, &inputs, &targets, views, memory.as_mut())?.1;
        }
        if let Some(correction) = &self.correction {
            correction.apply(self.network(), &mut gradients);
        }
        if let Some(norm_max) = engine.clip_norm {
            clip(self.network(), &mut gradients, norm_max);
        }
        self.losses.push(loss);
        self.network = self.network.take().map(|network| self.stepper.step(network, gradients, lr));
        Ok(())
    }

    fn freeze(&mut self, frozen: &[bool]) {
        self.frozen = frozen.to_vec();
    }

    fn losses(&mut self) -> Result<Vec<f64>, TrainError> {
        let losses = std::mem::take(&mut self.losses);
        if losses.is_empty() {
            return Ok(Vec::new());
        }
        read(if losses.len() == 1 { losses.into_iter().next().expect("it has one") } else { Tensor::cat(losses, 0) })
            .map(|losses| losses.into_iter().map(f64::from).collect())
    }

    fn write(&self, out: &mut [f32]) -> Result<(), TrainError> {
        write_flat(self.network(), out).map_err(|reason| TrainError::Failed { reason })
    }

    fn save(&self, progress: &mut State) -> Result<bool, TrainError> {
        self.save_progress(progress).map_err(|reason| TrainError::Failed { reason })
    }

    fn load(&mut self, progress: &State) -> Result<bool, TrainError> {
        Ok(self.load_progress(progress)?.is_some())
    }

    fn own(&self, length: usize) -> Result<(Vec<f32>, f64), TrainError> {
        let mut own = vec![0.0; length];
        let Some(companion) = &self.companion else { return Ok((own, 0.0)) };
        write_flat(companion.network(), &mut own).map_err(|reason| TrainError::Failed { reason })?;
        Ok((own, companion.alpha))
    }
}

struct BurnPredictor<'a> {
    engine: &'a BurnEngine,
    network: Network,
}

impl Predictor for BurnPredictor<'_> {
    fn outputs(&self, batch: &mut Batch) -> Result<Vec<f32>, TrainError> {
        read(self.network.forward(self.engine.inputs(batch)))
    }

    fn features(&self, batch: &mut Batch) -> Result<Vec<f32>, TrainError> {
        read(self.network.features(self.engine.inputs(batch)))
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    let data = tensor.try_into_data().map_err(|error| TrainError::Failed { reason: error.to_string() })?;
    data.try_into_vec::<f32>().map_err(|error| TrainError::Failed { reason: format!("{error:?}") })
}
