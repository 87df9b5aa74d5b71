//! What options of several losses of this family must be together.

use crate::error::ConfigError;
use crate::option::require;

/// Checks that the largest temperature is at least the smallest.
pub(super) fn temperatures(tau_min: f64, tau_max: f64) -> Result<(), ConfigError> {
    require("tau_max", tau_max, tau_max >= tau_min, "at least `tau_min`")
}
