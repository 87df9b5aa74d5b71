//! One task of one site, the same in a simulated and in a networked run.

use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::ids::{ClientId, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::state::State;
use synod_common::update::{Buffer, Update, UpdateHeader};

use crate::data::SiteData;
use crate::train::{Assignment, StepReport, TrainError, Trainer, Watch};

/// Reads a monotonic clock, in milliseconds; the core never does so itself.
pub type Clock = fn() -> u64;

/// What the coordinator asks a site to train.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The round.
    pub round: RoundId,
    /// The model to begin with, `[layout.len()]`.
    pub model: &'a [f32],
    /// SCAFFOLD's control variate, `[layout.len()]`; there where the plan has SCAFFOLD.
    pub control: Option<&'a [f32]>,
}

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

    /// Does the training that `order` asks for and makes the update; `delta` is where its numbers go. `state` is what the
    /// site kept of its last round; what comes back beside the update is to be kept in its place once the update counts.
    ///
    /// # Errors
    /// See [`Trainer::train`].
    pub fn train(
        &self,
        order: Order<'_>,
        state: &State,
        delta: Buffer,
        clock: Clock,
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<(Update, State), TrainError> {
        self.train_keeping(order, state, delta, clock, &mut Watch { report: watch, progress: None })
    }

    /// As [`train`](Self::train), with somebody who keeps how far it is.
    ///
    /// # Errors
    /// See [`Trainer::train`].
    pub fn train_keeping(
        &self,
        order: Order<'_>,
        state: &State,
        mut delta: Buffer,
        clock: Clock,
        watch: &mut Watch<'_>,
    ) -> Result<(Update, State), TrainError> {
        let started = clock();
        let Order { round, model, control } = order;
        let task = Assignment { round, client: self.client, model, control, state };
        let trained = self.trainer.train_keeping(&task, &self.data, &mut delta, watch)?;
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
        Ok((Update { header, delta, control: trained.control.map(Buffer::from) }, trained.state))
    }

    /// Measures what the site answers with the committed `model` of `round` and what it kept of its last round, on the
    /// held-out samples; `None` where nothing is held out.
    ///
    /// # Errors
    /// See [`Trainer::evaluate_at_site`].
    pub fn evaluate(&self, round: RoundId, model: &[f32], state: &State) -> Result<Option<Metrics>, TrainError> {
        let task = Assignment { round, client: self.client, model, control: None, state };
        self.trainer.evaluate_at_site(&task, &self.data)
    }
}
