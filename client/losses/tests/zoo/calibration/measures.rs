//! Calibration errors and temperatures, by hand and by their laws.

use burn::tensor::{Device, Int, Tensor};
use synod_losses::calibration::calibration_error::{self, Binning, calibration_error};
use synod_losses::calibration::temperature_scaling::{self, fit_temperature};
use synod_losses::classification::cross_entropy::{self, cross_entropy};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, leaf, noise, numbers};

fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(labels, &Device::flex().autodiff())
}

/// Two classes with these probabilities of the first.
fn logits(probabilities: &[f64]) -> Tensor<2> {
    let rows: Vec<f64> = probabilities.iter().flat_map(|p| [p.ln(), (1.0 - p).ln()]).collect();
    leaf(&rows, [probabilities.len(), 2])
}

#[test]
fn bins_by_hand() {
    let (logits, labels) = (logits(&[0.9, 0.85, 0.55, 0.3]), labels(&[0, 1, 0, 1]));
    let width = calibration_error::Config::default().with_bins(5);
    let found = calibration_error(&logits, &labels, &width).unwrap();
    // Confidences 0.55; 0.7; 0.85 and 0.9, right, right, wrong and right.
    assert_close("equal width", &[found.error], &[(0.45 + 0.3 + 2.0 * 0.375) / 4.0], 1e-9);
    assert_eq!(found.bins.iter().map(|bin| bin.samples).collect::<Vec<_>>(), [1, 1, 2]);
    let mass = width.with_bins(2).with_binning(Binning::EqualMass);
    let found = calibration_error(&logits, &labels, &mass).unwrap();
    assert_close("equal mass", &[found.error], &[(2.0 * 0.375 + 2.0 * 0.375) / 4.0], 1e-9);
    assert_close("accuracy", &[found.bins[0].accuracy, found.bins[1].accuracy], &[1.0, 0.5], 1e-12);
}

#[test]
fn laws_of_the_errors() {
    let (rows, classes) = (noise(90, 1), (0..30).map(|row| row % 3).collect::<Vec<i64>>());
    for binning in [Binning::EqualWidth, Binning::EqualMass] {
        let with = |bins: usize| {
            let config = calibration_error::Config::default().with_bins(bins).with_binning(binning);
            calibration_error(&leaf(&rows, [30, 3]), &labels(&classes), &config).unwrap()
        };
        // Finer bins, which divide coarser ones, never make the error smaller.
        for (coarse, fine) in [(1, 5), (5, 10), (1, 30)] {
            assert!(with(coarse).error <= with(fine).error + 1e-12, "{binning:?}: {coarse} and {fine}");
        }
        assert_eq!(with(7).bins.iter().map(|bin| bin.samples).sum::<usize>(), 30);
        assert!((0.0..=1.0).contains(&with(10_000).error));
    }
    let mass = calibration_error::Config::default().with_bins(7).with_binning(Binning::EqualMass);
    let found = calibration_error(&leaf(&rows, [30, 3]), &labels(&classes), &mass).unwrap();
    assert!(found.bins.iter().all(|bin| (4..=5).contains(&bin.samples)));
}

#[test]
fn the_temperature_is_the_best_in_its_range() {
    let (rows, classes) = (noise(90, 2), (0..30).map(|row| row % 3).collect::<Vec<i64>>());
    let rows: Vec<f64> =
        rows.iter().enumerate().map(|(i, x)| x + if i % 3 == (i / 3) % 3 { 0.4 } else { 0.0 }).collect();
    let fit = fit_temperature(&leaf(&rows, [30, 3]), &labels(&classes), &Default::default()).unwrap();
    let likelihood = |temperature: f64| {
        let scaled = leaf(&rows, [30, 3]) / temperature;
        numbers(cross_entropy(scaled, labels(&classes), &cross_entropy::Config::default()).unwrap().mean())[0]
    };
    for factor in [0.5, 0.99, 1.01, 2.0] {
        assert!(likelihood(fit) < likelihood(fit * factor), "{fit} and {factor}");
    }
    let scaled: Vec<f64> = rows.iter().map(|logit| logit * 7.0).collect();
    let of_scaled = fit_temperature(&leaf(&scaled, [30, 3]), &labels(&classes), &Default::default()).unwrap();
    assert_close("scale", &[of_scaled], &[7.0 * fit], 1e-9);
}

#[test]
fn the_ends_of_the_range_come_out_where_there_is_no_best_temperature() {
    let config = temperature_scaling::Config::default().with_t_min(0.2).with_t_max(5.0);
    let fit = |rows: &[f64], label: i64| fit_temperature(&leaf(rows, [1, 2]), &labels(&[label]), &config).unwrap();
    assert_close("always right", &[fit(&[1e3, -1e3], 0)], &[0.2], 1e-9);
    assert_close("always wrong", &[fit(&[1e3, -1e3], 1)], &[5.0], 1e-9);
}

#[test]
fn what_does_not_fit_is_refused() {
    let one = logits(&[0.5]);
    let error = calibration_error(&one, &labels(&[2]), &Default::default()).unwrap_err();
    assert!(matches!(error, LossError::Label { label: 2, .. }));
    let broken = leaf(&[f64::NAN, 0.0], [1, 2]);
    assert!(matches!(calibration_error(&broken, &labels(&[0]), &Default::default()), Err(LossError::NotFinite { .. })));
    assert!(matches!(fit_temperature(&broken, &labels(&[0]), &Default::default()), Err(LossError::NotFinite { .. })));
    let none = one.slice([0..0, 0..2]);
    let empty = fit_temperature(&none, &labels(&[0]).slice(0..0), &Default::default());
    assert!(matches!(empty, Err(LossError::EmptyBatch { .. })));
    assert!(calibration_error::Config::default().with_bins(0).validate().is_err());
    assert!(calibration_error::Config::default().with_bins(10_001).validate().is_err());
    assert!(temperature_scaling::Config::default().with_t_min(200.0).validate().is_err());
}
