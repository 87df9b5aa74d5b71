//! The CNN of McMahan et al.: Communication-Efficient Learning of Deep Networks from Decentralized Data, 2017.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::Parts;

/// Conv 5x5x32, pool, conv 5x5x64, pool, 512 hidden units, classes.
#[derive(Module, Debug)]
pub(crate) struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    pool: MaxPool2d,
    channels: usize,
    height: usize,
    width: usize,
}

impl Cnn {
    pub(super) fn new(parts: &mut Parts<'_>, [channels, height, width]: [usize; 3]) -> Self {
        Self {
            conv1: parts.conv(1),
            conv2: parts.conv(1),
            fc1: parts.linear(),
            fc2: parts.linear(),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            channels,
            height,
            width,
        }
    }

    pub(super) fn features(&self, inputs: Tensor<2>) -> Tensor<2> {
        let [batch, _] = inputs.dims();
        let x = inputs.reshape([batch, self.channels, self.height, self.width]);
        // relu(pool(x)) is pool(relu(x)), value and gradient, on a quarter of the elements.
        let x = relu(self.pool.forward(self.conv1.forward(x)));
        let x = relu(self.pool.forward(self.conv2.forward(x)));
        let [_, channels, height, width] = x.dims();
        let x = x.reshape([batch, channels * height * width]);
        relu(self.fc1.forward(x))
    }

    pub(super) fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.fc2.forward(features)
    }
}
