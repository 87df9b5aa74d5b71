//! Small models on the CPU, by steps written by hand. What these steps cannot do goes to burn, plan by plan or training by
//! training.
//!
//! Cross-entropy with margin control is written by hand, too. Every other loss is burn's, on the logits alone: they are few
//! numbers, and their gradient is all that the steps need.

use synod_common::plan::{Algorithms, MarginReduction, Optimiser, Plan};
use synod_common::state::State;
use synod_kernels::{Correction, Margin, MarginScope, Network, Progress, Training};
use synod_losses::{LossConfig, Memory};

use super::algorithm::SiteMemory;
use super::burn_engine::BurnEngine;
use super::engine::{Batch, Engine, Learner, Predictor, Start};
use super::error::TrainError;
use crate::device::reads_are_free;
use crate::models::Blueprint;

/// What a progress has of a training by hand. These are not the names that burn's engine writes: neither goes on from the
/// other's.
const STEPS: &str = "by_hand.steps";
const PARAMETERS: &str = "by_hand.parameters";
const FIRST: &str = "by_hand.first";
const SECOND: &str = "by_hand.second";

/// Samples of one forward pass of a predictor: their buffers stay in the cache.
const ASKED_AT_ONCE: usize = 64;

/// The engine for `plan`: steps by hand where there are any for its model and `burn`'s device is the CPU.
pub(super) fn fastest(plan: &Plan, blueprint: &Blueprint, loss: &LossConfig, burn: BurnEngine) -> Box<dyn Engine> {
    let network = if reads_are_free(burn.device()) { blueprint.by_hand() } else { None };
    let Some(network) = network else { return Box::new(burn) };
    let train = &plan.train;
    let margin = train.margin_control.map(|control| Margin {
        lambda: control.lambda,
        scope: match control.reduction {
            MarginReduction::Batch => MarginScope::Batch,
            MarginReduction::Mean => MarginScope::Mean,
        },
    });
    let cross_entropy = is_plain_cross_entropy(loss).then(|| margin.filter(|margin| margin.lambda != 0.0));
    let (optimiser, clip_norm) = (train.optimiser, train.clip_norm);
    Box::new(FastEngine { network, burn, optimiser, clip_norm, cross_entropy })
}

fn is_plain_cross_entropy(loss: &LossConfig) -> bool {
    matches!(loss, LossConfig::CrossEntropy(config) if config.label_smoothing == 0.0 && config.class_weights.is_none())
}

/// Whether `algorithms` need no more of a model than its outputs and the gradient of its parameters.
fn gradients_are_enough(algorithms: &Algorithms) -> bool {
    let Algorithms { fedprox: _, scaffold: _, feddyn: _, fedlc, fedntd, fedsam, feddecorr, moon, isogclr } = algorithms;
    fedlc.is_none()
        && fedntd.is_none()
        && fedsam.is_none()
        && feddecorr.is_none()
        && moon.is_none()
        && isogclr.is_none()
}

#[derive(Debug)]
struct FastEngine {
    network: Network,
    /// For other losses, and for trainings that need more than gradients.
    burn: BurnEngine,
    optimiser: Optimiser,
    clip_norm: Option<f64>,
    /// Where the loss is plain cross-entropy, with the margin that comes along.
    cross_entropy: Option<Option<Margin>>,
}

impl Engine for FastEngine {
    fn learner(&self, memory: &SiteMemory<'_>, start: &Start<'_>) -> Result<Box<dyn Learner + '_>, TrainError> {
        let algorithms = memory.algorithms();
        if start.accompanied.is_some() || start.aligned.is_some() || !gradients_are_enough(algorithms) {
            return self.burn.learner(memory, start);
        }
        let (strength, offset) = (algorithms.pull(), memory.offset());
        let correction = (strength != 0.0 || offset.is_some()).then(|| Correction {
            strength,
            received: memory.received(),
            offset: offset.as_deref(),
        });
        let training = Training::new(&self.network, start.model, self.optimiser, self.clip_norm, correction);
        Ok(Box::new(FastLearner { engine: self, training, losses: Vec::new() }))
    }

    fn predictor(&self, model: &[f32]) -> Result<Box<dyn Predictor + '_>, TrainError> {
        let training = Training::to_ask(&self.network, model);
        Ok(Box::new(FastPredictor { engine: self, inputs: self.network.inputs(), training }))
    }

    fn read_every(&self) -> u64 {
        1
    }
}

