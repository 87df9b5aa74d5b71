//! A residual network small enough for a CPU: He et al.: Deep Residual Learning for Image Recognition, 2016, section
//! 4.2, with one block per stage, and group normalisation (Wu and He 2018) in place of batch normalisation.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, Linear};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::Parts;

/// Stem, three stages of one basic block each, global average, linear.
#[derive(Module, Debug)]
pub(crate) struct Resnet8 {
    stem: Unit,
    stage1: Block,
    stage2: Block,
    stage3: Block,
    fc: Linear,
    channels: usize,
    height: usize,
    width: usize,
}

/// A convolution without bias, and the normalisation after it.
#[derive(Module, Debug)]
struct Unit {
    conv: Conv2d,
    norm: GroupNorm,
}

/// Two units and a way past them.
#[derive(Module, Debug)]
struct Block {
    first: Unit,
    second: Unit,
    shortcut: Option<Unit>,
}

/// Whether a stage changes the number of channels, and so needs a convolution on its shortcut.
#[derive(Clone, Copy)]
enum Shortcut {
    Identity,
    Projection,
}

impl Unit {
    fn new(parts: &mut Parts<'_>, stride: usize) -> Self {
        Self { conv: parts.conv(stride), norm: parts.norm() }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

impl Block {
    fn new(parts: &mut Parts<'_>, stride: usize, shortcut: Shortcut) -> Self {
        Self {
            first: Unit::new(parts, stride),
            second: Unit::new(parts, 1),
            shortcut: match shortcut {
                Shortcut::Identity => None,
                Shortcut::Projection => Some(Unit::new(parts, stride)),
            },
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let residual = self.second.forward(relu(self.first.forward(x.clone())));
        let past = match &self.shortcut {
            Some(unit) => unit.forward(x),
            None => x,
        };
        relu(residual + past)
    }
}

impl Resnet8 {
    pub(super) fn new(parts: &mut Parts<'_>, [channels, height, width]: [usize; 3]) -> Self {
        Self {
            stem: Unit::new(parts, 1),
            stage1: Block::new(parts, 1, Shortcut::Identity),
            stage2: Block::new(parts, 2, Shortcut::Projection),
            stage3: Block::new(parts, 2, Shortcut::Projection),
            fc: parts.linear(),
            channels,
            height,
            width,
        }
    }

    pub(super) fn features(&self, inputs: Tensor<2>) -> Tensor<2> {
        let [batch, _] = inputs.dims();
        let x = inputs.reshape([batch, self.channels, self.height, self.width]);
        let x = relu(self.stem.forward(x));
        let x = self.stage3.forward(self.stage2.forward(self.stage1.forward(x)));
        let [_, channels, height, width] = x.dims();
        x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
    }

    pub(super) fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.fc.forward(features)
    }
}
