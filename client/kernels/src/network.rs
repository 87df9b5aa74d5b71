//! The layers of a network, and where their parameters are.

use std::ops::Range;

use pulp::Arch;

use crate::aligned::Aligned;
use crate::conv::Conv;
use crate::linear::Linear;

/// What follows a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A convolution at stride 1 with a bias, then ReLU and the maximum over 2 x 2 pixels, an odd last line left out. Its
    /// parameters are `weight: [outputs, inputs, kernel, kernel]` and `bias: [outputs]`.
    Conv {
        /// Output channels.
        outputs: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Zeros around the image, less than the kernel.
        padding: usize,
    },
    /// A linear layer. Its parameters are `weight: [inputs, outputs]` and `bias: [outputs]`.
    Linear {
        /// Outputs.
        outputs: usize,
        /// What follows.
        activation: Option<Activation>,
    },
}

/// Some convolutions and then at least one linear layer.
#[derive(Debug)]
pub struct Network {
    pub(crate) arch: Arch,
    pub(crate) convs: Vec<Conv>,
    pub(crate) linears: Vec<Linear>,
    /// Values of a sample.
    pub(crate) inputs: usize,
    /// Inputs of the first linear layer.
    pub(crate) features: usize,
    /// Where in our own buffers the parameters are, in the order of the layout.
    places: Vec<u32>,
    /// Where each block is, weights and biases in turn, padding included.
    pub(crate) blocks: Vec<Range<usize>>,
    /// Places in all.
    pub(crate) len: usize,
}

impl Network {
    /// The network of `layers` for samples `[channels, height, width]`; for samples that are no images, `[1, 1, values]`.
    ///
    /// `None` if this is no network that can be computed here: layers in another order, an image too small for its
    /// kernel, more than 2^31 parameters.
    #[must_use]
    pub fn new(sample: [usize; 3], layers: &[Layer]) -> Option<Self> {
        let (mut convs, mut linears) = (Vec::<Conv>::new(), Vec::<Linear>::new());
        let (mut shape, mut len) = (sample, 0);
        for layer in layers {
            match *layer {
                Layer::Conv { outputs, kernel, padding } => {
                    let side = shape[1].min(shape[2]) + 2 * padding;
                    // Of what a kernel leaves, the maximum takes two pixels.
                    if !linears.is_empty() || padding >= kernel || outputs == 0 || side < kernel + 1 {
                        return None;
                    }
                    let conv = Conv::new(shape, outputs, kernel, padding, len);
                    shape = [outputs, conv.pool.height, conv.pool.width];
                    len = conv.bias.end;
                    convs.push(conv);
                }
                Layer::Linear { outputs, activation } => {
                    let inputs = linears.last().map_or(shape.iter().product(), |last| last.outputs);
                    if inputs == 0 || outputs == 0 {
                        return None;
                    }
                    let linear = Linear::new(inputs, outputs, activation, len);
                    len = linear.bias.end;
                    linears.push(linear);
                }
            }
        }
        let last = linears.last()?;
        if last.activation.is_some() || len > i32::MAX as usize {
            return None;
        }
        let inner = shape[0];
        let pixels = shape[1] * shape[2];
        let images = !convs.is_empty();
        // Features are an image with channels outermost in a layout, innermost here.
        let order = move |at: usize| if images { at % pixels * inner + at / pixels } else { at };
        let of_convs = convs.iter().flat_map(Conv::places);
        let of_linears = linears
            .iter()
            .enumerate()
            .flat_map(|(place, linear)| linear.places(move |at| if place == 0 { order(at) } else { at }));
        let places = of_convs.chain(of_linears).map(|place| place as u32).collect();
        let blocks = convs
            .iter()
            .map(|conv| [&conv.weight, &conv.bias])
            .chain(linears.iter().map(|linear| [&linear.weight, &linear.bias]))
            .flatten()
            .cloned()
            .collect();
        let features = linears.first().map_or(0, |first| first.inputs);
        let inputs = sample.iter().product();
        Some(Self { arch: Arch::new(), convs, linears, inputs, features, places, blocks, len })
    }

    /// Parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.places.len()
    }

    /// Values of a sample.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of the last layer.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.linears.last().map_or(0, |last| last.outputs)
    }

    /// `values: [parameters]`, in the order of the layout, in their places.
    pub(crate) fn place(&self, values: &[f32]) -> Aligned {
        let mut placed = Aligned::zeros(self.len);
        for (place, value) in self.places.iter().zip(values) {
            placed[*place as usize] = *value;
        }
        placed
    }

    /// The reverse of [`place`](Self::place).
    pub(crate) fn collect(&self, placed: &[f32], out: &mut [f32]) {
        for (place, value) in self.places.iter().zip(out) {
            *value = placed[*place as usize];
        }
    }
}
