//! The `[data]` section: how samples are written at a site and how they become numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::reader::Section;
use super::task::Task;

/// Most values of one sample: a 3 x 4096 x 4096 image.
pub const INPUT_VALUES_MAX: usize = 3 * 4096 * 4096;
/// Most columns of a CSV file that a plan may name.
pub const COLUMNS_MAX: usize = 10_000;

/// Attributes of the built-in digits in a multi-label task.
pub const DIGIT_ATTRIBUTES: usize = 5;

/// How samples are written and become numbers; the same at every site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataPlan {
    /// Share of all samples set aside for the central test set where the source names no test files: 0 to 0.9.
    pub test_fraction: f64,
    /// Share of a site's samples held out for its own evaluation: 0 to 0.9.
    pub holdout: f64,
    /// Where samples come from and in which format.
    pub source: Source,
    /// How raw values become model inputs.
    pub normalise: Normalise,
}

/// The format of the samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The UCI digits inside the binary: 1,797 images of `[1, 8, 8]`, values 0 to 16, ten classes. For the other tasks
    /// targets are derived from the digit: five attributes (even, prime, at least five, drawn with a closed loop as 0, 6,
    /// 8 and 9 are, a multiple of three), or the digit as a number.
    Digits,
    /// IDX files (plain or gzip), one of images or vectors and one of labels.
    Idx(IdxSource),
    /// Comma-separated text (plain or gzip).
    Csv(CsvSource),
    /// NumPy archives.
    Npz(NpzSource),
}

impl Source {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Idx(_) => "idx",
            Self::Csv(_) => "csv",
            Self::Npz(_) => "npz",
        }
    }
}

/// IDX files. Paths are relative to the data folder of the machine that reads them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdxSource {
    /// File of samples.
    pub images: String,
    /// File of labels.
    pub labels: String,
    /// Samples of the central test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_images: Option<String>,
    /// Labels of the central test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_labels: Option<String>,
    /// Shape of one sample, like `[1, 28, 28]`; its product must be the file's.
    pub shape: Vec<usize>,
}

/// NumPy archives. Paths are relative to the data folder of the machine that reads them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NpzSource {
    /// The archive.
    pub file: String,
    /// Name of the array of samples, `[samples, …]`, f32, f64 or u8.
    pub inputs: String,
    /// Name of the array of targets: classes `[samples]` of any integer type; for several labels `[samples, classes]`
    /// of 0 and 1, integers or booleans; for numbers `[samples]` or `[samples, outputs]`, f32 or f64.
    pub labels: String,
    /// Name of the array of samples of the central test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_inputs: Option<String>,
    /// Name of the array of labels of the central test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_labels: Option<String>,
    /// Shape of one sample; its product must be the array's.
    pub shape: Vec<usize>,
}

/// Comma-separated text. Paths are relative to the data folder of the machine that reads them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CsvSource {
    /// The files; each row of each file is a sample. With the partition `natural` and no `site_column`, each file is a
    /// site named after the file.
    pub files: Vec<String>,
    /// Files of the central test set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test_files: Vec<String>,
    /// One character between fields.
    pub delimiter: char,
    /// Names of the columns where the files have no heading line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Lines that begin with this character are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// The column with the class; empty where `targets` are named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The columns with a 0 or 1 for each class (multi-label) or with the numbers to predict (regression).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The texts that stand for class 0, class 1, … Empty: labels are the class numbers themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_values: Vec<Vec<String>>,
    /// Columns read as numbers, in this order.
    pub numeric: Vec<String>,
    /// Columns read as categories, with their levels: one input a level (one-hot).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub categorical: BTreeMap<String, Vec<String>>,
    /// Texts that mean "not measured".
    pub missing: Vec<String>,
    /// What to do with a row that has a missing value.
    pub on_missing: OnMissing,
    /// Column with the site's name, for the partition `natural`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_column: Option<String>,
    /// Column that says which part a row belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_column: Option<String>,
    /// The text in `split_column` that marks a test row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_test: Option<String>,
}

impl CsvSource {
    /// Inputs of one sample: numeric columns and levels of categorical columns.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.numeric.len() + self.categorical.values().map(Vec::len).sum::<usize>()
    }
}

/// What to do with a row that has a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Stop and name the line.
    Error,
    /// Leave the row out; how many is reported.
    Drop,
    /// A numeric value becomes the mean of the site's training rows; a category becomes all zeros.
    Mean,
}

/// How raw values become model inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// As they are.
    None,
    /// Divided by a constant.
    Divide {
        /// The divisor, above 0: 255 for bytes.
        by: f64,
    },
    /// Per input: minus mean, divided by standard deviation (n-1), both of the training samples. One-hot inputs too.
    Standard {
        /// Whose training samples.
        fit: Fit,
    },
    /// Per input or per channel: minus `mean`, divided by `std`.
    Given {
        /// One value, one per channel, or one per input.
        mean: Vec<f64>,
        /// As many as `mean`; above 0.
        std: Vec<f64>,
    },
}

