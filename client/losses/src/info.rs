//! What the zoo knows about each loss, for listings, documentation and tests.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::ConfigError;

/// What every configuration in the zoo can do; the registry is built on it.
pub trait Objective: Default + Clone + PartialEq + Serialize + DeserializeOwned {
    /// What is known about it.
    const INFO: LossInfo;

    /// Checks every option.
    ///
    /// # Errors
    /// Names the first option outside its range.
    fn validate(self) -> Result<Self, ConfigError>;
}

/// What a model is trained for, as far as a loss cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskKind {
    /// One of several classes per sample: `logits: [batch, classes]`, `targets: [batch]`.
    Classification,
    /// Any number of classes per sample: `logits: [batch, classes]`, `targets: [batch, classes]` of 0 and 1.
    MultiLabel,
    /// One or more real numbers per sample: `prediction: [batch, k * outputs]`, `target: [batch, outputs]`, where `k`
    /// is the loss' [`columns_per_output`](crate::regression::columns_per_output).
    Regression,
    /// A class per pixel or voxel.
    Segmentation,
    /// Embeddings whose distances mean something, with labels or pairs.
    Retrieval,
    /// Embeddings from two views of a sample, without labels.
    SelfSupervised,
    /// Learning from another model's outputs.
    Distillation,
    /// One of several classes per sample, withstanding perturbed samples.
    Adversarial,
    /// Yes or no per sample, from one score.
    Binary,
    /// Telling samples of one class from all others, with no samples of the others.
    OneClass,
    /// Making a finished classifier's probabilities honest.
    Calibration,
    /// Removing what a finished model learned of some samples.
    Unlearning,
    /// Real numbers, with more than predictions and targets: bags, a bottleneck, weights, pairs.
    RegressionInContext,
    /// A real number per point of a map: `[batch, height, width]`.
    Maps,
    /// Density of the data, or how unlikely a sample is.
    Density,
}

impl TaskKind {
    /// What a loss for this task is given, in words.
    pub const fn inputs(self) -> &'static str {
        match self {
            Self::Classification => "logits and one label per sample",
            Self::MultiLabel => "logits and a 0 or 1 for each class",
            Self::Regression => "predicted and true numbers",
            Self::Segmentation => "logits and one label per pixel",
            Self::Retrieval => "embeddings with labels or pairs",
            Self::SelfSupervised => "embeddings of two views",
            Self::Distillation => "outputs of two models",
            Self::Adversarial => "logits of samples and of perturbed samples, and one label per sample",
            Self::Binary => "one score and a label 0 or 1 per sample",
            Self::OneClass => "embeddings of one class",
            Self::Calibration => "logits, labels and a temperature per sample",
            Self::Unlearning => "logits of samples to forget and of template answers",
            Self::RegressionInContext => "predicted and true numbers with bags, pairs, weights or a bottleneck",
            Self::Maps => "predicted and true maps",
            Self::Density => "densities of samples",
        }
    }
}

/// Whether an objective stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Trains a model by itself; a plan may name it as its loss.
    Loss,
    /// Is added to a loss.
    Term,
    /// Is a number to look at, such as a calibration error.
    Meter,
    /// Changes parameters, samples or gradients instead of giving a value to minimise.
    Step,
}

/// What an objective keeps from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remembers {
    /// Nothing.
    None,
    /// Something about a site's own samples, which stays at the site.
    Local,
    /// Something that sites share, which the coordinator combines.
    Shared,
}

/// One option of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its name in a plan.
    pub name: &'static str,
    /// Its default, written as in JSON.
    pub default: &'static str,
    /// The values it may have.
    pub range: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

impl OptionInfo {
    pub(crate) const fn new(
        name: &'static str,
        default: &'static str,
        range: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, default, range, meaning }
    }
}

/// One entry of the zoo.
///
/// Summary, formula and source are not written twice: they are read from the documentation of the file that
/// implements the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossInfo {
    /// Its name in a plan.
    pub name: &'static str,
    /// The folder it lives in.
    pub family: &'static str,
    /// Whether it is a loss or a term added to one.
    pub role: Role,
    /// What it can be used for.
    pub tasks: &'static [TaskKind],
    /// Its options.
    pub options: &'static [OptionInfo],
    /// What it keeps from batch to batch.
    pub remembers: Remembers,
    /// How its time grows, in `B` samples, `C` classes and `D` values of an embedding, for instance `O(B C)`.
    pub cost: &'static str,
    /// Text of the implementing file; see [`LossInfo::docs`].
    pub(crate) file: &'static str,
}

impl LossInfo {
    /// Its documentation as Markdown: the sections Formula, Shapes, Range and gradient, Choices, Source, Example.
    pub fn docs(&self) -> String {
        let lines = self.doc_lines();
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What it does, in one sentence.
    pub fn summary(&self) -> String {
        self.doc_lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The formula, as Markdown.
    pub fn formula(&self) -> String {
        self.section("Formula")
    }

    /// The paper it is from.
    pub fn source(&self) -> String {
        self.section("Source")
    }

    /// Text of the documentation section with this heading; empty if there is none.
    pub fn section(&self, heading: &str) -> String {
        let lines = self.doc_lines().skip_while(|line| line.strip_prefix("# ") != Some(heading)).skip(1);
        lines.take_while(|line| !line.starts_with("# ")).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// Whether it can be used for `task`.
    pub fn fits(&self, task: TaskKind) -> bool {
        self.tasks.contains(&task)
    }

    fn doc_lines(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.file.lines().map_while(|line| line.strip_prefix("//!"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line))
    }
}
