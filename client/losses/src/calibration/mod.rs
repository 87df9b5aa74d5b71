//! Making a finished classifier's probabilities honest, and measuring how honest they are.

pub mod calibration_error;
pub mod correctness_aware;
pub mod correctness_calibrator;
#[cfg(feature = "golden")]
mod golden;
pub mod temperature_scaling;

pub use calibration_error::calibration_error;
pub use correctness_aware::correctness_aware;
pub use correctness_calibrator::Calibrator;
#[cfg(feature = "golden")]
pub(crate) use golden::GOLDEN;
pub use temperature_scaling::fit_temperature;
