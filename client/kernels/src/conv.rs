//! A convolution at stride 1 with bias, ReLU and 2 x 2 maximum, sample by sample.
//!
//! Images have channels innermost and a border of zeros, so that the values a pixel sees are one run for each line of the
//! kernel. Weights are `[kernel line, kernel column, input channel, output channel]`, output channels padded.

use std::ops::Range;

use pulp::Arch;

use crate::aligned::{Aligned, padded};
use crate::matrix::{Outer, Product, Rows};
use crate::pool::{Frame, Pool, Source};

/// Shapes of one convolution.
#[derive(Debug)]
pub(crate) struct Conv {
    inputs: usize,
    height: usize,
    width: usize,
    outputs: usize,
    kernel: usize,
    padding: usize,
    /// Padded output channels.
    columns: usize,
    pub(crate) pool: Pool,
    /// Where what an output pixel sees begins in the image.
    starts: Vec<usize>,
    /// Where a row of output pixels is in the buffer of outputs, and of their gradient.
    z: Frame,
    dz: Frame,
    dz_starts: Vec<usize>,
    dz_len: usize,
    /// Where what an input pixel's gradient sees begins in the gradient of the outputs.
    back_starts: Vec<usize>,
    pub(crate) weight: Range<usize>,
    pub(crate) bias: Range<usize>,
}

/// Buffers of one convolution.
#[derive(Debug, Default)]
pub(crate) struct ConvBuffers {
    /// `[samples, image]`.
    images: Aligned,
    /// `[samples, pooled]`.
    sources: Vec<Source>,
    z: Aligned,
    dz: Aligned,
    /// Weights as the gradient of the input needs them: turned around, and inputs and outputs exchanged.
    turned: Aligned,
    /// The gradient of the input, `[pixels, padded input channels]`.
    pub(crate) dx: Aligned,
}

impl Conv {
    /// For images `[inputs, height, width]`, with parameters from `at` on.
    pub(crate) fn new(
        [inputs, height, width]: [usize; 3],
        outputs: usize,
        kernel: usize,
        padding: usize,
        at: usize,
    ) -> Self {
        let columns = padded(outputs);
        let after = |side: usize| side + 2 * padding + 1 - kernel;
        let (z_height, z_width) = (after(height), after(width));
        let line = (width + 2 * padding) * inputs;
        let pixels = |height: usize, width: usize, line: usize, pixel: usize, start: usize| -> Vec<usize> {
            (0..height).flat_map(|y| (0..width).map(move |x| start + y * line + x * pixel)).collect()
        };
        let border = kernel - 1 - padding;
        let dz_line = (z_width + 2 * border) * columns;
        let dz = Frame { start: border * dz_line + border * columns, line: dz_line, pixel: columns };
        let weight = at..at + kernel * kernel * inputs * columns;
        let bias = weight.end..weight.end + columns;
        Self {
            inputs,
            height,
            width,
            outputs,
            kernel,
            padding,
            columns,
            pool: Pool { channels: outputs, height: z_height / 2, width: z_width / 2 },
            starts: pixels(z_height, z_width, line, inputs, 0),
            z: Frame { start: 0, line: z_width * columns, pixel: columns },
            dz,
            dz_starts: pixels(z_height, z_width, dz.line, columns, dz.start),
            dz_len: (z_height + 2 * border) * dz_line,
            back_starts: pixels(height, width, dz.line, columns, 0),
            weight,
            bias,
        }
    }

