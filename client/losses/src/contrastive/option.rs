//! Ranges of options that several losses of this family have.

use crate::error::ConfigError;

/// A finite number above 0.
pub(super) fn positive(option: &'static str, value: f64) -> Result<(), ConfigError> {
    accept(value.is_finite() && value > 0.0, option, value, "a finite number above 0")
}

/// A finite number of at least 0.
pub(super) fn not_negative(option: &'static str, value: f64) -> Result<(), ConfigError> {
    accept(value.is_finite() && value >= 0.0, option, value, "a finite number of at least 0")
}

/// A number above 0 and at most 1.
pub(super) fn fraction(option: &'static str, value: f64) -> Result<(), ConfigError> {
    accept(value > 0.0 && value <= 1.0, option, value, "a number above 0 and at most 1")
}

/// A number from 0 to 1.
pub(super) fn unit_interval(option: &'static str, value: f64) -> Result<(), ConfigError> {
    accept((0.0..=1.0).contains(&value), option, value, "a number from 0 to 1")
}

/// Limits of a temperature: `0 < tau_min <= tau_max`, both finite.
pub(super) fn temperatures(tau_min: f64, tau_max: f64) -> Result<(), ConfigError> {
    positive("tau_min", tau_min)?;
    accept(tau_max.is_finite() && tau_max >= tau_min, "tau_max", tau_max, "a finite number of at least tau_min")
}

/// A finite number.
pub(super) fn finite(option: &'static str, value: f64) -> Result<(), ConfigError> {
    accept(value.is_finite(), option, value, "a finite number")
}

fn accept(holds: bool, option: &'static str, value: f64, allowed: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(option, value, allowed)) }
}
