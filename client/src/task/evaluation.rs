//! Gathers what is needed for every metric of a task while batches of outputs pass by.

use std::collections::BTreeMap;

use synod_common::metrics::Metrics;
use synod_common::plan::Task;
use synod_losses::{LossConfig, LossError};

use super::{classification, multilabel, regression};

/// Most outputs kept for metrics that need all of them at once: 64 MiB, 160,000 samples of a hundred classes. Above that
/// these metrics are absent.
pub(super) const OUTPUTS_KEPT_MAX: usize = 1 << 24;

/// Metrics of a model on samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// `loss` and the metrics of the task, each where it is defined.
    pub metrics: Metrics,
    /// `[true class][predicted class]`, in a classification of up to a hundred classes.
    pub confusion: Option<Vec<Vec<u64>>>,
}

impl Evaluation {
    pub(super) fn new<'n>(
        samples: u64,
        named: impl IntoIterator<Item = (&'n str, Option<f64>)>,
        confusion: Option<Vec<Vec<u64>>>,
    ) -> Self {
        let values: BTreeMap<_, _> =
            named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Self { metrics: Metrics { samples, values }, confusion }
    }
}

/// Gathers outputs and targets.
#[derive(Debug)]
pub(crate) enum Tally<'a> {
    Classification(classification::Tally<'a>),
    MultiLabel(multilabel::Tally<'a>),
    Regression(regression::Tally<'a>),
}

impl<'a> Tally<'a> {
    pub(crate) fn new(task: &'a Task, loss: &'a LossConfig) -> Self {
        match task {
            Task::Classification { .. } => Self::Classification(classification::Tally::new(task.outputs(), loss)),
            Task::MultiLabel { .. } => Self::MultiLabel(multilabel::Tally::new(task.outputs(), loss)),
            Task::Regression { mean, std, .. } => Self::Regression(regression::Tally::new(mean, std, loss)),
        }
    }

    /// Adds samples: finite `outputs: [samples, …]` of the model, and their labels in a classification (each below the
    /// number of classes), or else rows of `targets`.
    pub(crate) fn add(&mut self, outputs: &[f32], labels: &[i64], targets: &[f32]) -> Result<(), LossError> {
        match self {
            Self::Classification(tally) => tally.add(outputs, labels),
            Self::MultiLabel(tally) => tally.add(outputs, targets),
            Self::Regression(tally) => tally.add(outputs, targets),
        }
    }

    pub(crate) fn finish(self) -> Evaluation {
        match self {
            Self::Classification(tally) => tally.finish(),
            Self::MultiLabel(tally) => tally.finish(),
            Self::Regression(tally) => tally.finish(),
        }
    }
}