    /// The place of each parameter in the order of the layout: `weight: [outputs, inputs, kernel, kernel]`, then the bias.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let k = self.kernel;
        let place = move |out: usize, of_in: usize, y: usize, x: usize| {
            self.weight.start + ((y * k + x) * self.inputs + of_in) * self.columns + out
        };
        let weight = (0..self.outputs).flat_map(move |out| {
            (0..self.inputs).flat_map(move |of_in| (0..k * k).map(move |at| place(out, of_in, at / k, at % k)))
        });
        weight.chain(self.bias.start..self.bias.start + self.outputs)
    }

    fn line(&self) -> usize {
        (self.width + 2 * self.padding) * self.inputs
    }

    fn image_len(&self) -> usize {
        (self.height + 2 * self.padding) * self.line()
    }

    /// Where an image is inside its buffer, which has the border.
    fn frame(&self) -> Frame {
        Frame { start: self.padding * (self.line() + self.inputs), line: self.line(), pixel: self.inputs }
    }

    fn matrix<'a>(&'a self, image: &'a [f32]) -> Rows<'a> {
        Rows {
            values: image,
            starts: &self.starts,
            runs: self.kernel,
            stride: self.line(),
            run: self.kernel * self.inputs,
        }
    }

    /// Makes room for `samples` samples.
    pub(crate) fn prepare(&self, samples: usize, buffers: &mut ConvBuffers) {
        buffers.images.grow(samples * self.image_len());
        let sources = samples * self.pool.len();
        if buffers.sources.len() < sources {
            buffers.sources.resize(sources, 0);
        }
        buffers.z.grow(self.starts.len() * self.columns);
    }

    /// Copies sample `sample`, `[inputs, height, width]`, into its place.
    pub(crate) fn read(&self, sample: usize, input: &[f32], buffers: &mut ConvBuffers) {
        let (frame, plane) = (self.frame(), self.height * self.width);
        let image = &mut buffers.images[sample * self.image_len()..][..self.image_len()];
        for y in 0..self.height {
            if self.inputs == 1 {
                image[frame.at(y, 0)..][..self.width].copy_from_slice(&input[y * self.width..][..self.width]);
                continue;
            }
            let pixels = image[frame.at(y, 0)..][..self.width * self.inputs].chunks_exact_mut(self.inputs);
            for (x, pixel) in pixels.enumerate() {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    *value = input[channel * plane + y * self.width + x];
                }
            }
        }
    }

    /// Convolves sample `sample`; `out` is the buffer of the pooled image, which `to` places.
    fn forward_into(
        &self,
        arch: Arch,
        parameters: &[f32],
        sample: usize,
        buffers: &mut ConvBuffers,
        out: &mut [f32],
        to: Frame,
    ) {
        let ConvBuffers { images, sources, z, .. } = buffers;
        let image = &images[sample * self.image_len()..][..self.image_len()];
        arch.dispatch(Product {
            a: self.matrix(image),
            b: &parameters[self.weight.clone()],
            width: self.columns,
            bias: Some(&parameters[self.bias.clone()]),
            out: z,
        });
        let sources = &mut sources[sample * self.pool.len()..][..self.pool.len()];
        arch.dispatch(|| self.pool.forward(z, self.z, out, to, sources));
    }

    /// As above, into the image of the `next` convolution.
    pub(crate) fn forward(
        &self,
        arch: Arch,
        parameters: &[f32],
        sample: usize,
        buffers: &mut ConvBuffers,
        (next, next_buffers): (&Conv, &mut ConvBuffers),
    ) {
        let out = &mut next_buffers.images[sample * next.image_len()..][..next.image_len()];
        self.forward_into(arch, parameters, sample, buffers, out, next.frame());
    }

    /// As above, into features `[height, width, channels]`.
    pub(crate) fn forward_to_features(
        &self,
        arch: Arch,
        parameters: &[f32],
        sample: usize,
        buffers: &mut ConvBuffers,
        features: &mut [f32],
    ) {
        self.forward_into(arch, parameters, sample, buffers, features, self.feature_frame());
    }

    /// Where pooled pixels are in features.
    pub(crate) fn feature_frame(&self) -> Frame {
        Frame { start: 0, line: self.pool.width * self.outputs, pixel: self.outputs }
    }

    /// Where input pixels are in `dx`.
    pub(crate) fn dx_frame(&self) -> Frame {
        let pixel = padded(self.inputs);
        Frame { start: 0, line: self.width * pixel, pixel }
    }

    /// Before the backward passes of a batch: `parameters` turned around, where the gradient of the input is needed.
    pub(crate) fn turn(&self, parameters: &[f32], buffers: &mut ConvBuffers) {
        let (k, columns, inputs) = (self.kernel, self.columns, padded(self.inputs));
        buffers.turned.grow(k * k * columns * inputs);
        buffers.dx.grow(self.height * self.width * inputs);
        let weight = &parameters[self.weight.clone()];
        for at in 0..k * k {
            let (from, to) = (at * self.inputs * columns, (k * k - 1 - at) * columns * inputs);
            for of_in in 0..self.inputs {
                let row = &weight[from + of_in * columns..][..self.outputs];
                for (out, value) in row.iter().enumerate() {
                    buffers.turned[to + out * inputs + of_in] = *value;
                }
            }
        }
    }

    /// Adds the gradients of the parameters from `d`, the gradient of the pooled image of sample `sample`.
    pub(crate) fn backward(
        &self,
        arch: Arch,
        sample: usize,
        buffers: &mut ConvBuffers,
        (d, to): (&[f32], Frame),
        gradient: &mut [f32],
    ) {
        let ConvBuffers { images, sources, dz, .. } = buffers;
        dz.grow(self.dz_len);
        let sources = &sources[sample * self.pool.len()..][..self.pool.len()];
        let bias = &mut gradient[self.bias.clone()];
        arch.dispatch(|| self.pool.add_bias_gradient(d, to, sources, bias));
        arch.dispatch(|| self.pool.backward(d, to, sources, dz, self.dz));
        let image = &images[sample * self.image_len()..][..self.image_len()];
        arch.dispatch(Outer {
            a: self.matrix(image),
            d: dz,
            starts: &self.dz_starts,
            width: self.columns,
            keep: 1.0,
            scale: 1.0,
            c: &mut gradient[self.weight.clone()],
        });
    }

    /// The gradient of the input of the sample whose backward pass was last, into `buffers.dx`.
    pub(crate) fn input_gradient(&self, arch: Arch, buffers: &mut ConvBuffers) {
        let ConvBuffers { dz, turned, dx, .. } = buffers;
        let run = self.kernel * self.columns;
        let a = Rows { values: dz, starts: &self.back_starts, runs: self.kernel, stride: self.dz.line, run };
        arch.dispatch(Product { a, b: turned, width: padded(self.inputs), bias: None, out: dx });
    }
}
