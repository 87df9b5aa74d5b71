//! What the coordinator needs of the world around it.

use crate::round::{Measured, ModelVersion};

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
