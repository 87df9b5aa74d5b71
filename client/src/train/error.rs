//! What can go wrong in local training and evaluation.

use synod_common::ids::RoundId;
use synod_common::state::StateError;
use synod_losses::LossError;

use crate::device::DeviceError;
use crate::models::ModelError;

/// Training or evaluation failed, or was stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The model of the plan, or values given for it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The loss of the plan, or margin control.
    #[error("the loss of the plan cannot be used: {0}")]
    Loss(#[from] LossError),
    /// What the loss remembers cannot be kept.
    #[error("what the loss remembers of the site cannot be kept: {0}")]
    Remembered(#[from] StateError),
    /// A buffer for the result has another length.
    #[error("the buffer for the delta has {found} values, the model has {expected}; this is a bug, please report it")]
    Buffer {
        /// Values of the model.
        expected: usize,
        /// Values of the buffer.
        found: usize,
    },
    /// What a site keeps between rounds does not belong to the model.
    #[error(
        "`{name}` has {found} values, the model has {expected}: it belongs to another run; remove the site's saved state, it \
         begins anew"
    )]
    State {
        /// Which vector.
        name: &'static str,
        /// Values of the model.
        expected: usize,
        /// Values it has.
        found: usize,
    },
    /// No block of the model is to stay at the site.
    #[error("no block of the model has a name that `personal.blocks.keep` lists; its blocks are {names}")]
    NoBlock {
        /// All blocks of the model.
        names: String,
    },
    /// A label names a class that the task does not have.
    #[error("label {label} is not in 0..{classes}, the classes of the task; correct the label or `task.classes`")]
    Label {
        /// The label.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// Samples have another size than the plan says.
    #[error("samples have {found} values, the model of the plan takes {expected}; check `data.source` and its shape")]
    Inputs {
        /// Values the model takes.
        expected: usize,
        /// Values a sample has.
        found: usize,
    },
    /// Targets are of another kind than the task's.
    #[error(
        "the targets of the samples are not those of the task `{task}` ({expected} numbers a sample, or a class if 0); check `data.source`"
    )]
    Targets {
        /// Numbers that the task has for a sample.
        expected: usize,
        /// The task.
        task: &'static str,
    },
    /// There is nothing to train on.
    #[error("the site has no training samples; give it data, or lower `data.holdout`")]
    Empty,
    /// Training blew up.
    #[error(
        "training diverged in round {round}: the loss of step {step} of {steps} is {loss} at the learning rate {lr}; \
         lower train.optimiser.lr, or check the data for extreme values"
    )]
    Diverged {
        /// The round.
        round: RoundId,
        /// The step, counted from 1.
        step: u64,
        /// Steps of the round.
        steps: u64,
        /// The loss.
        loss: f64,
        /// The learning rate of the round.
        lr: f64,
    },
    /// The last step left values that are no numbers.
    #[error(
        "training diverged in round {round}: parameter {index} is not finite after {steps} steps at the learning rate \
         {lr}; lower train.optimiser.lr, or check the data for extreme values"
    )]
    NotFinite {
        /// The round.
        round: RoundId,
        /// Index in the flat model.
        index: usize,
        /// Steps of the round.
        steps: u64,
        /// The learning rate of the round.
        lr: f64,
    },
    /// A model answers with something else than numbers.
    #[error("the model's output for a sample is {value}: it diverged, or inputs are extreme; check both")]
    Outputs {
        /// The first such output.
        value: f32,
    },
    /// The device failed.
    #[error("the device failed: {reason}; check its memory and driver, or choose cpu")]
    Failed {
        /// What it said.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped on request after step {step} of {steps}")]
    Stopped {
        /// Steps done.
        step: u64,
        /// Steps of the round.
        steps: u64,
    },
}
