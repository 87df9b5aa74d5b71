//! What can be wrong with data, said so that the person at the site can mend it.
//!
//! Messages name files, lines and columns, never the content of a cell: they may end up in logs outside the site.

use std::fmt;
use std::io;
use std::path::PathBuf;

use synod_common::ids::{ClientId, SiteName};

use super::limits::NAMES_SHOWN;

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The plan names a file outside the data folder.
    #[error(
        "the plan names the file {file:?}, which is not inside the data folder; name it relative to that folder, without `..`"
    )]
    OutsideFolder {
        /// As the plan writes it.
        file: String,
    },
    /// There is no such file.
    #[error(
        "there is no file {file:?} in {}; it holds {there}; put the file there, or point --data at the folder that has it",
        folder.display()
    )]
    NotFound {
        /// As the plan writes it.
        file: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What is there instead.
        there: Names,
    },
    /// The operating system or the unpacker refused.
    #[error("could not read {file}: {source}; check that it is complete and that this user may read it")]
    Read {
        /// The file.
        file: String,
        /// The reason.
        source: io::Error,
    },
    /// Something is larger than this program reads.
    #[error("{file} has {found} {what}, at most {limit} are read; split the data over several sites or leave some out")]
    TooLarge {
        /// The file.
        file: String,
        /// Of what there is too much.
        what: &'static str,
        /// How much there is, or is claimed.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not in the format that the plan says.
    #[error("{file} is no {format} file that can be read: {why}; {help}")]
    Malformed {
        /// The file.
        file: String,
        /// The format.
        format: &'static str,
        /// Where reading stopped.
        why: String,
        /// What to do.
        help: &'static str,
    },
    /// The length of a file is not what its header says.
    #[error(
        "{file} should have {expected} bytes by its own header and has {found}; it is incomplete or damaged, copy it again"
    )]
    Length {
        /// The file.
        file: String,
        /// By the header.
        expected: u64,
        /// In fact: exact, or `at least` or `at most` so many.
        found: String,
    },
    /// Samples have another shape than the plan says.
    #[error(
        "{file} holds samples of the shape {found:?}, the plan says {planned:?}; correct `shape` in data.source or the file name"
    )]
    Shape {
        /// The file.
        file: String,
        /// Dimensions of one sample there.
        found: Vec<u64>,
        /// Of the plan.
        planned: Vec<usize>,
    },
    /// Samples and labels differ in number.
    #[error(
        "{inputs} has {samples} samples and {labels} has {count} labels; they belong to different data, check both names"
    )]
    Counts {
        /// File or array of samples.
        inputs: String,
        /// Its samples.
        samples: u64,
        /// File or array of labels.
        labels: String,
        /// Its labels.
        count: u64,
    },
    /// An archive has no such array.
    #[error("{file} has no array {array:?}; it has {there}; correct the name in data.source.npz")]
    NoArray {
        /// The archive.
        file: String,
        /// The name in the plan.
        array: String,
        /// The names in the archive.
        there: Names,
    },
    /// Labels are outside the classes of the plan.
    #[error(
        "{file} has {count} label{} outside the {classes} classes of the plan (0 to {}), first at {first}; correct `classes` in the task, or {help}",
        if *count == 1 { "" } else { "s" }, classes - 1
    )]
    Labels {
        /// The file or array.
        file: String,
        /// How many.
        count: u64,
        /// Where the first one is.
        first: Position,
        /// Classes of the plan.
        classes: u32,
        /// What else may be done.
        help: &'static str,
    },
    /// Labels of a multi-label task are something else than 0 and 1.
    #[error(
        "{file} has {count} sample{} with labels other than 0 and 1, first at {first}; write 1 for each class that a sample has and 0 for the others",
        if *count == 1 { "" } else { "s" }
    )]
    Flags {
        /// The file or array.
        file: String,
        /// Samples with such a label.
        count: u64,
        /// Where the first one is.
        first: Position,
    },
    /// Inputs are NaN or infinite.
    #[error(
        "{file} has {count} value{} NaN or infinite, first at {first}; replace them or leave those samples out",
        if *count == 1 { " that is" } else { "s that are" }
    )]
    NotFinite {
        /// The file or array.
        file: String,
        /// How many.
        count: u64,
        /// Where the first one is.
        first: Position,
    },
    /// A CSV file has no such column.
    #[error(
        "{file} has no column {column:?}; it has {there}; correct the name in the plan, or list `columns` there if the file has no heading line"
    )]
    NoColumn {
        /// The file.
        file: String,
        /// The name in the plan.
        column: String,
        /// The names in the file.
        there: Names,
    },
    /// A CSV file has a column twice.
    #[error("{file} has the column {column:?} twice, so that it is not clear which one is meant; rename one of them")]
    ColumnTwice {
        /// The file.
        file: String,
        /// The name.
        column: String,
    },
    /// A row has another number of fields.
    #[error(
        "{file} line {line} has {found} fields, the other lines have {expected}; look for a missing or extra delimiter or quote there"
    )]
    Ragged {
        /// The file.
        file: String,
        /// Counted from 1.
        line: u64,
        /// Fields there.
        found: usize,
        /// Fields by the heading.
        expected: usize,
    },
    /// A row is too long.
    #[error(
        "{file} has a row longer than {limit} bytes that begins at line {line}; look for a quote that is not closed there"
    )]
    LineTooLong {
        /// The file.
        file: String,
        /// Counted from 1.
        line: u64,
        /// The limit.
        limit: u64,
    },
    /// A cell cannot be used.
    #[error("{file} line {line}, column {column:?}: {problem}")]
    Cell {
        /// The file.
        file: String,
        /// Counted from 1.
        line: u64,
        /// The name of the column.
        column: String,
        /// What is wrong.
        problem: CellProblem,
    },
    /// Two sites of the data have the same name.
    #[error("{first} and {second} both give the site name {name}; rename one of them")]
    SiteTwice {
        /// The name.
        name: SiteName,
        /// One text.
        first: String,
        /// The other text.
        second: String,
    },
    /// A file's name gives no site name.
    #[error("the file name {file:?} has no letter or digit to name a site after; rename the file")]
    NoSiteName {
        /// The file.
        file: String,
    },
    /// There is nothing to train on.
    #[error("{what} no training samples: {why}; {help}")]
    Empty {
        /// Which data.
        what: String,
        /// Why.
        why: String,
        /// What to do.
        help: &'static str,
    },
    /// A site has nothing to train on.
    #[error("site {client:?} has no training samples; give it data, or leave it out of the run")]
    EmptySite {
        /// The site.
        client: ClientId,
    },
    /// The parts given to a data set do not fit each other.
    #[error("the parts of a data set do not fit: {why}; this is a fault of the program, please report it")]
    Parts {
        /// What does not fit.
        why: String,
    },
    /// The plan's normalisation cannot be fitted where this runs.
    #[error(
        "the plan normalises with all sites' samples together, which a site alone does not have; use fit = \"site\" in data.normalise.standard"
    )]
    NotPooled,
}

