//! The trainings that only a site's own model gets: Ditto's, and fine-tuning before a site measures.

use std::ops::ControlFlow;

use synod_common::metrics::Metrics;
use synod_common::plan::{Algorithms, FedProx};
use synod_common::random::Purpose;
use synod_common::state::State;

use super::super::algorithm::SiteMemory;
use super::super::course::{Course, Phase};
use super::super::error::TrainError;
use super::super::progress::Watch;
use super::super::trainer::{Assignment, StepReport, Trainer};
use crate::data::SiteData;

impl Trainer {
    /// Metrics of the model that the site answers with when it received `task.model` and keeps `task.state`; `None` where
    /// nothing is held out. Without `[personal]` that is the received model itself.
    ///
    /// # Errors
    /// As [`train`](Self::train) and [`evaluate`](Self::evaluate).
    pub fn evaluate_at_site(&self, task: &Assignment<'_>, site: &SiteData) -> Result<Option<Metrics>, TrainError> {
        let Some(holdout) = &site.holdout else { return Ok(None) };
        self.blueprint.check(task.model)?;
        let answer = self.personal.answer(task.model, task.state)?;
        let tuning = self.personal.fine_tune().map(|tune| self.personal.tuning(tune, self.pass(site)));
        let metrics = match tuning.filter(|phase| phase.steps > 0 && !site.train.is_empty()) {
            Some(phase) => {
                let mut tuned = vec![0.0; answer.len()];
                self.train_own(task, site, &answer, phase, 0.0, &mut tuned, &mut |_| ControlFlow::Continue(()))?;
                self.evaluate(&tuned, holdout)?
            }
            None => self.evaluate(&answer, holdout)?,
        };
        Ok(Some(metrics.metrics))
    }

    /// Ditto's step 2 (algorithm 1): `v <- v - eta (grad f(v) + lambda (v - w))` for the received `w`. Keeps `v` in `state`.
    pub(in crate::train) fn ditto(
        &self,
        task: &Assignment<'_>,
        site: &SiteData,
        state: &mut State,
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let Some((lambda, epochs)) = self.personal.ditto() else { return Ok(()) };
        let before = self.personal.own(task.model, task.state)?;
        let mut own = before.to_vec();
        let phase = Phase::free(self.pass(site).saturating_mul(u64::from(epochs)));
        if phase.steps > 0 {
            self.train_own(task, site, before, phase, lambda, &mut own, watch)?;
        }
        self.personal.keep(own, None, state);
        Ok(())
    }

    /// Trains a copy of `start` into `out`, pulled to the received model by `pull`. Of the plan's algorithms those remain
    /// that have to do with the site's samples alone.
    #[expect(clippy::too_many_arguments, reason = "private, and each is another thing")]
    fn train_own(
        &self,
        task: &Assignment<'_>,
        site: &SiteData,
        start: &[f32],
        phase: Phase,
        pull: f64,
        out: &mut [f32],
        watch: &mut dyn FnMut(StepReport) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let algorithms = Algorithms {
            fedprox: Some(FedProx { mu: pull }),
            fedntd: None,
            moon: None,
            scaffold: None,
            feddyn: None,
            ..self.plan.train.algorithm
        };
        let memory = SiteMemory::new(&algorithms, task)?;
        let course =
            Course { start, accompanied: None, phases: &[phase], lr: self.lr(task.round), purpose: Purpose::Personal };
        self.learn(task, &memory, &site.train, &course, out, &mut Watch { report: watch, progress: None }).map(drop)
    }
}
