//! The simulator's only look at a clock: for durations in reports, never for decisions.
#![expect(clippy::disallowed_methods, reason = "measures how long things take, for reports only")]

use std::sync::OnceLock;
use std::time::Instant;

/// Milliseconds since the first call.
pub(super) fn millis() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}