/// What is wrong with a cell of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellProblem {
    /// Not text in UTF-8.
    #[error("the bytes are no UTF-8 text; save the file as UTF-8")]
    NotUtf8,
    /// A number was expected.
    #[error(
        "not a number; write it like 12.5, or add the text that stands for a missing value to `missing` in the plan"
    )]
    NotANumber,
    /// NaN or infinite, also after rounding to single precision.
    #[error("NaN or infinite; correct it, or add the text to `missing` in the plan if it means not measured")]
    NotFinite,
    /// Missing where the plan wants a value.
    #[error("the value is missing; fill it in, or set `on_missing` in the plan to \"drop\" or \"mean\"")]
    Missing,
    /// Not a level of the plan.
    #[error("not one of the plan's levels {0}; correct the value, or add it to `categorical` in the plan")]
    UnknownLevel(Names),
    /// Not a text that stands for a class.
    #[error("not one of the plan's label values {0}; correct it, or add it to `label_values` in the plan")]
    UnknownLabel(Names),
    /// Not a class number.
    #[error(
        "not a class number; write 0, 1, …, or say with `label_values` in the plan which text stands for which class"
    )]
    NotAClass,
    /// Neither 0 nor 1.
    #[error("a label is 0 or 1; correct it, or add the text to `missing` in the plan if it means not annotated")]
    NotAFlag,
    /// No letter or digit to name a site after.
    #[error("no site name can be made of it; write a name with at least one letter or digit")]
    NoSiteName,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// A line of text, counted from 1.
    Line(u64),
    /// A sample, counted from 0.
    Sample(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Sample(sample) => write!(f, "sample {sample} (counted from 0)"),
        }
    }
}

/// Names for a message: the first few, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    shown: Vec<String>,
    more: usize,
}

impl Names {
    /// Takes the first few of `names`, each cut to a readable length.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = names.into_iter();
        let shown = names.by_ref().take(NAMES_SHOWN).map(|name| name.chars().take(60).collect()).collect();
        Self { shown, more: names.count() }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shown.is_empty() {
            return f.write_str("nothing");
        }
        for (i, name) in self.shown.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name:?}")?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}
