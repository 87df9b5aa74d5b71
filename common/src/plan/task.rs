//! The `[task]` section: what the model is for.

use serde::Serialize;

use super::reader::Section;
use crate::metrics::Metrics;

/// Most classes of a classification.
pub const CLASSES_MAX: u32 = 100_000;
/// Most labels of a multi-label task: each sample has a number for every one of them.
pub const LABELS_MAX: u32 = 10_000;
/// Most numbers that a regression predicts for a sample.
pub const OUTPUTS_MAX: u32 = 1_000;

/// What the model is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of `classes` classes for each sample.
    Classification {
        /// Number of classes, at least 2.
        classes: u32,
    },
    /// Any number of `classes` classes for each sample.
    MultiLabel {
        /// Number of classes, at least 1.
        classes: u32,
    },
    /// One or more real numbers for each sample.
    Regression {
        /// How many numbers.
        outputs: u32,
        /// What is subtracted from each target before training; metrics are in the targets' own unit.
        mean: Vec<f64>,
        /// What each target is divided by then, above 0.
        std: Vec<f64>,
    },
}

/// A metric that people look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headline {
    /// Its name among the [`Metrics`].
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Which way is better.
    pub better: Better,
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// High ones.
    Higher,
    /// Low ones.
    Lower,
}

impl Headline {
    const fn new(name: &'static str, title: &'static str, better: Better) -> Self {
        Self { name, title, better }
    }

    /// The first headline of whichever task these metrics are of, with its value.
    #[must_use]
    pub fn of(metrics: &Metrics) -> Option<(Self, f64)> {
        [ACCURACY, MEAN_AVERAGE_PRECISION, RMSE].into_iter().find_map(|line| Some((line, metrics.get(line.name)?)))
    }

    /// Whether `a` is better than `b`.
    #[must_use]
    pub fn prefers(&self, a: f64, b: f64) -> bool {
        match self.better {
            Better::Higher => a > b,
            Better::Lower => a < b,
        }
    }
}

const ACCURACY: Headline = Headline::new("accuracy", "accuracy", Better::Higher);
const MEAN_AVERAGE_PRECISION: Headline = Headline::new("map", "mean average precision", Better::Higher);
const RMSE: Headline = Headline::new("rmse", "RMSE", Better::Lower);

const TASKS: &[&str] = &["classification", "multi_label", "regression"];

impl Task {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Classification { .. } => "classification",
            Self::MultiLabel { .. } => "multi_label",
            Self::Regression { .. } => "regression",
        }
    }

    /// Classes, or numbers to predict, of one sample. A model may have more outputs, where its loss needs them.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classification { classes } | Self::MultiLabel { classes } => *classes as usize,
            Self::Regression { outputs, .. } => *outputs as usize,
        }
    }

    /// Classes of the task; 0 where it has none.
    #[must_use]
    pub fn classes(&self) -> usize {
        match self {
            Self::Classification { classes } | Self::MultiLabel { classes } => *classes as usize,
            Self::Regression { .. } => 0,
        }
    }

    /// The metrics that people look at first, the most telling one first.
    #[must_use]
    pub fn headlines(&self) -> [Headline; 2] {
        match self {
            Self::Classification { .. } => {
                [ACCURACY, Headline::new("balanced_accuracy", "balanced accuracy", Better::Higher)]
            }
            Self::MultiLabel { .. } => [MEAN_AVERAGE_PRECISION, Headline::new("micro_f1", "micro F1", Better::Higher)],
            Self::Regression { .. } => [RMSE, Headline::new("r2", "R²", Better::Higher)],
        }
    }

    /// The loss of a plan that names none.
    #[must_use]
    pub fn default_loss(&self) -> &'static str {
        match self {
            Self::Classification { .. } => "cross_entropy",
            Self::MultiLabel { .. } => "binary_cross_entropy",
            Self::Regression { .. } => "mse",
        }
    }

    pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        if !root.has("task") {
            root.problem(
                "",
                "`task` is missing: what the model is for",
                Some("add [task.classification] with classes = N, [task.multi_label] or [task.regression]"),
            );
        }
        let choice = root.choice("task")?;
        // The literature writes it with a hyphen.
        let name = choice.name.replace('-', "_");
        if !TASKS.contains(&name.as_str()) {
            choice.unknown("task", TASKS);
            return None;
        }
        let mut s = choice.options;
        let task = match name.as_str() {
            "regression" => Some(read_regression(&mut s)),
            "multi_label" => read_classes(&mut s, 1, LABELS_MAX).map(|classes| Self::MultiLabel { classes }),
            _ => read_classes(&mut s, 2, CLASSES_MAX).map(|classes| Self::Classification { classes }),
        };
        s.finish();
        task
    }
}

fn read_classes(s: &mut Section<'_, '_>, min: u32, max: u32) -> Option<u32> {
    let given = s.has("classes");
    if !given {
        s.problem("", "`classes` is missing: how many classes there are", Some("add classes = N"));
    }
    let classes = s.number("classes", min.max(2), min..=max);
    given.then_some(classes)
}

fn read_regression(s: &mut Section<'_, '_>) -> Task {
    let outputs = s.number("outputs", 1, 1..=OUTPUTS_MAX);
    let count = outputs as usize;
    let mean: Vec<f64> = s.or("mean", vec![0.0; count]);
    let std: Vec<f64> = s.or("std", vec![1.0; count]);
    let sound = mean.len() == count
        && std.len() == count
        && mean.iter().chain(&std).all(|value| value.is_finite())
        && std.iter().all(|value| *value > 0.0);
    if !sound {
        s.problem(
            "",
            format!("`mean` and `std` are lists of {count} finite numbers, one for each output, and `std` is above 0"),
            Some("about the mean and the standard deviation of each target is right; they need not be exact"),
        );
    }
    Task::Regression { outputs, mean, std }
}
