//! One task of one site, the same in a simulated and in a networked run.

use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::ids::{ClientId, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::update::{Buffer, Update, UpdateHeader};

use crate::data::SiteData;
use crate::train::{StepReport, TrainError, Trainer};

/// Reads a monotonic clock, in milliseconds; the core never does so itself.
pub type Clock = fn() -> u64;

/// A site with everything it needs to answer tasks.
#[derive(Clone, Debug)]
pub struct Work {
    /// Who.
    pub site: SiteName,
    /// Its id in random streams.
    pub client: ClientId,
    /// Trains and measures.
    pub trainer: Arc<Trainer>,
    /// Its samples.
    pub data: Arc<SiteData>,
}

impl Work {
    /// Joins a site's samples to a trainer.
    #[must_use]
    pub fn new(site: SiteName, trainer: Arc<Trainer>, data: Arc<SiteData>) -> Self {
        let client = site.client_id();
        Self { site, client, trainer, data }
    }

    /// Training samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.data.train.len() as u64
    }

    /// Trains on `model` and makes the update; `delta` is where its numbers go.
    ///
    /// # Errors
    /// See [`Trainer::train`].
    pub fn train(
        &self,
        round: RoundId,
        model: &[f32],
        mut delta: Buffer,
        clock: Clock,
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<Update, TrainError> {
        let started = clock();
        let trained = self.trainer.train(round, self.client, model, &self.data, &mut delta, watch)?;
        let header = UpdateHeader {
            round,
            plan: self.trainer.plan_digest(),
            layout: self.trainer.layout_digest(),
            samples: trained.samples,
            steps: trained.steps,
            loss_before: trained.loss_before,
            before: trained.before,
            train: trained.train,
            after: trained.after,
            train_ms: clock().saturating_sub(started),
        };
        Ok(Update { header, delta })
    }

    /// Measures `model` on the held-out samples; `None` where nothing is held out.
    ///
    /// # Errors
    /// See [`Trainer::evaluate`].
    pub fn evaluate(&self, model: &[f32]) -> Result<Option<Metrics>, TrainError> {
        let holdout = self.data.holdout.as_ref();
        holdout.map(|share| self.trainer.evaluate(model, share).map(|e| e.metrics)).transpose()
    }
}
