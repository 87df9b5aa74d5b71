//! Bytes as a sequence of decisions.

/// Decisions from bytes, and zeros after them.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u8) -> u8 {
        self.byte() % end.max(1)
    }

    pub(super) fn long(&mut self) -> u64 {
        (0..8).fold(0, |value, _| value << 8 | u64::from(self.byte()))
    }

    /// A float of any kind: small ones mostly, and every pattern of bits.
    pub(super) fn float(&mut self) -> f32 {
        match self.below(4) {
            0 => f32::from_bits((self.long() >> 32) as u32),
            _ => f32::from(self.byte()) - 128.0,
        }
    }
}
