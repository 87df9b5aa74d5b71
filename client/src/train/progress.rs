//! How far a training is, so that it goes on after a crash to the bits that it would have had.
//!
//! A progress is the model, the optimiser's state, what the loss remembers, sums, and the position; the order of samples
//! follows from the position. Trainings of a site's own model (Ditto's second one, fine-tuning) and engines that save
//! nothing begin anew, from the same random streams: that gives the same bits as well.

use std::ops::ControlFlow;

use synod_common::state::State;

use super::trainer::StepReport;

const STEP: &str = "progress.step";
const STEPS: &str = "progress.steps";
const SEEN: &str = "progress.seen";
const SUM: &str = "progress.sum";

/// Who hears of a training, and may stop it, and who keeps it.
pub struct Watch<'a> {
    /// Hears of the progress some twenty times at most, and stops the training by breaking.
    pub report: &'a mut dyn FnMut(StepReport) -> ControlFlow<()>,
    /// Keeps it, where somebody does.
    pub progress: Option<&'a mut dyn KeepProgress>,
}

/// Keeps how far a training is, and brings it back.
pub trait KeepProgress {
    /// What an earlier life kept of this very training: the same plan, round, site, model and state.
    fn earlier(&mut self) -> Option<State>;

    /// The training goes on from what [`earlier`](Self::earlier) brought, which has gone through the samples `epoch` times.
    fn goes_on(&mut self, at: StepReport, epoch: u64);

    /// Whether it should be kept now, after a step that may have been the last of a pass. Asked after every step.
    fn is_due(&mut self, ends_pass: bool) -> bool;

    /// Keeps it. Should take no longer than to hand it over.
    fn keep(&mut self, progress: State);
}

/// Where a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Position {
    /// Steps done.
    pub(super) step: u64,
    /// Samples seen in them.
    pub(super) seen: f64,
    /// The sum of their losses.
    pub(super) sum: f64,
}

impl Position {
    /// Mean loss per sample over the steps done.
    pub(super) fn mean(self) -> f64 {
        self.sum / self.seen
    }

    /// Writes it into `progress`, for a training of `steps` steps.
    pub(super) fn save(self, steps: u64, progress: &mut State) {
        // Exact: steps are far below 2^53.
        progress.set_number(STEP, self.step as f64);
        progress.set_number(STEPS, steps as f64);
        progress.set_number(SEEN, self.seen);
        progress.set_number(SUM, self.sum);
    }

    /// Reads it from the progress of a training of `steps` steps.
    pub(super) fn load(steps: u64, progress: &State) -> Option<Self> {
        let of = progress.number(STEPS)?;
        let (step, seen, sum) = (progress.number(STEP)?, progress.number(SEEN)?, progress.number(SUM)?);
        let fits = of == steps as f64 && step >= 1.0 && step <= of && step.fract() == 0.0 && seen > 0.0;
        fits.then_some(Self { step: step as u64, seen, sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_of_its_training_only() {
        let mut progress = State::default();
        assert_eq!(Position::load(10, &progress), None);
        let position = Position { step: 3, seen: 96.0, sum: 41.5 };
        position.save(10, &mut progress);
        assert_eq!(Position::load(10, &progress), Some(position));
        assert_eq!(Position::load(11, &progress), None);
        progress.set_number(STEP, 11.0);
        assert_eq!(Position::load(10, &progress), None);
    }
}