struct FastLearner<'a> {
    engine: &'a FastEngine,
    training: Training<'a>,
    losses: Vec<f64>,
}

impl Learner for FastLearner<'_> {
    fn step(&mut self, batch: &mut Batch, lr: f64, memory: Option<Memory<'_>>) -> Result<(), TrainError> {
        let training = &mut self.training;
        let samples = batch.labels.len();
        training.forward(&batch.inputs, samples);
        let loss = match self.engine.cross_entropy {
            Some(margin) => training.cross_entropy(&batch.labels, margin),
            None => {
                // The labels go to the tensor library, which keeps the buffer.
                let logits = training.outputs().flatten().copied().collect();
                let (loss, slopes) = self.engine.burn.slopes(logits, batch, memory)?;
                training.set_slopes(&slopes);
                loss
            }
        };
        self.losses.push(loss);
        training.backward(&batch.inputs, lr);
        Ok(())
    }

    fn freeze(&mut self, frozen: &[bool]) {
        self.training.freeze(frozen);
    }

    fn losses(&mut self) -> Result<Vec<f64>, TrainError> {
        Ok(std::mem::take(&mut self.losses))
    }

    fn write(&self, out: &mut [f32]) -> Result<(), TrainError> {
        self.training.write(out);
        Ok(())
    }

    fn save(&self, progress: &mut State) -> Result<bool, TrainError> {
        let Progress { steps, parameters, moments: [first, second] } = self.training.progress();
        progress.set_number(STEPS, f64::from(steps));
        for (name, values) in [(PARAMETERS, parameters), (FIRST, first), (SECOND, second)] {
            progress.set_vector(name, values);
        }
        Ok(true)
    }

    fn load(&mut self, progress: &State) -> Result<bool, TrainError> {
        let vector = |name| progress.vector(name).map(<[f32]>::to_vec);
        let steps = progress.number(STEPS).filter(|steps| (0.0..=f64::from(u32::MAX)).contains(steps));
        let (Some(steps), Some(parameters), Some(first), Some(second)) =
            (steps, vector(PARAMETERS), vector(FIRST), vector(SECOND))
        else {
            return Ok(false);
        };
        Ok(self.training.set_progress(&Progress { steps: steps as u32, parameters, moments: [first, second] }))
    }

    fn own(&self, length: usize) -> Result<(Vec<f32>, f64), TrainError> {
        // A training with a second model is burn's.
        Ok((vec![0.0; length], 0.0))
    }
}

struct FastPredictor<'a> {
    engine: &'a FastEngine,
    /// Values of a sample.
    inputs: usize,
    training: Training<'a>,
}

impl Predictor for FastPredictor<'_> {
    fn outputs(&mut self, batch: &mut Batch) -> Result<Vec<f32>, TrainError> {
        let mut outputs = Vec::new();
        for samples in batch.inputs.chunks(ASKED_AT_ONCE * self.inputs) {
            self.training.forward(samples, samples.len() / self.inputs);
            outputs.extend(self.training.outputs().flatten());
        }
        Ok(outputs)
    }

    fn features(&mut self, batch: &mut Batch) -> Result<Vec<f32>, TrainError> {
        // In the order of burn's layers, whose learner is what features are aligned by.
        let mut model = vec![0.0; self.engine.network.parameters()];
        self.training.write(&mut model);
        self.engine.burn.predictor(&model)?.features(batch)
    }
}
