//! A network in training: parameters, buffers and the state of an optimiser.

use std::ops::Range;

use synod_common::plan::Optimiser;

use crate::aligned::Aligned;
use crate::conv::ConvBuffers;
use crate::linear::{Fold, LinearBuffers};
use crate::matrix::Rows;
use crate::network::Network;
use crate::optimise::{Correction, Optimise, Placed};
use crate::softmax::{self, Margin};

/// A gradient written over what was there.
const OVERWRITE: Fold = Fold { keep: 0.0, scale: 1.0 };

/// A network with parameters, to ask or to train. Buffers grow to the largest batch and are kept.
#[derive(Debug)]
pub struct Training<'a> {
    network: &'a Network,
    parameters: Aligned,
    optimise: Optimise,
    /// Of the convolutions, and of all layers where the step is more than a fold.
    gradient: Aligned,
    /// What moves; all blocks at first.
    moving: Vec<Range<usize>>,
    convs: Vec<ConvBuffers>,
    linears: Vec<LinearBuffers>,
    /// What convolutions give to the first linear layer, and its gradient, `[samples, features]`.
    features: Aligned,
    d_features: Aligned,
    /// Where rows of the input of each linear layer begin, and rows of the outputs of the last one.
    starts: Vec<Vec<usize>>,
    /// Of the last forward pass.
    samples: usize,
}

impl<'a> Training<'a> {
    /// `network` with the parameters `model: [parameters]`, in the order of the layout.
    ///
    /// A model, or a vector of the correction, that is shorter is filled up with zeros; what is too much is not looked at.
    #[must_use]
    pub fn new(
        network: &'a Network,
        model: &[f32],
        rule: Optimiser,
        clip_norm: Option<f64>,
        correction: Option<Correction<'_>>,
    ) -> Self {
        let correction = correction.map(|Correction { strength, received, offset }| Placed {
            strength: strength as f32,
            received: network.place(received),
            offset: offset.map(|offset| network.place(offset)),
        });
        Self {
            network,
            parameters: network.place(model),
            optimise: Optimise::new(rule, clip_norm, correction, network.len),
            gradient: Aligned::default(),
            moving: network.blocks.clone(),
            convs: network.convs.iter().map(|_| ConvBuffers::default()).collect(),
            linears: network.linears.iter().map(|_| LinearBuffers::default()).collect(),
            features: Aligned::default(),
            d_features: Aligned::default(),
            starts: vec![Vec::new(); network.linears.len() + 1],
            samples: 0,
        }
    }

    /// As [`new`](Self::new), for forward passes alone.
    #[must_use]
    pub fn to_ask(network: &'a Network, model: &[f32]) -> Self {
        Self::new(network, model, Optimiser::Sgd { lr: 0.0, momentum: 0.0, weight_decay: 0.0 }, None, None)
    }

    /// From now on the blocks that `frozen` names, by their place in the layout, keep their values. Blocks that it does
    /// not reach move.
    pub fn freeze(&mut self, frozen: &[bool]) {
        let moves = |(place, _): &(usize, &Range<usize>)| frozen.get(*place) != Some(&true);
        self.moving = self.network.blocks.iter().enumerate().filter(moves).map(|(_, range)| range.clone()).collect();
    }

