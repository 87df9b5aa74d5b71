//! What a plan sees in a folder, for a person who prepares data: counts, missing values, ranges, problems.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use synod_common::ids::SiteName;
use synod_common::plan::{Plan, Source};

use super::csv::input_names;
use super::dataset::{Dataset, Inputs};
use super::error::DataError;
use super::load::{Place, read};
use super::targets::Targets;

/// What a plan sees in a folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The format, as the plan names it.
    pub source: &'static str,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Classes of the plan, or numbers that it predicts.
    pub classes: usize,
    /// Each file.
    pub files: Vec<FileReport>,
    /// Samples to train on.
    pub train: Option<PartReport>,
    /// Samples of the central test set.
    pub test: Option<PartReport>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What must be mended before training. Of each file the first problem is found, not all.
    pub problems: Vec<String>,
}

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the plan.
    pub file: String,
    /// Rows read.
    pub rows: u64,
    /// Rows that are samples.
    pub kept: u64,
    /// Rows left out for missing values.
    pub dropped: u64,
    /// Missing cells by column, rows left out included.
    pub missing: BTreeMap<String, u64>,
    /// Why reading ended early.
    pub problem: Option<String>,
}

/// What is in the training samples or in the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartReport {
    /// Samples.
    pub samples: u64,
    /// Samples of each class; a sample with several labels counts for each. Empty in regression.
    pub class_counts: Vec<u64>,
    /// Mean and standard deviation (n-1) of each number to predict, for `task.regression`. Empty for other tasks.
    pub targets: Vec<Spread>,
    /// Samples of each natural site.
    pub sites: BTreeMap<SiteName, u64>,
    /// Range of each named input, or of all inputs together where they have no names.
    pub ranges: Vec<Range>,
}

/// Where the values of a target lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n-1).
    pub std: f64,
}

/// The range of an input before normalisation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The column, `column=level`, or `all inputs`.
    pub input: String,
    /// Smallest value; absent where none is measured.
    pub min: Option<f32>,
    /// Largest value; absent where none is measured.
    pub max: Option<f32>,
    /// Values that are missing.
    pub missing: u64,
}

/// Reads what `plan` names in `folder` and reports it, problems included.
#[must_use]
pub fn check(plan: &Plan, folder: &Path, place: Place) -> Report {
    let mut report = Report {
        source: plan.data.source.name(),
        shape: plan.data.input_shape(),
        classes: plan.task.outputs(),
        files: Vec::new(),
        train: None,
        test: None,
        notes: Vec::new(),
        problems: Vec::new(),
    };
    let mut problems = Vec::new();
    let mut collect = |problem: DataError| {
        problems.push(problem.to_string());
        Ok(())
    };
    match read(plan, folder, place, &mut collect) {
        Err(problem) => problems.push(problem.to_string()),
        Ok(reading) => {
            let part = |data: &Dataset| PartReport::new(plan, data);
            report.train = Some(part(&reading.train));
            report.test = reading.test.as_ref().map(part);
            report.files = reading.files;
            report.notes = reading.notes;
            if reading.train.is_empty() && problems.is_empty() {
                problems.push("there are no training samples".to_owned());
            }
        }
    }
    if let Some(train) = &report.train {
        let absent: Vec<String> = (0..)
            .zip(&train.class_counts)
            .filter(|(_, n)| **n == 0)
            .take(10)
            .map(|(c, _): (u64, _)| c.to_string())
            .collect();
        if !absent.is_empty() && train.samples > 0 {
            report.notes.push(format!("there are no training samples of class {}", absent.join(", ")));
        }
        let unmeasured = train.ranges.iter().filter(|r| r.min.is_none() && r.missing > 0).map(|r| r.input.as_str());
        let unmeasured: Vec<&str> = unmeasured.collect();
        if !unmeasured.is_empty() {
            report.notes.push(format!("never measured here, and read as 0: {}", unmeasured.join(", ")));
        }
    }
    report.problems = problems;
    report
}

impl FileReport {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    /// Of a file all of whose samples are kept.
    pub(super) fn complete(file: &str, samples: usize) -> Self {
        Self { rows: samples as u64, kept: samples as u64, ..Self::new(file) }
    }

    /// What a person should know of the file.
    pub(super) fn note(&self) -> Option<String> {
        if self.missing.is_empty() {
            return None;
        }
        let columns: Vec<String> = self.missing.iter().map(|(column, n)| format!("{column} {n}")).collect();
        let Self { file, rows, dropped, .. } = self;
        Some(format!("{file}: {dropped} of {rows} rows left out; missing values by column: {}", columns.join(", ")))
    }
}

impl PartReport {
    fn new(plan: &Plan, data: &Dataset) -> Self {
        let class_counts = data.targets().class_counts(data.all_rows().into_iter(), plan.task.classes());
        let sites = data.owners().map(|owners| {
            let counts = owners.rows().into_iter().map(|rows| rows.len() as u64);
            owners.names().iter().cloned().zip(counts).collect()
        });
        Self {
            samples: data.len() as u64,
            class_counts,
            targets: spreads(data),
            sites: sites.unwrap_or_default(),
            ranges: ranges(plan, data),
        }
    }
}

fn spreads(data: &Dataset) -> Vec<Spread> {
    let Targets::Numbers(matrix) = data.targets() else { return Vec::new() };
    let rows = matrix.len() as f64;
    let of_output = |output: usize| {
        let values = || (0..matrix.len()).map(|row| f64::from(matrix.row(row)[output]));
        let mean = values().sum::<f64>() / rows.max(1.0);
        let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
        Spread { mean, std: (squares / (rows - 1.0).max(1.0)).sqrt() }
    };
    (0..matrix.width()).map(of_output).collect()
}

fn ranges(plan: &Plan, data: &Dataset) -> Vec<Range> {
    let names = match &plan.data.source {
        Source::Csv(source) => input_names(source),
        Source::Digits | Source::Idx(_) | Source::Npz(_) => vec!["all inputs".to_owned()],
    };
    let mut ranges: Vec<Range> =
        names.into_iter().map(|input| Range { input, min: None, max: None, missing: 0 }).collect();
    let count = ranges.len();
    let mut add = |at: usize, value: f32| {
        let range = &mut ranges[at % count];
        if value.is_nan() {
            range.missing += 1;
        } else {
            range.min = Some(range.min.map_or(value, |min| min.min(value)));
            range.max = Some(range.max.map_or(value, |max| max.max(value)));
        }
    };
    match data.inputs() {
        Inputs::F32(values) => values.iter().enumerate().for_each(|(at, value)| add(at, *value)),
        Inputs::U8(values) => values.iter().enumerate().for_each(|(at, value)| add(at, f32::from(*value))),
    }
    ranges
}
