//! The choices.

use super::super::error::AggregateError;
use super::super::layout::Layout;

/// How principal-gradient aggregation is done. The default is the released code's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Principal {
    /// How many directions are kept.
    pub keep: Keep,
    /// Which way a client's share of a direction points.
    pub orientation: Orientation,
    /// How long the result is.
    pub norm: NormRule,
    /// What is decomposed.
    pub scope: Scope,
}

/// The fraction of principal directions that is kept, in `(0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keep(f64);

impl Keep {
    /// # Errors
    /// [`AggregateError::Keep`] outside `(0, 1]`.
    pub fn new(fraction: f64) -> Result<Self, AggregateError> {
        if fraction > 0.0 && fraction <= 1.0 { Ok(Self(fraction)) } else { Err(AggregateError::Keep(fraction)) }
    }

    /// The number of directions kept of `updates`: `max(1, floor(updates * keep))`.
    #[must_use]
    pub fn directions(self, updates: usize) -> usize {
        // 10 * 0.7 is a little less than 7 in floating point.
        ((updates as f64 * self.0 + 1e-9).floor() as usize).max(1)
    }
}

impl Default for Keep {
    /// 0.8, as published.
    fn default() -> Self {
        Self(0.8)
    }
}

/// Which way a client's share of a principal direction points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// To the client's own side: `o_ij = sign(<g_i, w_j>)`. What the released code computes.
    #[default]
    Own,
    /// To the side of the majority, for every client. What the paper's text describes. The vote is by shares, so that
    /// every client has one vote where shares are equal. A tied vote is decided by the side of the mean update; a
    /// direction orthogonal to that, too, has no side and is left out.
    Majority,
}

/// How long the result is. Signs that differ between clients cancel, which makes the released rule's result short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NormRule {
    /// As the formula has it.
    #[default]
    AsReleased,
    /// As long as the mean of the updates.
    Mean,
    /// The mean of the updates' lengths. A result that is zero up to rounding stays as it is, here and in `Mean`.
    MeanOfNorms,
}

/// What is decomposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Every block by itself.
    #[default]
    Block,
    /// The whole model as one block.
    Whole,
}

impl Scope {
    /// The blocks to compute Gram matrices of.
    #[must_use]
    pub fn blocks(self, layout: &Layout) -> Layout {
        match self {
            Self::Block => layout.clone(),
            Self::Whole => layout.whole(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_direction_is_kept_and_rounding_does_not_lose_one() {
        let kept = |keep: f64, m| Keep::new(keep).unwrap().directions(m);
        assert_eq!(
            [kept(0.8, 5), kept(0.8, 10), kept(0.7, 10), kept(0.8, 1), kept(0.1, 3), kept(1.0, 7)],
            [4, 8, 7, 1, 1, 7]
        );
        for bad in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Keep::new(bad).is_err());
        }
    }
}
