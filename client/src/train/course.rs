//! The steps of one training, whoever it is for.

use synod_common::plan::Task;
use synod_common::random::{Purpose, stream};
use synod_common::state::State;
use synod_losses::{LossState, Memory};

use super::algorithm::SiteMemory;
use super::engine::{Batch, Learner, Start};
use super::error::TrainError;
use super::loss_memory;
use super::order::Order;
use super::progress::{Position, Watch};
use super::trainer::{Assignment, StepReport, Trainer};
use crate::data::Share;
use crate::task::regression::standardise;

/// Most reports of progress in one training.
const REPORTS_MAX: u64 = 20;

/// Steps in which the same blocks move.
#[derive(Clone, Debug)]
pub(in crate::train) struct Phase {
    /// How many.
    pub(in crate::train) steps: u64,
    /// For each block of the layout whether it keeps its values; empty where all move.
    pub(in crate::train) frozen: Vec<bool>,
}

impl Phase {
    /// `steps` in which all blocks move.
    pub(in crate::train) fn free(steps: u64) -> Self {
        Self { steps, frozen: Vec::new() }
    }
}

/// A second model that trains in step with the first one, as APFL's does.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct Accompanied<'a> {
    /// The model, `[layout.len()]`.
    pub(in crate::train) own: &'a [f32],
    /// Its part in the mixture.
    pub(in crate::train) alpha: f64,
    /// Whether this part moves.
    pub(in crate::train) adapts: bool,
}

/// One training: from where, how far, in which order.
pub(super) struct Course<'a> {
    /// The model to begin with, `[layout.len()]`.
    pub(super) start: &'a [f32],
    pub(super) accompanied: Option<Accompanied<'a>>,
    /// One after the other; at least one step in all.
    pub(super) phases: &'a [Phase],
    pub(super) lr: f64,
    /// Whose stream the order of samples is drawn from.
    pub(super) purpose: Purpose,
}

impl Course<'_> {
    fn steps(&self) -> u64 {
        steps(self.phases)
    }
}

/// Steps of all `phases`.
pub(super) fn steps(phases: &[Phase]) -> u64 {
    phases.iter().fold(0, |steps, phase| steps.saturating_add(phase.steps))
}

/// What a training leaves besides the trained model.
pub(super) struct Learned {
    /// Mean per sample over all steps.
    pub(super) loss: f64,
    /// What the loss remembers.
    pub(super) of_loss: Option<LossState>,
    /// The accompanying model and its part, where there is one.
    pub(super) own: Option<(Vec<f32>, f64)>,
}

impl Trainer {
    /// Trains as `course` says and writes the trained parameters to `out`.
    pub(super) fn learn(
        &self,
        task: &Assignment<'_>,
        memory: &SiteMemory<'_>,
        share: &Share,
        course: &Course<'_>,
        out: &mut [f32],
        watch: &mut Watch<'_>,
    ) -> Result<Learned, TrainError> {
        let (round, lr, steps) = (task.round, course.lr, course.steps());
        let samples = u32::try_from(share.len()).unwrap_or(u32::MAX);
        let rng = stream(self.plan.seed, round, task.client, course.purpose);
        let mut order = Order::new(samples, self.plan.train.batch, rng);
        let class_counts = match self.plan.train.algorithm.fedlc {
            Some(_) => share.class_counts(self.plan.task.outputs()),
            None => Vec::new(),
        };
        let start = Start { model: course.start, accompanied: course.accompanied, class_counts: &class_counts };
        let mut learner = self.engine.learner(memory, &start)?;
        let mut state =
            loss_memory::restore(&self.loss, memory.algorithms(), share, self.plan.task.classes(), task.state)?;
        let mut at = Position::default();
        if let Some(progress) = &mut watch.progress
            && let Some(earlier) = progress.earlier()
        {
            let remembered =
                loss_memory::restore(&self.loss, memory.algorithms(), share, self.plan.task.classes(), &earlier);
            match (Position::load(steps, &earlier), remembered) {
                (Some(position), Ok(remembered)) if learner.load(&earlier)? => {
                    let Position { step, .. } = position;
                    progress.goes_on(StepReport { step, steps, loss: position.mean() }, step / order.pass());
                    (at, state) = (position, remembered);
                }
                // What it cannot go on from costs training anew, with the same bits.
                _ => learner = self.engine.learner(memory, &start)?,
            }
        }
        let (read_every, report_every) = (self.engine.read_every(), steps.div_ceil(REPORTS_MAX));
        let mut batch = Batch::default();
        // Samples of each step whose loss is not read yet.
        let mut unread = Vec::new();
        let (mut phases, mut phase_left) = (course.phases.iter(), 0);
        let done = at.step;
        for step in 1..=steps {
            while phase_left == 0
                && let Some(phase) = phases.next()
            {
                learner.freeze(&phase.frozen);
                phase_left = phase.steps;
            }
            phase_left -= 1;
            if step <= done {
                order.next_batch();
                continue;
            }
            if let (Some(remembering), Some(state)) = (self.loss.remembering(), &mut state)
                && order.begins_pass()
            {
                remembering.begin_pass(state);
            }
            let positions = order.next_batch();
            self.fill(share, positions, &mut batch)?;
            if let Task::Regression { mean, std, .. } = &self.plan.task {
                standardise(&mut batch.targets, mean, std);
            }
            unread.push(positions.len());
            learner.step(&mut batch, lr, state.as_mut().map(|state| Memory::new(state, positions)))?;
            let report = step % report_every == 0 || step == steps;
            let is_kept = watch.progress.as_mut().is_some_and(|p| step < steps && p.is_due(order.begins_pass()));
            if !report && !is_kept && (unread.len() as u64) < read_every {
                continue;
            }
            let first = step + 1 - unread.len() as u64;
            for (step, (loss, samples)) in (first..).zip(learner.losses()?.into_iter().zip(unread.drain(..))) {
                if !loss.is_finite() {
                    return Err(TrainError::Diverged { round, step, steps, loss, lr });
                }
                at.seen += samples as f64;
                at.sum += samples as f64 * loss;
            }
            at.step = step;
            if is_kept {
                keep(at, steps, learner.as_ref(), state.as_ref(), watch)?;
            }
            if report && (watch.report)(StepReport { step, steps, loss: at.mean() }).is_break() && step < steps {
                return Err(TrainError::Stopped { step, steps });
            }
        }
        learner.write(out)?;
        let own = course.accompanied.map(|_| learner.own(out.len())).transpose()?;
        let own_values = own.iter().flat_map(|(own, _)| own);
        match out.iter().chain(own_values).position(|value| !value.is_finite()) {
            Some(index) => Err(TrainError::NotFinite { round, index: index % out.len(), steps, lr }),
            None => Ok(Learned { loss: at.mean(), of_loss: state, own }),
        }
    }
}

/// Hands how far the training is to whoever keeps it, if the engine can tell.
fn keep(
    at: Position,
    steps: u64,
    learner: &dyn Learner,
    of_loss: Option<&LossState>,
    watch: &mut Watch<'_>,
) -> Result<(), TrainError> {
    let mut kept = State::default();
    if learner.save(&mut kept)?
        && let Some(progress) = &mut watch.progress
    {
        at.save(steps, &mut kept);
        of_loss.map_or(Ok(()), |of_loss| loss_memory::keep(of_loss, &mut kept))?;
        progress.keep(kept);
    }
    Ok(())
}