    /// Computes the outputs for `inputs: [samples, values]`.
    ///
    /// # Panics
    /// Where `inputs` are fewer.
    pub fn forward(&mut self, inputs: &[f32], samples: usize) {
        self.prepare(samples);
        let Self { network, parameters, convs, linears, features, starts, .. } = self;
        let arch = network.arch;
        for sample in 0..if convs.is_empty() { 0 } else { samples } {
            network.convs[0].read(sample, &inputs[sample * network.inputs..][..network.inputs], &mut convs[0]);
            for (place, pair) in network.convs.windows(2).enumerate() {
                let (done, next) = convs.split_at_mut(place + 1);
                pair[0].forward(arch, parameters, sample, &mut done[place], (&pair[1], &mut next[0]));
            }
            if let (Some(conv), Some(buffers)) = (network.convs.last(), convs.last_mut()) {
                let features = &mut features[sample * network.features..][..network.features];
                conv.forward_to_features(arch, parameters, sample, buffers, features);
            }
        }
        for (place, linear) in network.linears.iter().enumerate() {
            let (before, rest) = linears.split_at_mut(place);
            let values: &[f32] = match before.last() {
                Some(before) => &before.y,
                None if convs.is_empty() => inputs,
                None => features,
            };
            let rows = Rows::plain(values, &starts[place][..samples], linear.inputs);
            linear.forward(arch, parameters, rows, &mut rest[0].y);
        }
    }

    fn prepare(&mut self, samples: usize) {
        self.samples = samples;
        let network = self.network;
        for (conv, buffers) in network.convs.iter().zip(&mut self.convs) {
            conv.prepare(samples, buffers);
        }
        for (linear, buffers) in network.linears.iter().zip(&mut self.linears) {
            linear.prepare(samples, buffers);
        }
        if !network.convs.is_empty() {
            self.features.grow(samples * network.features);
            self.d_features.grow(samples * network.features);
        }
        let strides = std::iter::once(network.features).chain(network.linears.iter().map(|linear| linear.columns));
        for (starts, stride) in self.starts.iter_mut().zip(strides) {
            if starts.len() < samples {
                *starts = (0..samples).map(|sample| sample * stride).collect();
            }
        }
    }

    /// The outputs of the last forward pass, one row a sample.
    pub fn outputs(&self) -> impl Iterator<Item = &[f32]> {
        let (outputs, columns) = self.network.linears.last().map_or((0, 1), |last| (last.outputs, last.columns));
        let rows = self.linears.last().map_or(&[][..], |last| &last.y[..]);
        rows.chunks_exact(columns).take(self.samples).map(move |row| &row[..outputs])
    }

    /// Sets the gradient of the objective with respect to the outputs of the last forward pass, `[samples, outputs]`.
    pub fn set_slopes(&mut self, slopes: &[f32]) {
        let (Some(last), Some(buffers)) = (self.network.linears.last(), self.linears.last_mut()) else { return };
        for (row, slopes) in buffers.d.chunks_exact_mut(last.columns).zip(slopes.chunks_exact(last.outputs)) {
            row[..last.outputs].copy_from_slice(slopes);
        }
    }

    /// The mean cross-entropy of the last forward pass for `labels: [samples]`, each below the number of outputs, with the
    /// term of `margin`. Sets its gradient as [`set_slopes`](Self::set_slopes) does.
    pub fn cross_entropy(&mut self, labels: &[i64], margin: Option<Margin>) -> f64 {
        let (Some(last), Some(LinearBuffers { y, d })) = (self.network.linears.last(), self.linears.last_mut()) else {
            return f64::NAN;
        };
        let len = self.samples.min(labels.len()) * last.columns;
        d[..len].copy_from_slice(&y[..len]);
        softmax::cross_entropy(&mut d[..len], last.columns, last.outputs, labels, margin)
    }

