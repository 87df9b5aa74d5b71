//! Where TLS takes the time from when it checks certificates.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

/// Tells the time at each handshake.
pub type Clock = Arc<dyn TimeProvider>;

/// The clock of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(DefaultTimeProvider)
}

/// A clock that stands still at `now`, for tests and for machines in virtual time.
#[must_use]
pub fn fixed_clock(now: SystemTime) -> Clock {
    Arc::new(Fixed(to_unix_time(now)))
}

/// `time` as rustls has it; times before 1970, which no certificate of ours covers, become 1970.
pub(crate) fn to_unix_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[derive(Debug)]
struct Fixed(UnixTime);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}