/// Whose training samples a normalisation is fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Each site's own: nothing leaves the site. A central test set is normalised by all sites' samples together.
    Site,
    /// All sites' together: in simulations only, since a site sees its own samples alone.
    Pooled,
}

impl DataPlan {
    /// Shape of one sample as the model sees it.
    #[must_use]
    pub fn input_shape(&self) -> Vec<usize> {
        match &self.source {
            Source::Digits => vec![1, 8, 8],
            Source::Idx(idx) => idx.shape.clone(),
            Source::Npz(npz) => npz.shape.clone(),
            Source::Csv(csv) => vec![csv.inputs()],
        }
    }

    /// Values of one sample.
    #[must_use]
    pub fn input_values(&self) -> usize {
        self.input_shape().iter().product()
    }

    /// Whether sites may have test samples of their own, marked in their files.
    #[must_use]
    pub fn has_own_test(&self) -> bool {
        match &self.source {
            Source::Csv(csv) => csv.split_column.is_some(),
            Source::Digits | Source::Idx(_) | Source::Npz(_) => false,
        }
    }

    pub(super) fn read(section: Option<Section<'_, '_>>, task: Option<&Task>) -> Option<Self> {
        let mut section = section?;
        let test_fraction = section.number("test_fraction", 0.2, 0.0..=0.9);
        let holdout = section.number("holdout", 0.2, 0.0..=0.9);
        let source = read_source(&mut section, task);
        let normalise = source.as_ref().map(|source| read_normalise(&mut section, source));
        if source.is_none() {
            // Its keys are fine, only their reader is missing.
            let _ = section.choice("normalise");
        }
        section.finish();
        Some(Self { test_fraction, holdout, source: source?, normalise: normalise? })
    }
}

const SOURCES: &[&str] = &["digits", "idx", "csv", "npz"];

fn read_source(section: &mut Section<'_, '_>, task: Option<&Task>) -> Option<Source> {
    if !section.has("source") {
        section.problem(
            "",
            "`source` is missing: where samples come from",
            Some("add [data.source.csv], [data.source.idx], [data.source.npz] or source = \"digits\""),
        );
    }
    let choice = section.choice("source")?;
    match choice.name.as_str() {
        "digits" => {
            choice.options.finish();
            Some(Source::Digits)
        }
        "idx" => read_idx(choice.options).map(Source::Idx),
        "csv" => read_csv(choice.options, task).map(Source::Csv),
        "npz" => read_npz(choice.options).map(Source::Npz),
        _ => {
            choice.unknown("data source", SOURCES);
            None
        }
    }
}

fn read_shape(s: &mut Section<'_, '_>) -> Option<Vec<usize>> {
    let shape: Vec<usize> = s.required("shape", "the shape of one sample, like [1, 28, 28]")?;
    let values = shape.iter().fold(1_usize, |n, d| n.saturating_mul(*d));
    if shape.is_empty() || shape.len() > 3 || values == 0 || values > INPUT_VALUES_MAX {
        s.problem(
            "shape",
            format!("`shape` is {shape:?}: one to three dimensions (channels, height, width), each at least 1, at most {INPUT_VALUES_MAX} values"),
            None,
        );
        return None;
    }
    Some(shape)
}

fn both_or_none(s: &Section<'_, '_>, a: (&str, bool), b: (&str, bool)) {
    if a.1 != b.1 {
        s.problem("", format!("`{}` and `{}` go together, one of them is missing", a.0, b.0), None);
    }
}

fn read_idx(mut s: Section<'_, '_>) -> Option<IdxSource> {
    let images = s.required("images", "the file of samples");
    let labels = s.required("labels", "the file of labels");
    let test_images: Option<String> = s.optional("test_images");
    let test_labels: Option<String> = s.optional("test_labels");
    both_or_none(&s, ("test_images", test_images.is_some()), ("test_labels", test_labels.is_some()));
    let shape = read_shape(&mut s);
    s.finish();
    Some(IdxSource { images: images?, labels: labels?, test_images, test_labels, shape: shape? })
}

fn read_npz(mut s: Section<'_, '_>) -> Option<NpzSource> {
    let file = s.required("file", "the .npz archive");
    let inputs = s.or("inputs", "x".to_owned());
    let labels = s.or("labels", "y".to_owned());
    let test_inputs: Option<String> = s.optional("test_inputs");
    let test_labels: Option<String> = s.optional("test_labels");
    both_or_none(&s, ("test_inputs", test_inputs.is_some()), ("test_labels", test_labels.is_some()));
    let shape = read_shape(&mut s);
    s.finish();
    Some(NpzSource { file: file?, inputs, labels, test_inputs, test_labels, shape: shape? })
}

