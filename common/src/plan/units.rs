//! Durations as plans write them: `"30s"`, `"10m"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest duration a plan may name: 30 days. More is a typing error, not a round.
pub const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A duration with its unit in the text: `"250ms"`, `"30s"`, `"10m"`, `"2h"`. Whole milliseconds, at most 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanDuration(u64);

impl PlanDuration {
    /// From milliseconds; more than [`DURATION_MAX`] becomes that.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        let max = DURATION_MAX.as_secs() * 1000;
        Self(if ms > max { max } else { ms })
    }

    /// From seconds; more than [`DURATION_MAX`] becomes that.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As a standard duration.
    #[must_use]
    pub const fn to_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for PlanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.to_duration()).fmt(f)
    }
}

impl Serialize for PlanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = PlanDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, like \"30s\" or \"10m\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PlanDuration, E> {
                let duration = humantime::parse_duration(text).map_err(|e| {
                    E::custom(format!("{text:?} is no duration ({e}); write it like \"30s\" or \"10m\""))
                })?;
                if duration > DURATION_MAX {
                    return Err(E::custom(format!("{text:?} is longer than 30 days")));
                }
                Ok(PlanDuration(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
