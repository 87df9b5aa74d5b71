//! The coordinator's half of SCAFFOLD: with `N` sites known to the run, of which `S` sent an update that counts, its control
//! variate becomes `c + |S| / N * mean(change of c_i)`, a uniform mean whatever the strategy does with the deltas.
//!
//! Source: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, "SCAFFOLD: Stochastic Controlled Averaging for Federated
//! Learning", ICML 2020, algorithm 1.

use std::num::NonZeroU32;

use synod_common::plan::Algorithms;
use synod_common::state::State;
use synod_common::update::Buffer;

use super::StepError;
use crate::aggregate::{AggregateError, BufferedSum, Screened};

/// SCAFFOLD's control variate, which goes out with every task.
pub(in crate::round) const CONTROL: &str = "scaffold.control";

/// One round of it; does nothing where the plan does not name it.
#[derive(Debug)]
pub(super) struct Drift {
    /// Sum of the changes of control variates.
    changes: Option<BufferedSum<Buffer>>,
}

impl Drift {
    pub(super) fn new(algorithms: Algorithms, parameters: usize) -> Self {
        Self { changes: algorithms.scaffold.map(|_| BufferedSum::new(parameters)) }
    }

    /// Takes the change of a site's control variate. Its norm is within the plan's limit, far inside the window of the sum.
    pub(super) fn push(&mut self, change: Buffer, screened: Screened) -> Result<(), AggregateError> {
        match &mut self.changes {
            Some(changes) => changes.push_screened(NonZeroU32::MIN, change, screened, &mut Vec::new()),
            None => Ok(()),
        }
    }

    /// Moves the control variate, `[length]`, in `state`. `share` is the share of the run's sites whose updates count.
    pub(super) fn finish(self, share: f64, state: &mut State, length: usize) -> Result<(), StepError> {
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
        Ok(())
    }
}