/// The column with the class, or the columns of the targets, as the task needs.
fn read_targets(s: &mut Section<'_, '_>, task: Option<&Task>) -> (Option<String>, Vec<String>) {
    let what = match task {
        // The task is wrong and has been reported; what it needs is not known.
        None => return (s.optional("label"), s.or("targets", Vec::new())),
        Some(Task::Classification { .. }) => return (s.required("label", "the column with the label"), Vec::new()),
        Some(Task::MultiLabel { .. }) => "the columns with a 0 or 1 for each class",
        Some(Task::Regression { .. }) => "the columns with the numbers to predict",
    };
    let given = s.has("targets");
    let targets: Vec<String> = s.required("targets", what).unwrap_or_default();
    let outputs = task.map_or(0, Task::outputs);
    if given && targets.len() != outputs {
        let message = format!("`targets` names {} columns, the task has {outputs} outputs", targets.len());
        s.problem("targets", message, Some("name one column for each class or number"));
    }
    (None, targets)
}

fn read_csv(mut s: Section<'_, '_>, task: Option<&Task>) -> Option<CsvSource> {
    let files: Vec<String> = s.required("files", "the files, like [\"site.csv\"]").unwrap_or_default();
    let test_files = s.or("test_files", Vec::new());
    let delimiter: char = s.or("delimiter", ',');
    let columns: Vec<String> = s.or("columns", Vec::new());
    let comment: Option<char> = s.optional("comment");
    let (label, targets) = read_targets(&mut s, task);
    let label_values: Vec<Vec<String>> = s.or("label_values", Vec::new());
    let numeric: Vec<String> = s.or("numeric", Vec::new());
    let categorical: BTreeMap<String, Vec<String>> = s.or("categorical", BTreeMap::new());
    let missing = s.or("missing", vec![String::new(), "?".to_owned(), "NA".to_owned()]);
    let on_missing = s.or("on_missing", OnMissing::Error);
    let site_column: Option<String> = s.optional("site_column");
    let split_column: Option<String> = s.optional("split_column");
    let split_test: Option<String> = s.optional("split_test");
    both_or_none(&s, ("split_column", split_column.is_some()), ("split_test", split_test.is_some()));
    for (key, character) in [("delimiter", Some(delimiter)), ("comment", comment)] {
        if let Some(character) = character.filter(|character| !character.is_ascii()) {
            s.problem(key, format!("`{key}` is {character:?}, it is one ASCII character"), None);
        }
    }
    let mut used = std::collections::BTreeSet::new();
    for name in
        numeric.iter().chain(categorical.keys()).chain(&label).chain(&targets).chain(&site_column).chain(&split_column)
    {
        if !used.insert(name) {
            s.problem("", format!("column `{name}` is named twice"), Some("a column has one role"));
        }
        if !columns.is_empty() && !columns.contains(name) {
            s.problem("columns", format!("column `{name}` is not among `columns`"), None);
        }
    }
    for (name, levels) in &categorical {
        if levels.is_empty() {
            s.problem(
                "categorical",
                format!("column `{name}` has no levels"),
                Some("list its values: sites encode alike only if the plan says how"),
            );
        }
    }
    let source = CsvSource {
        files,
        test_files,
        delimiter,
        columns,
        comment,
        label: label.unwrap_or_default(),
        targets,
        label_values,
        numeric,
        categorical,
        missing,
        on_missing,
        site_column,
        split_column,
        split_test,
    };
    if source.inputs() == 0 || source.inputs() > COLUMNS_MAX {
        s.problem(
            "",
            format!("the plan names {} inputs, it needs 1 to {COLUMNS_MAX}", source.inputs()),
            Some("list columns in `numeric` or `categorical`"),
        );
    }
    s.finish();
    Some(source)
}

const NORMALISATIONS: &[&str] = &["none", "divide", "standard", "given"];

fn read_normalise(section: &mut Section<'_, '_>, source: &Source) -> Normalise {
    let default = match source {
        Source::Digits => Normalise::Divide { by: 16.0 },
        Source::Idx(_) => Normalise::Divide { by: 255.0 },
        Source::Csv(_) => Normalise::Standard { fit: Fit::Site },
        Source::Npz(_) => Normalise::None,
    };
    let Some(choice) = section.choice("normalise") else { return default };
    let name = choice.name.clone();
    let mut s = match name.as_str() {
        "none" | "divide" | "standard" | "given" => choice.options,
        _ => {
            choice.unknown("normalisation", NORMALISATIONS);
            return default;
        }
    };
    let normalise = match name.as_str() {
        "divide" => Normalise::Divide { by: s.number("by", 255.0, 1e-9..=1e12) },
        "standard" => Normalise::Standard { fit: s.or("fit", Fit::Site) },
        "given" => {
            let mean: Vec<f64> =
                s.required("mean", "one number, one per channel, or one per input").unwrap_or_default();
            let std: Vec<f64> = s.required("std", "as many numbers as `mean`").unwrap_or_default();
            if mean.is_empty()
                || mean.len() != std.len()
                || !mean.iter().chain(&std).all(|v| v.is_finite())
                || std.iter().any(|v| *v <= 0.0)
            {
                s.problem("", "`mean` and `std` are equally long lists of finite numbers, and `std` is above 0", None);
            }
            Normalise::Given { mean, std }
        }
        _ => Normalise::None,
    };
    s.finish();
    normalise
}
