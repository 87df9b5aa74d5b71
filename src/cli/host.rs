//! What a run needs of this machine: a folder for checkpoints, and perhaps a central test set.

use std::sync::Arc;

use synod_client::data::{Loaded, Normaliser, Share};
use synod_client::train::Trainer;
use synod_common::plan::Plan;
use synod_common::status::Status;
use synod_coordinator::round::{Measured, Millis, ModelVersion};
use synod_coordinator::server::Host;

use super::exit::{Exit, Failure, OrExit};
use super::folder::RunFolder;

/// Saves to the run's folder; measures on the central test set if there is one.
pub(crate) struct RunHost {
    pub(crate) folder: Arc<RunFolder>,
    pub(crate) central: Option<Central>,
}

/// The central test set with what measures on it.
pub(crate) struct Central {
    trainer: Arc<Trainer>,
    test: Share,
}

impl Central {
    /// The test set of `loaded`, seen through the normalisation of its training samples.
    pub(crate) fn new(plan: &Plan, trainer: Arc<Trainer>, loaded: &Loaded) -> Result<Option<Self>, Failure> {
        let Some(test) = &loaded.test else { return Ok(None) };
        let normaliser = Normaliser::fit(plan, &loaded.train, &loaded.train.all_rows()).or_exit(Exit::Data)?;
        Ok(Some(Self { trainer, test: Share::whole(Arc::clone(test), Arc::new(normaliser)) }))
    }
}

impl Host for RunHost {
    fn checkpoint(&self, model: &ModelVersion) -> Result<(), String> {
        self.folder.checkpoint(model)
    }

    fn evaluate(&self, model: &ModelVersion) -> Result<Measured, String> {
        let central = self.central.as_ref().ok_or("there is no central test set")?;
        let evaluation = central.trainer.evaluate(&model.values, &central.test).map_err(|e| e.to_string())?;
        Ok(Measured { metrics: evaluation.metrics, confusion: evaluation.confusion })
    }

    fn status(&self, status: Status<Millis>) {
        super::status::write(self.folder.path(), status);
    }
}
