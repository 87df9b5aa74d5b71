//! Ranges of options that several losses of this family have.

use crate::error::ConfigError;
use crate::option::{positive, require};

/// A number above 0 and at most 1.
pub(super) fn fraction(option: &'static str, value: f64) -> Result<(), ConfigError> {
    require(option, value, value > 0.0 && value <= 1.0, "a number above 0 and at most 1")
}

/// A number from 0 to 1.
pub(super) fn unit_interval(option: &'static str, value: f64) -> Result<(), ConfigError> {
    require(option, value, (0.0..=1.0).contains(&value), "a number from 0 to 1")
}

/// Limits of a temperature: `0 < tau_min <= tau_max`, both finite.
pub(super) fn temperatures(tau_min: f64, tau_max: f64) -> Result<(), ConfigError> {
    positive("tau_min", tau_min)?;
    require("tau_max", tau_max, tau_max.is_finite() && tau_max >= tau_min, "a finite number of at least tau_min")
}

/// A finite number.
pub(super) fn finite(option: &'static str, value: f64) -> Result<(), ConfigError> {
    require(option, value, value.is_finite(), "a finite number")
}
