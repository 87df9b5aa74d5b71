//! A site's part in a model in closed form: the sums over its samples.

use synod_common::plan::Task;

use super::engine::Batch;
use super::error::TrainError;
use super::trainer::Trainer;
use crate::data::Share;
use crate::models::{ClosedForm, Target};
use crate::task::regression::standardise;

impl Trainer {
    /// Writes the sums of a model in closed form over the samples of `share` to `out`: one pass, in f64.
    pub(super) fn sum_up(&self, form: &ClosedForm, share: &Share, out: &mut [f32]) -> Result<(), TrainError> {
        let width = self.plan.task.outputs();
        let mut sums = vec![0.0; out.len()];
        let positions: Vec<u32> = (0..share.len() as u32).collect();
        let mut batch = Batch::default();
        for positions in positions.chunks(self.plan.train.batch.max(1) as usize) {
            self.fill(share, positions, &mut batch)?;
            if let Task::Regression { mean, std, .. } = &self.plan.task {
                standardise(&mut batch.targets, mean, std);
            }
            for (sample, inputs) in batch.inputs.chunks_exact(self.inputs).enumerate() {
                let target = match &self.plan.task {
                    Task::Classification { .. } => Target::Class(batch.labels[sample] as usize),
                    _ => Target::Numbers(&batch.targets[sample * width..(sample + 1) * width]),
                };
                form.add(&mut sums, inputs, target);
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
        Ok(())
    }
}
