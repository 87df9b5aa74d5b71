//! SGD, Adam and AdamW as PyTorch computes them, and what algorithms add to a gradient before.

use std::ops::Range;

use pulp::Arch;
use synod_common::plan::{AdamOptions, Optimiser};

use crate::aligned::Aligned;
use crate::linear::Fold;

/// What is added to every gradient of a training: `offset + strength (w - received)`.
///
/// FedProx has the strength `mu`, FedDyn the strength `alpha` and the offset minus its gradient state, SCAFFOLD the offset
/// `c - c_i`. All vectors are in the order of the layout.
#[derive(Clone, Copy, Debug)]
pub struct Correction<'a> {
    /// How strongly parameters are pulled; 0 for not at all.
    pub strength: f64,
    /// Where to, `[parameters]`.
    pub received: &'a [f32],
    /// Added as it is, `[parameters]`.
    pub offset: Option<&'a [f32]>,
}

/// [`Correction`] in the places of a network.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) strength: f32,
    pub(crate) received: Aligned,
    pub(crate) offset: Option<Aligned>,
}

/// An optimiser with its state, which begins with zeros.
#[derive(Debug)]
pub(crate) struct Optimise {
    rule: Optimiser,
    clip_norm: Option<f64>,
    correction: Option<Placed>,
    steps: i32,
    /// Velocity, or both moments.
    first: Aligned,
    second: Aligned,
}

impl Optimise {
    /// For `len` places.
    pub(crate) fn new(rule: Optimiser, clip_norm: Option<f64>, correction: Option<Placed>, len: usize) -> Self {
        let (first, second) = match rule {
            Optimiser::Sgd { momentum: 0.0, .. } => (0, 0),
            Optimiser::Sgd { .. } => (len, 0),
            Optimiser::Adam(_) | Optimiser::AdamW(_) => (len, len),
        };
        let (first, second) = (Aligned::zeros(first), Aligned::zeros(second));
        Self { rule, clip_norm, correction, steps: 0, first, second }
    }

    /// The step as something to fold a gradient into parameters by, where it is no more than that.
    pub(crate) fn fold(&self, lr: f64) -> Option<Fold> {
        match self.rule {
            Optimiser::Sgd { momentum: 0.0, weight_decay, .. }
                if self.clip_norm.is_none() && self.correction.is_none() =>
            {
                Some(Fold { keep: (1.0 - lr * weight_decay) as f32, scale: -lr as f32 })
            }
            Optimiser::Sgd { .. } | Optimiser::Adam(_) | Optimiser::AdamW(_) => None,
        }
    }

    /// Steps done, and velocity or both moments in their places; empty where the rule has none.
    pub(crate) fn state(&self) -> (u32, [&[f32]; 2]) {
        (self.steps.unsigned_abs(), [&self.first, &self.second])
    }

    /// The reverse of [`state`](Self::state); the lengths must be those of this rule.
    pub(crate) fn set_state(&mut self, steps: u32, [first, second]: [Aligned; 2]) -> bool {
        let fits = first.len() == self.first.len() && second.len() == self.second.len();
        if fits {
            self.steps = i32::try_from(steps).unwrap_or(i32::MAX);
            (self.first, self.second) = (first, second);
        }
        fits
    }

    /// One step of the parameters in `moving`, against `gradient`, which it changes.
    pub(crate) fn step(
        &mut self,
        arch: Arch,
        moving: &[Range<usize>],
        parameters: &mut [f32],
        gradient: &mut [f32],
        lr: f64,
    ) {
        self.steps = self.steps.saturating_add(1);
        if let Some(correction) = &self.correction {
            moving.iter().for_each(|range| correct(arch, correction, range.clone(), parameters, gradient));
        }
        if let Some(norm_max) = self.clip_norm {
            clip(moving, gradient, norm_max);
        }
        for range in moving {
            let (w, g) = (&mut parameters[range.clone()], &gradient[range.clone()]);
            match self.rule {
                Optimiser::Sgd { momentum, weight_decay, .. } => {
                    let velocity = (momentum != 0.0).then(|| &mut self.first[range.clone()]);
                    arch.dispatch(|| sgd(w, g, velocity, momentum as f32, weight_decay as f32, lr as f32));
                }
                Optimiser::Adam(options) | Optimiser::AdamW(options) => {
                    let decoupled = matches!(self.rule, Optimiser::AdamW(_));
                    let step = AdamStep::new(&options, decoupled, self.steps, lr);
                    let (first, second) = (&mut self.first[range.clone()], &mut self.second[range.clone()]);
                    arch.dispatch(|| step.take(w, g, first, second));
                }
            }
        }
    }
}