    /// One step against the gradient of the objective whose slopes are set, on the `inputs` of the last forward pass.
    ///
    /// # Panics
    /// Where `inputs` are fewer.
    pub fn backward(&mut self, inputs: &[f32], lr: f64) {
        let (samples, network) = (self.samples, self.network);
        let arch = network.arch;
        let all_move = self.moving.len() == network.blocks.len();
        let fold = self.optimise.fold(lr).filter(|_| all_move);
        let convs_end = network.convs.last().map_or(0, |last| last.bias.end);
        self.gradient.grow(if fold.is_some() { convs_end } else { network.len });
        self.gradient[..convs_end].fill(0.0);
        let Self { parameters, gradient, convs, linears, features, d_features, starts, .. } = self;
        let has_convs = !convs.is_empty();
        for (place, linear) in network.linears.iter().enumerate().rev() {
            let (before, rest) = linears.split_at_mut(place);
            let d = &rest[0].d;
            match before.last_mut() {
                Some(LinearBuffers { y, d: d_before }) => {
                    let before = &network.linears[place - 1];
                    linear.input_gradient(arch, parameters, samples, d, (d_before, before.columns));
                    before.through_activation(arch, samples, y, d_before);
                }
                None if has_convs => {
                    linear.input_gradient(arch, parameters, samples, d, (d_features, network.features));
                }
                None => {}
            }
            let values: &[f32] = match before.last() {
                Some(before) => &before.y,
                None if has_convs => features,
                None => inputs,
            };
            let rows = Rows::plain(values, &starts[place][..samples], linear.inputs);
            let d_starts = &starts[place + 1][..samples];
            match fold {
                Some(fold) => linear.fold(arch, rows, d, d_starts, fold, parameters),
                None => linear.fold(arch, rows, d, d_starts, OVERWRITE, gradient),
            }
        }
        for (conv, buffers) in network.convs.iter().zip(convs.iter_mut()).skip(1) {
            conv.turn(parameters, buffers);
        }
        for sample in 0..if has_convs { samples } else { 0 } {
            for (place, conv) in network.convs.iter().enumerate().rev() {
                let (done, rest) = convs.split_at_mut(place + 1);
                let d = match (rest.first(), network.convs.get(place + 1)) {
                    (Some(after), Some(layer)) => (&after.dx[..], layer.dx_frame()),
                    _ => (&d_features[sample * network.features..][..network.features], conv.feature_frame()),
                };
                conv.backward(arch, sample, &mut done[place], d, gradient);
                if place > 0 {
                    conv.input_gradient(arch, &mut done[place]);
                }
            }
        }
        if fold.is_none() {
            self.optimise.step(arch, &self.moving, parameters, gradient, lr);
        } else if has_convs {
            let of_convs = std::slice::from_ref(&(0..convs_end)).to_vec();
            self.optimise.step(arch, &of_convs, parameters, gradient, lr);
        }
    }

    /// Copies the parameters to `out: [parameters]`, in the order of the layout.
    pub fn write(&self, out: &mut [f32]) {
        self.network.collect(&self.parameters, out);
    }

    /// All that later steps depend on, in the order of the layout.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let collect = |placed: &[f32]| {
            let mut out = vec![0.0; if placed.is_empty() { 0 } else { self.network.parameters() }];
            self.network.collect(placed, &mut out);
            out
        };
        let (steps, moments) = self.optimise.state();
        Progress { steps, parameters: collect(&self.parameters), moments: moments.map(collect) }
    }

    /// Goes on from `progress`; `false`, with everything as it was, if that is not of this network and optimiser.
    pub fn set_progress(&mut self, progress: &Progress) -> bool {
        let Progress { steps, parameters, moments } = progress;
        let wanted = self.network.parameters();
        let fits = parameters.len() == wanted && moments.iter().all(|m| m.is_empty() || m.len() == wanted);
        let place = |values: &Vec<f32>| {
            if values.is_empty() { Aligned::default() } else { self.network.place(values) }
        };
        let placed = moments.each_ref().map(place);
        let goes_on = fits && self.optimise.set_state(*steps, placed);
        if goes_on {
            self.parameters = self.network.place(parameters);
        }
        goes_on
    }
}

/// Where a training is: what [`Training::progress`] gives and [`Training::set_progress`] takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Optimiser steps done that Adam counts.
    pub steps: u32,
    /// `[parameters]`.
    pub parameters: Vec<f32>,
    /// Velocity, or both moments, `[parameters]` each; empty where the optimiser has none.
    pub moments: [Vec<f32>; 2],
}
