//! Buffers that begin with a cache line.

/// Bytes of a cache line, and of the longest vector.
const LINE: usize = 64;

/// Numbers of one cache line: the rows of every matrix here are padded to a multiple of this, so that no row ends inside
/// a vector.
pub(crate) const PAD: usize = LINE / size_of::<f32>();

/// The next multiple of [`PAD`].
pub(crate) fn padded(values: usize) -> usize {
    values.next_multiple_of(PAD)
}

/// Zeros at first, and never moved: vectors read from it do not straddle cache lines, which would halve their speed.
#[derive(Debug, Default)]
pub(crate) struct Aligned {
    values: Vec<f32>,
    skip: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn zeros(len: usize) -> Self {
        let values = vec![0.0; len + PAD];
        // Where no alignment can be had, speed is lost and nothing else.
        let skip = values.as_ptr().align_offset(LINE).min(PAD);
        Self { values, skip, len }
    }

    /// Makes room for `len` values; what was there is lost.
    pub(crate) fn grow(&mut self, len: usize) {
        if self.len < len {
            *self = Self::zeros(len);
        }
    }
}

impl std::ops::Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.skip..self.skip + self.len]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.skip..self.skip + self.len]
    }
}
