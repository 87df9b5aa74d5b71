//! The boundary between what is trained on in which order, and who does the arithmetic.
//!
//! Today burn does, on any device. A step written by hand for a fixed small model takes the same place.

use synod_common::extra::Guide;
use synod_common::state::State;
use synod_losses::Memory;

use super::algorithm::SiteMemory;
use super::course::Accompanied;
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

/// Where a training begins.
pub(super) struct Start<'a> {
    /// The model, `[layout.len()]`.
    pub(super) model: &'a [f32],
    /// A second one that trains along.
    pub(super) accompanied: Option<Accompanied<'a>>,
    /// FedPAC's centroids and the strength of the pull to them.
    pub(super) aligned: Option<(Guide<'a>, f64)>,
    /// Training samples of each class at the site, where an algorithm asks for them.
    pub(super) class_counts: &'a [u64],
}

/// Does the arithmetic of one plan's model on one device.
pub(super) trait Engine: Send + Sync {
    /// A learner that begins at `start` in the round of `memory`, with the algorithms of the latter.
    fn learner(&self, memory: &SiteMemory<'_>, start: &Start<'_>) -> Result<Box<dyn Learner + '_>, TrainError>;

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

    /// From now on the blocks that `frozen` names, each by its place in the layout, keep their values.
    fn freeze(&mut self, frozen: &[bool]);

    /// The mean loss of each step since the last call, in order. Waits for the device.
    fn losses(&mut self) -> Result<Vec<f64>, TrainError>;

    /// Copies the parameters to `out`. Waits for the device.
    fn write(&self, out: &mut [f32]) -> Result<(), TrainError>;

    /// The `length` parameters of the accompanying model, and its part in the mixture. Waits for the device.
    fn own(&self, length: usize) -> Result<(Vec<f32>, f64), TrainError>;

    /// Writes all that the next steps depend on into `progress`; `false` from a learner that cannot, whose training begins
    /// anew after a crash. Waits for the device.
    fn save(&self, _progress: &mut State) -> Result<bool, TrainError> {
        Ok(false)
    }

    /// Goes on from what [`save`](Self::save) wrote; `false` if that does not fit, and then nothing is to be expected of this
    /// learner any more.
    fn load(&mut self, _progress: &State) -> Result<bool, TrainError> {
        Ok(false)
    }
}

/// A model that answers.
pub(super) trait Predictor {
    /// Outputs `[samples, outputs of the model]` for a batch that is not empty. Waits for the device.
    fn outputs(&self, batch: &mut Batch) -> Result<Vec<f32>, TrainError>;

    /// What the last layer reads, `[samples, features]`, likewise.
    fn features(&self, batch: &mut Batch) -> Result<Vec<f32>, TrainError>;
}
