//! A matrix whose rows lie somewhere in one buffer.

/// Row `i` is `runs` runs of `run` numbers, the first one at `starts[i]`, each the `stride` after the one before.
///
/// With one run it is an ordinary matrix. With one run for each line of a convolution's kernel it is the matrix of the
/// convolution, `[pixels, kernel * kernel * channels]`, read out of the padded image without ever being written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) starts: &'a [usize],
    pub(crate) runs: usize,
    pub(crate) stride: usize,
    pub(crate) run: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `columns` numbers at `starts`.
    pub(crate) fn plain(values: &'a [f32], starts: &'a [usize], columns: usize) -> Self {
        Self { values, starts, runs: 1, stride: 0, run: columns }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }
}
