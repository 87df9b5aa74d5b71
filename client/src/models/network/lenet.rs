//! The small CNN of NIID-Bench, after LeCun et al.: Gradient-Based Learning Applied to Document Recognition, 1998.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::Parts;

/// Conv 5x5x6, pool, conv 5x5x16, pool, 120 and 84 hidden units, classes.
#[derive(Module, Debug)]
pub(crate) struct Lenet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
    pool: MaxPool2d,
    channels: usize,
    height: usize,
    width: usize,
}

impl Lenet {
    pub(super) fn new(parts: &mut Parts<'_>, [channels, height, width]: [usize; 3]) -> Self {
        Self {
            conv1: parts.conv_without_padding(),
            conv2: parts.conv_without_padding(),
            fc1: parts.linear(),
            fc2: parts.linear(),
            fc3: parts.linear(),
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
        let x = relu(self.fc1.forward(x.reshape([batch, channels * height * width])));
        relu(self.fc2.forward(x))
    }

    pub(super) fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.fc3.forward(features)
    }
}
