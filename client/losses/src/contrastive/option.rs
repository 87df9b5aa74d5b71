//! What options of several losses of this family must be together.

use crate::error::ConfigError;

/// Checks that the largest temperature is at least the smallest.
pub(super) fn temperatures(tau_min: f64, tau_max: f64) -> Result<(), ConfigError> {
    if tau_max >= tau_min { Ok(()) } else { Err(ConfigError::new("tau_max", tau_max, "at least `tau_min`")) }
}
