//! Any model on any device, by burn.

use burn::tensor::{Device, Int, Tensor, TensorData};
use synod_common::plan::{MarginReduction, Optimiser, Plan};
use synod_losses::classification::softmax_objective;
use synod_losses::regulariser::margin_control;
use synod_losses::{LossConfig, LossError, Memory, Targets, TaskKind, multilabel, regression};

use super::engine::{Batch, Engine, Learner, Predictor};
use super::error::TrainError;
use super::optimiser::Stepper;
use crate::catalogue::kind_of;
use crate::device::reads_are_free;
use crate::models::{Blueprint, Network, write_flat};

/// Steps after which losses are read where reading waits for the device: often enough to stop a diverged training
/// soon, too seldom to cost anything.
const READ_EVERY: u64 = 64;

#[derive(Debug)]
pub(super) struct BurnEngine {
    blueprint: Blueprint,
    kind: TaskKind,
    loss: LossConfig,
    margin: Option<margin_control::Config>,
    optimiser: Optimiser,
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
        Self {
            blueprint,
            kind: kind_of(&plan.task),
            loss,
            margin,
            optimiser: plan.train.optimiser,
            plain: device,
            recording,
        }
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
        batch: &mut Batch,
        memory: Option<Memory<'_>>,
    ) -> Result<Tensor<1>, LossError> {
        let margin = self.margin.as_ref().filter(|margin| margin.lambda != 0.0);
        if let (Some(remembering), Some(mut memory)) = (self.loss.remembering(), memory) {
            let loss = remembering.objective(outputs.clone(), self.targets(batch), &mut memory)?;
            return Ok(match margin {
                Some(margin) => loss + margin_control::margin_control(outputs, margin)?,
                None => loss,
            });
        }
        match self.kind {
            TaskKind::MultiLabel => multilabel::objective(outputs, self.rows(batch), &self.loss),
            TaskKind::Regression => regression::objective(outputs, self.rows(batch), &self.loss),
            _ => softmax_objective(outputs, self.labels(batch), &self.loss, margin),
        }
    }

    fn targets(&self, batch: &mut Batch) -> Targets {
        match self.kind {
            TaskKind::MultiLabel | TaskKind::Regression => Targets::Matrix(self.rows(batch)),
            _ => Targets::Labels(self.labels(batch)),
        }
    }

    fn labels(&self, batch: &mut Batch) -> Tensor<1, Int> {
        let samples = batch.labels.len();
        Tensor::from_data(TensorData::new(std::mem::take(&mut batch.labels), [samples]), &self.plain)
    }

    fn rows(&self, batch: &mut Batch) -> Tensor<2> {
        let samples = batch.labels.len();
        let width = batch.targets.len() / samples.max(1);
        Tensor::from_data(TensorData::new(std::mem::take(&mut batch.targets), [samples, width]), &self.plain)
    }
}

impl Engine for BurnEngine {
    fn learner(&self, model: &[f32]) -> Result<Box<dyn Learner + '_>, TrainError> {
        let network = Network::new(&self.blueprint, model, &self.recording)?;
        let stepper = Stepper::new(self.optimiser);
        Ok(Box::new(BurnLearner { engine: self, network: Some(network), stepper, losses: Vec::new() }))
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
    stepper: Stepper,
    /// Losses on the device, not read yet.
    losses: Vec<Tensor<1>>,
}

impl BurnLearner<'_> {
    fn network(&self) -> &Network {
        self.network.as_ref().expect("every step puts the network back")
    }
}

impl Learner for BurnLearner<'_> {
    fn step(&mut self, batch: &mut Batch, lr: f64, memory: Option<Memory<'_>>) -> Result<(), TrainError> {
        let engine = self.engine;
        let inputs = engine.inputs(batch);
        let outputs = self.network().forward(inputs);
        let loss = engine.objective(outputs, batch, memory)?;
        let gradients = loss.backward();
        self.losses.push(loss.inner());
        self.network = self.network.take().map(|network| self.stepper.step(network, gradients, lr));
        Ok(())
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
}

struct BurnPredictor<'a> {
    engine: &'a BurnEngine,
    network: Network,
}

impl Predictor for BurnPredictor<'_> {
    fn outputs(&self, batch: &mut Batch) -> Result<Vec<f32>, TrainError> {
        read(self.network.forward(self.engine.inputs(batch)))
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    let data = tensor.try_into_data().map_err(|error| TrainError::Failed { reason: error.to_string() })?;
    data.try_into_vec::<f32>().map_err(|error| TrainError::Failed { reason: format!("{error:?}") })
}
