//! From the combined update to the next model, as the plan's server optimiser has it.

use std::ops::Range;

use synod_common::blocks::{BlockKind, Layout};
use synod_common::plan::{Plan, ServerOptimiser};
use synod_common::state::State;

use super::StepError;
use crate::aggregate::{AggregateError, SecondMoment, adaptive_step, feddyn_step, momentum_step, screen};

const MOMENTUM: &str = "momentum";
const FIRST: &str = "first_moment";
const SECOND: &str = "second_moment";
/// What FedDyn's sites have moved so far.
const MOVEMENT: &str = "movement";

/// Turns the combined update in `next` into the next model, `model + server_lr * step`; returns the norm of the change.
///
/// `share` is the share of the run's sites behind it. Optimiser and learning rate act on trained blocks. What training leaves behind moves by the combined update itself.
pub(super) fn optimise(
    plan: &Plan,
    share: f64,
    layout: &Layout,
    state: &mut State,
    model: &[f32],
    next: &mut [f32],
) -> Result<f64, StepError> {
    let trained: Vec<Range<usize>> =
        layout.ranges().filter(|(block, _)| block.kind == BlockKind::Parameter).map(|(_, range)| range).collect();
    let settings = &plan.aggregate;
    if plan.train.algorithm.feddyn.is_some() {
        lead(state, MOVEMENT, &trained, next, |movement, step| feddyn_step(share, movement, step))?;
    }
    match settings.server {
        // No optimiser and nothing to remember.
        None | Some(ServerOptimiser::Sgd { momentum: 0.0 }) => {}
        Some(ServerOptimiser::Sgd { momentum }) => {
            lead(state, MOMENTUM, &trained, next, |velocity, step| momentum_step(momentum, velocity, step))?;
        }
        Some(ServerOptimiser::Adagrad { beta1, tau }) => {
            adapt(SecondMoment::Adagrad, beta1, tau, &trained, state, next)?;
        }
        Some(ServerOptimiser::Adam { beta1, beta2, tau }) => {
            adapt(SecondMoment::Adam { beta2 }, beta1, tau, &trained, state, next)?;
        }
        Some(ServerOptimiser::Yogi { beta1, beta2, tau }) => {
            adapt(SecondMoment::Yogi { beta2 }, beta1, tau, &trained, state, next)?;
        }
    }
    if settings.server_lr != 1.0 {
        for range in trained {
            next[range].iter_mut().for_each(|value| *value = (f64::from(*value) * settings.server_lr) as f32);
        }
    }
    step(model, next)
}

/// Lets `step` change the combined update by the vector `name`, which begins at 0, and that vector by the update.
fn lead(
    state: &mut State,
    name: &'static str,
    trained: &[Range<usize>],
    next: &mut [f32],
    step: impl Fn(&mut [f32], &mut [f32]) -> Result<(), AggregateError>,
) -> Result<(), StepError> {
    let mut kept = state.take_vector(name, next.len())?.unwrap_or_else(|| vec![0.0; next.len()]);
    for range in trained {
        step(&mut kept[range.clone()], &mut next[range.clone()])?;
    }
    state.set_vector(name, kept);
    Ok(())
}

fn adapt(
    rule: SecondMoment,
    beta1: f64,
    tau: f64,
    trained: &[Range<usize>],
    state: &mut State,
    next: &mut [f32],
) -> Result<(), StepError> {
    let mut moment = |name, initial: f64| -> Result<Vec<f32>, StepError> {
        Ok(state.take_vector(name, next.len())?.unwrap_or_else(|| vec![initial as f32; next.len()]))
    };
    let (mut first, mut second) = (moment(FIRST, 0.0)?, moment(SECOND, tau * tau)?);
    for range in trained {
        let (first, second) = (&mut first[range.clone()], &mut second[range.clone()]);
        adaptive_step(rule, beta1, tau, first, second, &mut next[range.clone()])?;
    }
    state.set_vector(FIRST, first);
    state.set_vector(SECOND, second);
    Ok(())
}

/// `next = model + next`; the norm of the change.
fn step(model: &[f32], next: &mut [f32]) -> Result<f64, StepError> {
    let norm = screen(next).map_err(|error| match error {
        AggregateError::NonFinite { at, .. } => StepError::NonFinite(at),
        other => StepError::Aggregate(other),
    })?;
    for (value, old) in next.iter_mut().zip(model) {
        *value += old;
    }
    match next.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(StepError::NonFinite(at)),
        None => Ok(norm.norm()),
    }
}
