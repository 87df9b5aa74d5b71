//! Calibration: losses, the calibrator, errors and temperatures.

mod correctness;
mod measures;
