//! Which parameters form a block.

use std::ops::Range;

use super::error::AggregateError;

/// The blocks of a flat parameter vector: contiguous ranges that cover it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    ranges: Vec<Range<usize>>,
}

impl Layout {
    /// A layout of blocks with these many parameters each.
    ///
    /// # Errors
    /// [`AggregateError::Layout`] for an empty block or a total that overflows, [`AggregateError::Empty`] without blocks.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Result<Self, AggregateError> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut start = 0usize;
        for (block, length) in lengths.into_iter().enumerate() {
            // A slice of f32 cannot be longer than isize::MAX bytes.
            let end = start.checked_add(length).filter(|end| length > 0 && *end <= isize::MAX as usize / 4);
            let end = end.ok_or(AggregateError::Layout(block))?;
            ranges.push(start..end);
            start = end;
        }
        if ranges.is_empty() { Err(AggregateError::Empty) } else { Ok(Self { ranges }) }
    }

    /// The whole vector as one block.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { ranges: std::iter::once(0..self.parameters()).collect() }
    }

    /// Number of parameters of all blocks.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.ranges.last().map_or(0, |r| r.end)
    }

    /// The range of each block.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Cuts every block into pieces of at most `length`: pairs of (block, range), in order. The pieces depend on the
    /// layout alone, so that sums over them do not depend on the number of threads.
    pub(super) fn pieces(&self, length: usize) -> Vec<(usize, Range<usize>)> {
        let cut = |(block, range): (usize, &Range<usize>)| {
            let range = range.clone();
            range.clone().step_by(length).map(move |at| (block, at..range.end.min(at.saturating_add(length))))
        };
        self.ranges.iter().enumerate().flat_map(cut).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other_and_pieces_stay_inside_them() {
        let layout = Layout::new([5, 1, 4]).unwrap();
        assert_eq!(layout.ranges(), [0..5, 5..6, 6..10]);
        assert_eq!(layout.parameters(), 10);
        assert_eq!(layout.pieces(3), [(0, 0..3), (0, 3..5), (1, 5..6), (2, 6..9), (2, 9..10)]);
        assert_eq!(layout.whole().pieces(100), [(0, 0..10)]);
    }

    #[test]
    fn empty_blocks_and_overflow_are_refused() {
        assert_eq!(Layout::new([3, 0]), Err(AggregateError::Layout(1)));
        assert_eq!(Layout::new([usize::MAX]), Err(AggregateError::Layout(0)));
        assert_eq!(Layout::new([]), Err(AggregateError::Empty));
    }
}
