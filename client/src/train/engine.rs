//! The boundary between what is trained on in which order, and who does the arithmetic.
//!
//! Today burn does, on any device. A step written by hand for a fixed small model takes the same place.

use synod_losses::Memory;

use super::algorithm::SiteMemory;
use super::error::TrainError;

/// Samples of one step. An engine may take the buffers; whoever fills a batch clears and fills them anew.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// `[samples, values]`.
    pub(super) inputs: Vec<f32>,
    /// `[samples]`, in a classification the classes, each below their number.
    pub(super) labels: Vec<i64>,
    /// `[samples, outputs]`, empty in a classification.
    pub(super) targets: Vec<f32>,
}

/// Does the arithmetic of one plan's model on one device.
pub(super) trait Engine: Send + Sync {
    /// A learner that begins the round of `memory` at a site with `class_counts` training samples of each class.
    fn learner(&self, memory: &SiteMemory<'_>, class_counts: &[u64]) -> Result<Box<dyn Learner + '_>, TrainError>;

    /// A predictor with the parameters `model`.
    fn predictor(&self, model: &[f32]) -> Result<Box<dyn Predictor + '_>, TrainError>;

    /// After how many steps at the latest losses should be read: often where reading is free, seldom where it stalls
    /// the device.
    fn read_every(&self) -> u64;
}

/// A model in training, with the state of its optimiser.
pub(super) trait Learner {
    /// One step on a batch that is not empty.
    ///
    /// `memory` is there for a loss that remembers, and is of the batch's samples.
    fn step(&mut self, batch: &mut Batch, lr: f64, memory: Option<Memory<'_>>) -> Result<(), TrainError>;

    /// The mean loss of each step since the last call, in order. Waits for the device.
    fn losses(&mut self) -> Result<Vec<f64>, TrainError>;

    /// Copies the parameters to `out`. Waits for the device.
    fn write(&self, out: &mut [f32]) -> Result<(), TrainError>;
}

/// A model that answers.
pub(super) trait Predictor {
    /// Outputs `[samples, outputs of the model]` for a batch that is not empty. Waits for the device.
    fn outputs(&self, batch: &mut Batch) -> Result<Vec<f32>, TrainError>;
}