fn correct(arch: Arch, correction: &Placed, range: Range<usize>, parameters: &[f32], gradient: &mut [f32]) {
    let Placed { strength, received, offset } = correction;
    let g = &mut gradient[range.clone()];
    if let Some(offset) = offset {
        let offset = &offset[range.clone()];
        arch.dispatch(|| g.iter_mut().zip(offset).for_each(|(g, offset)| *g += offset));
    }
    if *strength != 0.0 {
        let (w, received) = (&parameters[range.clone()], &received[range]);
        arch.dispatch(|| {
            for ((g, w), received) in g.iter_mut().zip(w).zip(received) {
                *g += (w - received) * strength;
            }
        });
    }
}

/// Shortens the gradient of the `moving` parameters to `norm_max`; one within it keeps every bit.
fn clip(moving: &[Range<usize>], gradient: &mut [f32], norm_max: f64) {
    let values = moving.iter().flat_map(|range| &gradient[range.clone()]);
    let norm = values.map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
    let factor = (norm_max / norm).min(1.0) as f32;
    if factor < 1.0 {
        moving.iter().for_each(|range| gradient[range.clone()].iter_mut().for_each(|g| *g *= factor));
    }
}

/// `v = momentum v + g + weight_decay w`, `w -= lr v`.
#[inline(always)]
fn sgd(w: &mut [f32], g: &[f32], velocity: Option<&mut [f32]>, momentum: f32, weight_decay: f32, lr: f32) {
    match velocity {
        Some(velocity) => {
            for ((w, g), v) in w.iter_mut().zip(g).zip(velocity) {
                *v = momentum * *v + (g + weight_decay * *w);
                *w -= lr * *v;
            }
        }
        None => {
            for (w, g) in w.iter_mut().zip(g) {
                *w -= lr * (g + weight_decay * *w);
            }
        }
    }
}

/// The numbers of one step of Adam.
struct AdamStep {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    /// Added to the gradient for each unit of the parameter.
    decay: f32,
    /// What is left of a parameter before the step.
    keep: f32,
    /// The learning rate and the root of the second moment, corrected for the start at zero.
    rate: f32,
    scale: f32,
}

impl AdamStep {
    fn new(options: &AdamOptions, decoupled: bool, steps: i32, lr: f64) -> Self {
        let AdamOptions { beta1, beta2, epsilon, weight_decay, .. } = *options;
        Self {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            epsilon: epsilon as f32,
            decay: if decoupled { 0.0 } else { weight_decay as f32 },
            keep: if decoupled { (1.0 - lr * weight_decay) as f32 } else { 1.0 },
            rate: (lr / (1.0 - beta1.powi(steps))) as f32,
            scale: (1.0 / (1.0 - beta2.powi(steps)).sqrt()) as f32,
        }
    }

    #[inline(always)]
    fn take(&self, w: &mut [f32], g: &[f32], first: &mut [f32], second: &mut [f32]) {
        for (((w, g), first), second) in w.iter_mut().zip(g).zip(first).zip(second) {
            let g = g + self.decay * *w;
            *first = *first * self.beta1 + g * (1.0 - self.beta1);
            *second = *second * self.beta2 + g * g * (1.0 - self.beta2);
            *w = *w * self.keep - *first / (second.sqrt() * self.scale + self.epsilon) * self.rate;
        }
    }
}
