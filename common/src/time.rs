//! Time as the deciding parts know it: a number that they are given, never a clock that they read.

/// A time on a monotonic clock, in milliseconds since its driver began: the run's for the coordinator, the process's for a
/// client. It says nothing outside of that life; what must outlive a restart is kept as time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// `ms` later.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
