//! iSogCLR beside the plan's loss: a contrast between the features of two noisy views of each sample, with a temperature for
//! each sample that stays at the site.
//!
//! Source: Qiu, Hu, Yuan, Zhou, Zhang, Yang: Not All Semantics are Created Equal: Contrastive Self-supervised Learning with
//! Automatic Temperature Individualization, ICML 2023.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_distr::StandardNormal;
use synod_common::plan::IsoGclr;
use synod_common::random::ChaCha12Rng;
use synod_losses::contrastive::isogclr::{Config, isogclr};
use synod_losses::{LossError, LossState, Memory};

use crate::models::Network;

/// Keeps the square root of a row's square away from 0, where it has no slope.
const SQUARE_MIN: f64 = 1e-12;

/// Two views of a batch's inputs, each `[batch, values]`.
pub(in crate::train) type Pair = [Tensor<2>; 2];

/// The contrast of one round at one site.
pub(in crate::train) struct Views {
    weight: f64,
    noise: f64,
    config: Config,
    rng: ChaCha12Rng,
}

fn config(options: &IsoGclr) -> Config {
    Config::default().with_rho(options.rho).with_eta(options.eta).with_tau_initial(options.tau_initial)
}

/// What a site with `samples` training samples remembers before the first step.
pub(in crate::train) fn initial(options: &IsoGclr, samples: usize) -> LossState {
    config(options).initial(samples)
}

impl Views {
    /// `None` for a weight of 0: the step is then that of the plan without it, to the bit.
    pub(in crate::train) fn new(options: &IsoGclr, rng: ChaCha12Rng) -> Option<Self> {
        let IsoGclr { weight, noise, .. } = *options;
        (weight != 0.0).then(|| Self { weight, noise, config: config(options), rng })
    }

    /// How far the noise is drawn.
    pub(in crate::train) fn position(&self) -> u128 {
        self.rng.get_word_pos()
    }

    /// Goes on drawing from there.
    pub(in crate::train) fn go_to(&mut self, position: u128) {
        self.rng.set_word_pos(position);
    }

    /// Two views of `inputs: [batch, values]`; `None` for a single sample, which has nobody to differ from.
    pub(in crate::train) fn draw(&mut self, inputs: &Tensor<2>) -> Option<Pair> {
        let [batch, values] = inputs.dims();
        let mut view = || {
            let noise = (0..batch * values).map(|_| self.rng.sample::<f32, _>(StandardNormal) * self.noise as f32);
            let noise = TensorData::new(noise.collect::<Vec<f32>>(), [batch, values]);
            inputs.clone() + Tensor::from_data(noise, &inputs.device())
        };
        (batch > 1).then(|| [view(), view()])
    }

    /// `loss: [1]` with the contrast between the features that `network` has of the two views.
    pub(in crate::train) fn add(
        &self,
        loss: Tensor<1>,
        network: &Network,
        views: &Pair,
        memory: &mut Memory<'_>,
    ) -> Result<Tensor<1>, LossError> {
        let [first, second] = [0, 1].map(|view| unit_rows(network.features(views[view].clone())));
        Ok(loss + isogclr(first, second, memory, &self.config)?.mean() * self.weight)
    }
}

fn unit_rows(features: Tensor<2>) -> Tensor<2> {
    let lengths = features.clone().powi_scalar(2).sum_dim(1).clamp_min(SQUARE_MIN).sqrt();
    features / lengths
}
