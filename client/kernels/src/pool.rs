//! ReLU of the maximum over 2 x 2 pixels, both ways.
//!
//! `max` and `ReLU` commute, value and gradient, so both are one pass. Images have channels innermost.

/// Which of the four pixels a maximum came from; [`CUT`] where the ReLU made it 0.
pub(crate) type Source = u32;

/// No pixel: the gradient goes nowhere.
pub(crate) const CUT: Source = 4;

/// An image inside a buffer: where it begins, and how far lines and pixels are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) start: usize,
    pub(crate) line: usize,
    pub(crate) pixel: usize,
}

impl Frame {
    pub(crate) fn at(&self, y: usize, x: usize) -> usize {
        self.start + y * self.line + x * self.pixel
    }
}

/// From an image `z` to one of `height x width` pixels with `channels` channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Pool {
    /// Values of the smaller image.
    pub(crate) fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// `out = relu(max of four of z)`; `sources: [height * width * channels]`.
    #[inline(always)]
    pub(crate) fn forward(&self, z: &[f32], from: Frame, out: &mut [f32], to: Frame, sources: &mut [Source]) {
        let c = self.channels;
        for y in 0..self.height {
            for x in 0..self.width {
                let corner = |dy, dx| &z[from.at(2 * y + dy, 2 * x + dx)..][..c];
                let corners = [corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)];
                let out = &mut out[to.at(y, x)..][..c];
                let sources = &mut sources[(y * self.width + x) * c..][..c];
                for k in 0..c {
                    let (mut max, mut source) = (corners[0][k], 0);
                    for (place, corner) in (1..).zip(&corners[1..]) {
                        (max, source) = if corner[k] > max { (corner[k], place) } else { (max, source) };
                    }
                    // What is not a number stays so.
                    out[k] = if max <= 0.0 { 0.0 } else { max };
                    sources[k] = if max > 0.0 { source } else { CUT };
                }
            }
        }
    }

    /// The gradient `dz` of `z` from that of the smaller image. Pixels of `z` that no maximum saw keep their value.
    #[inline(always)]
    pub(crate) fn backward(&self, d: &[f32], to: Frame, sources: &[Source], dz: &mut [f32], from: Frame) {
        let c = self.channels;
        for y in 0..self.height {
            for x in 0..self.width {
                let d = &d[to.at(y, x)..][..c];
                let sources = &sources[(y * self.width + x) * c..][..c];
                for (place, (dy, dx)) in (0..).zip([(0, 0), (0, 1), (1, 0), (1, 1)]) {
                    let dz = &mut dz[from.at(2 * y + dy, 2 * x + dx)..][..c];
                    for k in 0..c {
                        dz[k] = if sources[k] == place { d[k] } else { 0.0 };
                    }
                }
            }
        }
    }

    /// Adds to `bias: [channels]` the gradient of what was added to every pixel of `z`.
    #[inline(always)]
    pub(crate) fn add_bias_gradient(&self, d: &[f32], to: Frame, sources: &[Source], bias: &mut [f32]) {
        let c = self.channels;
        let bias = &mut bias[..c];
        for y in 0..self.height {
            for x in 0..self.width {
                let d = &d[to.at(y, x)..][..c];
                let sources = &sources[(y * self.width + x) * c..][..c];
                for k in 0..c {
                    bias[k] += if sources[k] == CUT { 0.0 } else { d[k] };
                }
            }
        }
    }
}
