//! Metrics: named numbers about a model on a number of samples, the same for every task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most metrics in one report: enough for per-class values of a hundred classes.
pub const METRICS_MAX: usize = 512;
/// Longest metric name, in bytes.
pub const METRIC_NAME_BYTES_MAX: usize = 64;

/// Named numbers measured on `samples` samples. A value that is undefined there (AUROC with one class, say) is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Samples measured.
    pub samples: u64,
    /// Value by name: `loss`, `accuracy`, `balanced_accuracy`, `macro_f1`, `auroc`, …
    pub values: BTreeMap<String, f64>,
}

impl Metrics {
    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// Whether count, names and values are within their limits (finite values, short names).
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.values.len() <= METRICS_MAX
            && self.values.iter().all(|(name, value)| {
                !name.is_empty()
                    && name.len() <= METRIC_NAME_BYTES_MAX
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'@')
                    && value.is_finite()
            })
    }

    /// The sample-weighted mean of several reports, for each value over the reports that have it. Reports are added in
    /// the order given: sort them first where bits matter.
    ///
    /// For metrics that are means over samples (`accuracy`, `mae`, `ranking_loss`, `precision@k`, an unweighted `loss`)
    /// this is the value of all samples together, and so it is for `rmse`, whose squares are averaged. For the others
    /// (`auroc`, `map`, F1, `r2`, correlations) it is the average site's value, which pooled samples need not have.
    #[must_use]
    pub fn weighted_mean<'a>(reports: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        let mut samples = 0_u64;
        for report in reports {
            samples = samples.saturating_add(report.samples);
            for (name, value) in &report.values {
                let sum = sums.entry(name).or_default();
                let value = if is_root(name) { value * value } else { *value };
                sum.0 += value * report.samples as f64;
                sum.1 += report.samples as f64;
            }
        }
        let mean = |name: &str, sum: (f64, f64)| if is_root(name) { (sum.0 / sum.1).sqrt() } else { sum.0 / sum.1 };
        let values = sums.into_iter().filter(|(_, sum)| sum.1 > 0.0);
        Self { samples, values: values.map(|(name, sum)| (name.to_owned(), mean(name, sum))).collect() }
    }
}

/// Whether the metric is the root of a mean over samples.
fn is_root(name: &str) -> bool {
    name == "rmse"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(samples: u64, values: &[(&str, f64)]) -> Metrics {
        Metrics { samples, values: values.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect() }
    }

    #[test]
    fn means_are_weighted_over_the_reports_that_have_the_value() {
        let mean = Metrics::weighted_mean(&[
            report(1, &[("loss", 1.0), ("auroc", 0.5)]),
            report(3, &[("loss", 2.0)]),
            report(0, &[("other", 9.0)]),
        ]);
        assert_eq!(mean, report(4, &[("loss", 1.75), ("auroc", 0.5)]));
    }

    #[test]
    fn the_root_mean_square_is_that_of_all_samples_together() {
        // Squared errors 9, 9, 9 at one site and 1 at the other.
        let mean = Metrics::weighted_mean(&[report(3, &[("rmse", 3.0)]), report(1, &[("rmse", 1.0)])]);
        assert_eq!(mean.get("rmse"), Some(7_f64.sqrt()));
    }

    #[test]
    fn unsound_metrics_are_seen() {
        assert!(report(1, &[("loss", 1.0)]).is_sound());
        assert!(!report(1, &[("loss", f64::NAN)]).is_sound());
        assert!(!report(1, &[("Bad Name", 1.0)]).is_sound());
    }
}
