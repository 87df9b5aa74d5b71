//! Wall-clock times between the standard library, certificates and people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::macros::format_description;

/// `time` in whole seconds as certificates carry it, or `None` outside the years 1970 to 9999.
pub(crate) fn to_certificate_time(time: SystemTime) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// The time `seconds` after (or, when negative, before) 1970, or `None` where this system cannot hold it.
pub(crate) fn from_unix_seconds(seconds: i64) -> Option<SystemTime> {
    let span = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) }
}

/// `time` for people: `2026-11-24 06:42:10 UTC`.
pub(crate) fn text(time: SystemTime) -> String {
    to_certificate_time(time)
        .and_then(|t| t.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC")).ok())
        .unwrap_or_else(|| "a time outside the years 1970 to 9999".to_owned())
}

/// The length of a time for people, in its largest fitting unit: `3 days`, `1 hour`, `20 seconds`.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// The time from `earlier` to `later`, or nothing where they are the other way round.
pub(crate) fn between(earlier: SystemTime, later: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_read_well() {
        assert_eq!(text(UNIX_EPOCH + Duration::from_secs(1_795_502_530)), "2026-11-24 06:42:10 UTC");
        assert_eq!(span(Duration::from_secs(1)), "1 second");
        assert_eq!(span(Duration::from_secs(7_300)), "2 hours");
        assert_eq!(span(Duration::from_secs(86_400 * 3)), "3 days");
    }

    #[test]
    fn times_out_of_range_are_none_and_never_a_panic() {
        assert_eq!(to_certificate_time(UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(to_certificate_time(UNIX_EPOCH + Duration::from_secs(400_000_000_000)), None);
        let _ = from_unix_seconds(i64::MIN);
        let _ = from_unix_seconds(i64::MAX);
        assert_eq!(from_unix_seconds(-5), Some(UNIX_EPOCH - Duration::from_secs(5)));
    }
}
