//! The architectures as burn modules.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, Linear, PaddingConfig2d};
use burn::tensor::activation::{gelu, relu, tanh};
use burn::tensor::{Device, Tensor, TensorData};
use synod_common::plan::Activation;

use super::blueprint::{Bias, Blueprint, Form, Layer, LayerKind};
use super::error::ModelError;

mod cnn;
mod lenet;
mod resnet8;

use cnn::Cnn;
use lenet::Lenet;
use resnet8::Resnet8;

/// A plan's model on a device. Whether it records for a backward pass is the device's business.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one value per training, moved a handful of times")]
pub(crate) enum Network {
    Logistic(Linear),
    Mlp(Mlp),
    Cnn(Cnn),
    Lenet(Lenet),
    Resnet8(Resnet8),
}

impl Network {
    /// The network of `blueprint` with the parameters `values`, which it copies.
    pub(crate) fn new(blueprint: &Blueprint, values: &[f32], device: &Device) -> Result<Self, ModelError> {
        blueprint.check(values)?;
        let mut parts = Parts { layers: blueprint.layers.iter(), values, device, groups: 1 };
        Ok(match &blueprint.form {
            Form::Logistic => Self::Logistic(parts.linear()),
            Form::ClosedForm(form) => {
                let linear = form.linear(values)?;
                parts.values = &linear;
                Self::Logistic(parts.linear())
            }
            Form::Mlp(activation) => {
                let layers = blueprint.layers.iter().map(|_| parts.linear()).collect();
                Self::Mlp(Mlp { layers, activation: *activation as usize })
            }
            Form::Cnn(shape) => Self::Cnn(Cnn::new(&mut parts, *shape)),
            Form::Lenet(shape) => Self::Lenet(Lenet::new(&mut parts, *shape)),
            Form::Resnet8(shape, groups) => {
                parts.groups = *groups;
                Self::Resnet8(Resnet8::new(&mut parts, *shape))
            }
        })
    }

    /// Logits `[batch, outputs]` for `inputs: [batch, values]`.
    pub(crate) fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        self.head(self.features(inputs))
    }

    /// What the last layer reads, `[batch, features]`, for `inputs: [batch, values]`. The inputs themselves where there is
    /// one layer only.
    pub(crate) fn features(&self, inputs: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Logistic(_) => inputs,
            Self::Mlp(mlp) => mlp.features(inputs),
            Self::Cnn(cnn) => cnn.features(inputs),
            Self::Lenet(lenet) => lenet.features(inputs),
            Self::Resnet8(resnet) => resnet.features(inputs),
        }
    }

    /// Logits `[batch, outputs]` for `features: [batch, features]`.
    pub(crate) fn head(&self, features: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Logistic(fc) => fc.forward(features),
            Self::Mlp(mlp) => mlp.head(features),
            Self::Cnn(cnn) => cnn.head(features),
            Self::Lenet(lenet) => lenet.head(features),
            Self::Resnet8(resnet) => resnet.head(features),
        }
    }
}

/// Linear layers with an activation between them.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: Vec<Linear>,
    /// An [`Activation`] as its number: modules hold plain constants.
    activation: usize,
}

impl Mlp {
    fn features(&self, inputs: Tensor<2>) -> Tensor<2> {
        let hidden = self.layers.iter().take(self.layers.len() - 1);
        hidden.fold(inputs, |x, layer| match self.activation {
            RELU => relu(layer.forward(x)),
            TANH => tanh(layer.forward(x)),
            _ => gelu(layer.forward(x)),
        })
    }

    fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.layers.last().expect("a blueprint has one layer more than hidden ones").forward(features)
    }
}

const RELU: usize = Activation::Relu as usize;
const TANH: usize = Activation::Tanh as usize;

/// Hands out the layers of a blueprint one by one, filled with values.
struct Parts<'a> {
    layers: std::slice::Iter<'a, Layer>,
    values: &'a [f32],
    device: &'a Device,
    groups: usize,
}

impl Parts<'_> {
    fn kind(&mut self) -> LayerKind {
        self.layers.next().expect("the blueprint lists every layer that its form asks for").kind
    }

    fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<D>> {
        let (block, rest) = self.values.split_at(shape.iter().product());
        self.values = rest;
        let tensor = Tensor::from_data(TensorData::new(block.to_vec(), shape), self.device);
        Param::from_tensor(tensor)
    }

    fn linear(&mut self) -> Linear {
        let LayerKind::Linear { inputs, outputs } = self.kind() else { unreachable!("{MISORDERED}") };
        Linear { weight: self.tensor([inputs, outputs]), bias: Some(self.tensor([outputs])) }
    }

    /// A convolution with "same" padding at stride 1.
    fn conv(&mut self, stride: usize) -> Conv2d {
        self.padded_conv(stride, |kernel| kernel / 2)
    }

    /// A convolution that ends where its kernel does.
    fn conv_without_padding(&mut self) -> Conv2d {
        self.padded_conv(1, |_| 0)
    }

    fn padded_conv(&mut self, stride: usize, padding: impl Fn(usize) -> usize) -> Conv2d {
        let LayerKind::Conv { inputs, outputs, kernel, bias } = self.kind() else { unreachable!("{MISORDERED}") };
        let padding = padding(kernel);
        Conv2d {
            weight: self.tensor([outputs, inputs, kernel, kernel]),
            bias: (bias == Bias::Yes).then(|| self.tensor([outputs])),
            stride: [stride; 2],
            kernel_size: [kernel; 2],
            dilation: [1; 2],
            groups: 1,
            padding: PaddingConfig2d::Explicit(padding, padding, padding, padding),
        }
    }

    fn norm(&mut self) -> GroupNorm {
        let LayerKind::Norm { channels } = self.kind() else { unreachable!("{MISORDERED}") };
        GroupNorm {
            gamma: Some(self.tensor([channels])),
            beta: Some(self.tensor([channels])),
            num_groups: self.groups,
            num_channels: channels,
            epsilon: NORM_EPSILON,
            affine: true,
        }
    }
}

/// PyTorch's default.
const NORM_EPSILON: f64 = 1e-5;

const MISORDERED: &str = "blueprint and network list layers in the same order, as a test checks for each form";
