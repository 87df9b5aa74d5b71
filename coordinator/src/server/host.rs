//! What the coordinator needs of the world around it.

use synod_common::status::Status;

use crate::round::{Measured, Millis, ModelVersion};

/// Filled in by the composition root: the coordinator itself links no tensors and writes no files.
pub trait Host: Send + Sync {
    /// Keeps the model of a simulated round. A served run has its journal for that, and does not ask.
    ///
    /// # Errors
    /// Why it could not be saved, with what to do.
    fn checkpoint(&self, model: &ModelVersion) -> Result<(), String>;

    /// Measures a model on the central test set: metrics and, for few classes, the confusion matrix.
    ///
    /// # Errors
    /// Why it was not measured; a run without a central test set says so here.
    fn evaluate(&self, model: &ModelVersion) -> Result<Measured, String>;

    /// Tells where the run is, for whoever asks: at every change of phase, else at most once a second and at least every ten.
    fn status(&self, _status: Status<Millis>) {}
}

/// A host that keeps and measures nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoHost;

impl Host for NoHost {
    fn checkpoint(&self, _model: &ModelVersion) -> Result<(), String> {
        Ok(())
    }
    fn evaluate(&self, _model: &ModelVersion) -> Result<Measured, String> {
        Err("there is no central test set".to_owned())
    }
}
