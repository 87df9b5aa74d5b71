//! Which architectures have training steps written by hand, and their layers there.

use synod_common::plan::Activation;
use synod_kernels::{self as kernels, Layer as Step};

use super::blueprint::{Blueprint, Form, Layer, LayerKind};

impl Blueprint {
    /// The model as a network of kernels, with parameters in the order of the layout; `None` for a model that has none.
    pub(crate) fn by_hand(&self) -> Option<kernels::Network> {
        let (sample, padded, between) = match &self.form {
            Form::Logistic => (None, false, kernels::Activation::Relu),
            Form::Mlp(Activation::Relu) => (None, false, kernels::Activation::Relu),
            Form::Mlp(Activation::Tanh) => (None, false, kernels::Activation::Tanh),
            Form::Cnn(shape) => (Some(*shape), true, kernels::Activation::Relu),
            Form::Lenet(shape) => (Some(*shape), false, kernels::Activation::Relu),
            // There is no error function to differentiate by hand.
            Form::Mlp(Activation::Gelu) | Form::Resnet8(..) | Form::ClosedForm(_) => return None,
        };
        let last = self.layers.len() - 1;
        let step = |(place, layer): (usize, &Layer)| match layer.kind {
            LayerKind::Linear { outputs, .. } => {
                Some(Step::Linear { outputs, activation: (place < last).then_some(between) })
            }
            LayerKind::Conv { outputs, kernel, .. } => {
                Some(Step::Conv { outputs, kernel, padding: if padded { kernel / 2 } else { 0 } })
            }
            LayerKind::Norm { .. } => None,
        };
        let steps: Vec<Step> = self.layers.iter().enumerate().map(step).collect::<Option<_>>()?;
        let values = match self.layers.first()?.kind {
            LayerKind::Linear { inputs, .. } => [1, 1, inputs],
            LayerKind::Conv { .. } | LayerKind::Norm { .. } => sample?,
        };
        kernels::Network::new(values, &steps).filter(|network| network.parameters() == self.layout().len())
    }
}
