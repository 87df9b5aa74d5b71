//! A linear layer with what follows it. Weights are `[inputs, outputs]`, outputs padded.

use std::ops::Range;

use pulp::Arch;

use crate::aligned::{Aligned, padded};
use crate::matrix::{Inner, Outer, Product, Rows};
use crate::network::Activation;

/// Shapes of one linear layer.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Padded outputs.
    pub(crate) columns: usize,
    pub(crate) activation: Option<Activation>,
    pub(crate) weight: Range<usize>,
    pub(crate) bias: Range<usize>,
}

/// Buffers of one linear layer.
#[derive(Debug, Default)]
pub(crate) struct LinearBuffers {
    /// After the activation, `[samples, columns]`.
    pub(crate) y: Aligned,
    /// The gradient of what is before the activation, `[samples, columns]`.
    pub(crate) d: Aligned,
}

/// What becomes of a gradient: `parameter = keep parameter + scale gradient`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    pub(crate) keep: f32,
    pub(crate) scale: f32,
}

impl Linear {
    /// With parameters from `at` on.
    pub(crate) fn new(inputs: usize, outputs: usize, activation: Option<Activation>, at: usize) -> Self {
        let columns = padded(outputs);
        let weight = at..at + inputs * columns;
        let bias = weight.end..weight.end + columns;
        Self { inputs, outputs, columns, activation, weight, bias }
    }

    /// The place of each parameter in the order of the layout, whose input `i` is input `order(i)` here.
    pub(crate) fn places(&self, order: impl Fn(usize) -> usize) -> impl Iterator<Item = usize> {
        let weight = (0..self.inputs).flat_map(move |of_in| {
            let row = self.weight.start + order(of_in) * self.columns;
            row..row + self.outputs
        });
        weight.chain(self.bias.start..self.bias.start + self.outputs)
    }

    /// Makes room for `samples` samples.
    pub(crate) fn prepare(&self, samples: usize, buffers: &mut LinearBuffers) {
        buffers.y.grow(samples * self.columns);
        buffers.d.grow(samples * self.columns);
    }

    /// Outputs for `inputs`.
    pub(crate) fn forward(&self, arch: Arch, parameters: &[f32], inputs: Rows<'_>, y: &mut [f32]) {
        arch.dispatch(Product {
            a: inputs,
            b: &parameters[self.weight.clone()],
            width: self.columns,
            bias: Some(&parameters[self.bias.clone()]),
            out: y,
        });
        let y = &mut y[..inputs.len() * self.columns];
        match self.activation {
            None => {}
            // What is not a number stays so.
            Some(Activation::Relu) => {
                arch.dispatch(|| y.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y }));
            }
            Some(Activation::Tanh) => y.iter_mut().for_each(|y| *y = y.tanh()),
        }
    }

    /// The gradient of the inputs, `[samples, stride]`, with `d` the gradient of what is before the activation.
    pub(crate) fn input_gradient(
        &self,
        arch: Arch,
        parameters: &[f32],
        samples: usize,
        d: &[f32],
        (out, stride): (&mut [f32], usize),
    ) {
        let w = &parameters[self.weight.clone()];
        let inner = Inner { d, w, width: self.columns, columns: self.inputs, stride, rows: samples, out };
        arch.dispatch(inner);
    }

    /// Turns the gradient `d` of the outputs `y` into that of what is before the activation.
    pub(crate) fn through_activation(&self, arch: Arch, samples: usize, y: &[f32], d: &mut [f32]) {
        let (y, d) = (&y[..samples * self.columns], &mut d[..samples * self.columns]);
        match self.activation {
            None => {}
            Some(Activation::Relu) => arch.dispatch(|| {
                for (d, y) in d.iter_mut().zip(y) {
                    *d = if *y > 0.0 { *d } else { 0.0 };
                }
            }),
            Some(Activation::Tanh) => arch.dispatch(|| {
                for (d, y) in d.iter_mut().zip(y) {
                    *d *= 1.0 - y * y;
                }
            }),
        }
    }

    /// Folds the gradients of weight and bias into `into`, a buffer of the places of all parameters.
    pub(crate) fn fold(&self, arch: Arch, inputs: Rows<'_>, d: &[f32], starts: &[usize], fold: Fold, into: &mut [f32]) {
        let Fold { keep, scale } = fold;
        let c = &mut into[self.weight.clone()];
        arch.dispatch(Outer { a: inputs, d, starts, width: self.columns, keep, scale, c });
        let bias = &mut into[self.bias.clone()];
        arch.dispatch(|| {
            bias.iter_mut().for_each(|bias| *bias *= keep);
            for row in d[..starts.len() * self.columns].chunks_exact(self.columns) {
                for (bias, d) in bias.iter_mut().zip(row) {
                    *bias += scale * d;
                }
            }
        });
    }
}
