//! How long to wait before the next attempt to connect.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses that double from 0.2 s to 30 s. A quarter of each is spread by the site's id, so that a hundred sites do not
/// come back in the same instant.
#[derive(Debug)]
pub(super) struct Backoff {
    attempt: u32,
    spread: u8,
}

impl Backoff {
    pub(super) fn new(spread: u8) -> Self {
        Self { attempt: 0, spread }
    }

    /// A connection that worked: the next pause is short again.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.attempt.min(10)).min(LONGEST);
        self.attempt = self.attempt.saturating_add(1);
        doubled.mul_f64(0.75 + 0.25 * f64::from(self.spread) / 255.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_again() {
        let mut backoff = Backoff::new(255);
        let pauses: Vec<u128> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses[..4], [200, 400, 800, 1600]);
        assert_eq!(pauses[9], 30_000);
        backoff.reset();
        assert_eq!(Backoff::new(0).next().as_millis(), 150);
        assert_eq!(backoff.next().as_millis(), 200);
    }
}
