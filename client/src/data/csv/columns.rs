//! Which column of a file plays which role of the plan.

use std::collections::HashMap;

use synod_common::plan::{CsvSource, Task};

use super::cells::Texts;
use crate::data::error::{DataError, Names};

/// What a column is read as.
pub(super) enum Role {
    /// A number, written to the input at this place.
    Numeric(usize),
    /// One of some levels; the first level's input is at this place.
    Levels(usize, Texts),
    /// The label as a class number.
    ClassNumber,
    /// The label as one of the plan's texts.
    ClassText(Texts),
    /// A 0 or 1, written to the targets at this place.
    Flag(usize),
    /// A number to predict, written to the targets at this place.
    Target(usize),
    /// The site's name.
    Site,
    /// Whether the row is a test row.
    Split,
}

/// A column that the plan uses.
pub(super) struct Column {
    pub(super) name: String,
    /// Place in a row.
    pub(super) place: usize,
    pub(super) role: Role,
}

/// What is wanted of the site column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SiteColumn {
    /// It must be there.
    Needed,
    /// It is read if it is there.
    Optional,
    /// It is not read.
    Ignored,
}

/// The columns of a file that the plan uses, in the order of the model's inputs.
pub(super) struct Columns {
    /// Fields of each row.
    pub(super) fields: usize,
    pub(super) used: Vec<Column>,
}

impl Columns {
    /// Finds the plan's columns among `headings`.
    pub(super) fn find(
        file: &str,
        source: &CsvSource,
        task: &Task,
        headings: &[String],
        site: SiteColumn,
    ) -> Result<Self, DataError> {
        let mut places: HashMap<&str, Option<usize>> = HashMap::with_capacity(headings.len());
        for (place, name) in headings.iter().enumerate() {
            places.entry(name).and_modify(|twice| *twice = None).or_insert(Some(place));
        }
        let mut used = Vec::new();
        let mut add = |name: &String, role: Role| match places.get(name.as_str()) {
            Some(Some(place)) => {
                used.push(Column { name: name.clone(), place: *place, role });
                Ok(())
            }
            Some(None) => Err(DataError::ColumnTwice { file: file.to_owned(), column: name.clone() }),
            None => {
                let there = Names::new(headings.iter().map(String::as_str));
                Err(DataError::NoColumn { file: file.to_owned(), column: name.clone(), there })
            }
        };
        let mut input = 0;
        for name in &source.numeric {
            add(name, Role::Numeric(input))?;
            input += 1;
        }
        for (name, levels) in &source.categorical {
            add(name, Role::Levels(input, Texts::new(levels.iter().enumerate())))?;
            input += levels.len();
        }
        match task {
            Task::Classification { .. } if source.label_values.is_empty() => add(&source.label, Role::ClassNumber)?,
            Task::Classification { .. } => {
                let texts = source.label_values.iter().enumerate();
                let texts = texts.flat_map(|(class, texts)| texts.iter().map(move |text| (class, text)));
                add(&source.label, Role::ClassText(Texts::new(texts)))?;
            }
            Task::MultiLabel { .. } => {
                for (place, name) in source.targets.iter().enumerate() {
                    add(name, Role::Flag(place))?;
                }
            }
            Task::Regression { .. } => {
                for (place, name) in source.targets.iter().enumerate() {
                    add(name, Role::Target(place))?;
                }
            }
        }
        if let Some(name) = &source.site_column {
            let wanted = match site {
                SiteColumn::Needed => true,
                SiteColumn::Optional => places.contains_key(name.as_str()),
                SiteColumn::Ignored => false,
            };
            if wanted {
                add(name, Role::Site)?;
            }
        }
        if let Some(name) = &source.split_column {
            add(name, Role::Split)?;
        }
        Ok(Self { fields: headings.len(), used })
    }
}

/// Names of the model's inputs in order: numeric columns, then `column=level`.
pub(in crate::data) fn input_names(source: &CsvSource) -> Vec<String> {
    let levels = source.categorical.iter();
    let levels = levels.flat_map(|(name, levels)| levels.iter().map(move |level| format!("{name}={level}")));
    source.numeric.iter().cloned().chain(levels).collect()
}
