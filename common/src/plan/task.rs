//! The `[task]` section: what the model is for.

use serde::Serialize;

use super::reader::Section;

/// Most classes of a classification.
pub const CLASSES_MAX: u32 = 100_000;

/// What the model is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of `classes` classes for each sample.
    Classification {
        /// Number of classes, at least 2.
        classes: u32,
    },
}

const TASKS: &[&str] = &["classification"];

impl Task {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Classification { .. } => "classification",
        }
    }

    /// Outputs of the model for one sample.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classification { classes } => *classes as usize,
        }
    }

    /// The loss of a plan that names none.
    #[must_use]
    pub fn default_loss(&self) -> &'static str {
        match self {
            Self::Classification { .. } => "cross_entropy",
        }
    }

    pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        if !root.has("task") {
            root.problem(
                "",
                "`task` is missing: what the model is for",
                Some("add [task.classification] with classes = N"),
            );
        }
        let choice = root.choice("task")?;
        if choice.name != "classification" {
            choice.unknown("task", TASKS);
            return None;
        }
        let mut s = choice.options;
        let given = s.has("classes");
        if !given {
            s.problem("", "`classes` is missing: how many classes there are", Some("add classes = N"));
        }
        let classes = s.number("classes", 2, 2..=CLASSES_MAX);
        s.finish();
        given.then_some(Self::Classification { classes })
    }
}
