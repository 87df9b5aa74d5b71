//! The coordinator's half of the algorithms that correct the drift of sites, SCAFFOLD and FedDyn.
//!
//! With `N` sites known to the run, of which `S` sent an update that counts:
//!
//! - SCAFFOLD (Karimireddy et al. 2020, algorithm 1): `c + |S| / N * mean(change of c_i)`, a uniform mean whatever the
//!   strategy does with the deltas.
//! - FedDyn (Acar et al. 2021, algorithm 1): `h - alpha |S| / N * mean(delta)`, and the step is `mean(delta) - h / alpha`.

use std::num::NonZeroU32;

use synod_common::blocks::{BlockKind, Layout};
use synod_common::plan::Algorithms;
use synod_common::state::State;
use synod_common::update::Buffer;

use super::StepError;
use crate::aggregate::{AggregateError, BufferedSum, Screened};

/// SCAFFOLD's control variate, which goes out with every task.
pub(in crate::round) const CONTROL: &str = "scaffold.control";
const H: &str = "feddyn.h";

/// One round of both; does nothing where the plan names neither.
#[derive(Debug)]
pub(super) struct Drift {
    algorithms: Algorithms,
    /// Sum of the changes of control variates.
    changes: Option<BufferedSum<Buffer>>,
    /// Sites known to the run.
    sites: usize,
}

impl Drift {
    pub(super) fn new(algorithms: Algorithms, parameters: usize, sites: usize) -> Self {
        Self { algorithms, changes: algorithms.scaffold.map(|_| BufferedSum::new(parameters)), sites: sites.max(1) }
    }

    /// Takes the change of a site's control variate. Its norm is within the plan's limit, far inside the window of the sum.
    pub(super) fn push(&mut self, change: Buffer, screened: Screened) -> Result<(), AggregateError> {
        match &mut self.changes {
            Some(changes) => changes.push_screened(NonZeroU32::MIN, change, screened, &mut Vec::new()),
            None => Ok(()),
        }
    }

    /// Moves what is remembered after `updates` updates whose combination is in `step`, and corrects the step.
    pub(super) fn finish(
        self,
        updates: usize,
        layout: &Layout,
        state: &mut State,
        step: &mut [f32],
    ) -> Result<(), StepError> {
        let share = updates as f64 / self.sites.max(updates) as f64;
        let length = step.len();
        if let Some(changes) = self.changes {
            let mut control = state.take_vector(CONTROL, length)?.unwrap_or_else(|| vec![0.0; length]);
            let mut mean = vec![0.0; length];
            changes.finish(&mut Vec::new())?.mean(&mut mean)?;
            for (control, mean) in control.iter_mut().zip(mean) {
                *control = (f64::from(*control) + share * f64::from(mean)) as f32;
            }
            if let Some(at) = control.iter().position(|value| !value.is_finite()) {
                return Err(StepError::NonFinite(at));
            }
            state.set_vector(CONTROL, control);
        }
        if let Some(feddyn) = self.algorithms.feddyn {
            let mut h = state.take_vector(H, length)?.unwrap_or_else(|| vec![0.0; length]);
            for (_, range) in layout.ranges().filter(|(block, _)| block.kind == BlockKind::Parameter) {
                for (h, step) in h[range.clone()].iter_mut().zip(&mut step[range]) {
                    let next = f64::from(*h) - feddyn.alpha * share * f64::from(*step);
                    *h = next as f32;
                    *step = (f64::from(*step) - next / feddyn.alpha) as f32;
                }
            }
            state.set_vector(H, h);
        }
        Ok(())
    }
}
