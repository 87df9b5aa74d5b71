//! Reading rows: one [`Table`] takes the rows of all files of a plan.

use std::path::Path;

use synod_common::ids::SiteName;
use synod_common::plan::{CsvSource, OnMissing, Task};

use super::cells::{class, number};
use super::columns::{Columns, Role, SiteColumn};
use super::records::Records;
use super::sites::{SiteRefusal, Sites};
use crate::data::check::FileReport;
use crate::data::error::{CellProblem, DataError, Position};
use crate::data::file::Input;
use crate::data::labels::Faults;
use crate::data::limits::{DATA_BYTES_MAX, ROWS_MAX};

/// What names the natural sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum OwnersFrom {
    /// The plan's `site_column`.
    Column,
    /// Each file is a site.
    File,
    /// Nothing: the samples have no owners.
    Nothing,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Part {
    /// Training, but for rows that the split column marks.
    Train,
    /// The central test set.
    Test,
}

/// Rows of one part.
#[derive(Default)]
pub(in crate::data) struct Rows {
    /// Inputs `[rows, inputs]`; NaN where a number is missing.
    pub(in crate::data) inputs: Vec<f32>,
    /// Class of each row; 0 where the task has rows of targets instead.
    pub(in crate::data) labels: Vec<u32>,
    /// Targets `[rows, outputs]`, where the task has such.
    pub(in crate::data) targets: Vec<f32>,
    /// Owner of each row, where owners are read.
    pub(in crate::data) owners: Vec<u32>,
}

/// The rows of all files.
pub(in crate::data) struct Table<'p> {
    source: &'p CsvSource,
    task: &'p Task,
    owners: OwnersFrom,
    sites: Sites,
    pub(in crate::data) train: Rows,
    pub(in crate::data) test: Rows,
    pub(in crate::data) files: Vec<FileReport>,
}

/// The numbers of a row.
struct Numbers {
    inputs: Vec<f32>,
    targets: Vec<f32>,
}

/// A row that is kept, without its numbers.
struct Kept {
    label: u32,
    owner: Option<u32>,
    part: Part,
}

impl<'p> Table<'p> {
    pub(in crate::data) fn new(source: &'p CsvSource, task: &'p Task, owners: OwnersFrom) -> Self {
        let (train, test) = (Rows::default(), Rows::default());
        Self { source, task, owners, sites: Sites::default(), train, test, files: Vec::new() }
    }

    /// Names of the sites, once all files are read.
    pub(in crate::data) fn take_site_names(&mut self) -> Vec<SiteName> {
        std::mem::take(&mut self.sites).into_names()
    }

    /// Reads a file of `folder`. What was counted until an error is reported too.
    pub(in crate::data) fn read_file(&mut self, folder: &Path, file: &str, part: Part) -> Result<(), DataError> {
        self.read(Input::open(folder, file)?, part)
    }

    pub(in crate::data) fn read(&mut self, input: Input, part: Part) -> Result<(), DataError> {
        let mut report = FileReport::new(&input.name);
        let result = self.read_rows(input, part, &mut report);
        report.problem = result.as_ref().err().map(ToString::to_string);
        self.files.push(report);
        result
    }

    fn read_rows(&mut self, input: Input, part: Part, report: &mut FileReport) -> Result<(), DataError> {
        let file = input.name;
        let file_site = match (self.owners, part) {
            (OwnersFrom::File, Part::Train) => Some(self.sites.place_of_file(&file)?),
            _ => None,
        };
        let mut records = Records::new(file, input.reader, self.source.delimiter, self.source.comment);
        let headings = records.headings(&self.source.columns)?;
        let site_column = match (self.owners, part) {
            (OwnersFrom::Column, Part::Train) => SiteColumn::Needed,
            (OwnersFrom::Column, Part::Test) => SiteColumn::Optional,
            (OwnersFrom::File | OwnersFrom::Nothing, _) => SiteColumn::Ignored,
        };
        let columns = Columns::find(&records.file, self.source, self.task, &headings, site_column)?;
        let mut faults = Faults::default();
        let mut missing = vec![0_u64; columns.used.len()];
        let mut numbers =
            Numbers { inputs: vec![0.0; self.source.inputs()], targets: vec![0.0; self.source.targets.len()] };
        while let Some(line) = records.next(columns.fields)? {
            report.rows += 1;
            let kept = self.read_row(&records, line, part, &columns, &mut numbers, &mut missing, &mut faults);
            match kept? {
                None => report.dropped += 1,
                Some(mut row) => {
                    row.owner = row.owner.or(file_site);
                    report.kept += 1;
                    self.keep(&records.file, &row, &numbers)?;
                }
            }
        }
        let names = columns.used.iter().map(|column| column.name.clone());
        report.missing = names.zip(missing).filter(|(_, count)| *count > 0).collect();
        let classes = u32::try_from(self.task.classes()).unwrap_or(u32::MAX);
        faults.labels(&records.file, classes, "map its texts to classes with `label_values`")
    }

    fn keep(&mut self, file: &str, row: &Kept, numbers: &Numbers) -> Result<(), DataError> {
        let samples = (self.train.labels.len() + self.test.labels.len()) as u64;
        let values = |rows: &Rows| rows.inputs.len() + rows.targets.len();
        let row_values = numbers.inputs.len() + numbers.targets.len();
        let bytes = (values(&self.train) + values(&self.test) + row_values) as u64 * 4;
        for (what, found, limit) in [("samples", samples + 1, ROWS_MAX), ("bytes of numbers", bytes, DATA_BYTES_MAX)] {
            if found > limit {
                return Err(DataError::TooLarge { file: file.to_owned(), what, found, limit });
            }
        }
        let rows = if row.part == Part::Test { &mut self.test } else { &mut self.train };
        rows.inputs.extend_from_slice(&numbers.inputs);
        rows.targets.extend_from_slice(&numbers.targets);
        rows.labels.push(row.label);
        rows.owners.extend(row.owner);
        Ok(())
    }

    /// Reads the cells of the current row; `None` when the row is left out.
    #[expect(clippy::too_many_arguments, reason = "the state of one pass over a file, used here only")]
    fn read_row(
        &mut self,
        records: &Records,
        line: u64,
        mut part: Part,
        columns: &Columns,
        Numbers { inputs, targets }: &mut Numbers,
        missing: &mut [u64],
        faults: &mut Faults,
    ) -> Result<Option<Kept>, DataError> {
        inputs.fill(0.0);
        let (mut label, mut owner, mut keep) = (0, None, true);
        for (column, missing) in columns.used.iter().zip(missing) {
            let wrong = |problem: CellProblem| DataError::Cell {
                file: records.file.clone(),
                line,
                column: column.name.clone(),
                problem,
            };
            let cell = records.record.get(column.place).unwrap_or_default();
            let cell = std::str::from_utf8(cell).map_err(|_| wrong(CellProblem::NotUtf8))?.trim();
            let is_missing = || self.source.missing.iter().any(|text| text.trim() == cell);
            // A text that the plan lists as a level or label value is that, also when it is in `missing`.
            let absent = match &column.role {
                Role::Numeric(input) if !is_missing() => {
                    inputs[*input] = number(cell).map_err(wrong)?;
                    false
                }
                Role::Levels(first, levels) => match levels.find(cell) {
                    Some(level) => {
                        inputs[first + level as usize] = 1.0;
                        false
                    }
                    None if is_missing() => true,
                    None => return Err(wrong(CellProblem::UnknownLevel(levels.names()))),
                },
                Role::ClassText(texts) => match texts.find(cell) {
                    Some(class) => {
                        label = class;
                        false
                    }
                    None if is_missing() => true,
                    None => return Err(wrong(CellProblem::UnknownLabel(texts.names()))),
                },
                Role::ClassNumber if !is_missing() => {
                    match class(cell).map_err(wrong)?.filter(|class| (*class as usize) < self.task.classes()) {
                        Some(class) => label = class,
                        None => faults.add(Position::Line(line)),
                    }
                    false
                }
                Role::Flag(place) if !is_missing() => {
                    let flag = number(cell).map_err(wrong)?;
                    if flag != 0.0 && flag != 1.0 {
                        return Err(wrong(CellProblem::NotAFlag));
                    }
                    targets[*place] = flag;
                    false
                }
                Role::Target(place) if !is_missing() => {
                    targets[*place] = number(cell).map_err(wrong)?;
                    false
                }
                Role::Site if !is_missing() => {
                    owner = Some(self.sites.place(cell).map_err(|refusal| match refusal {
                        SiteRefusal::NoName => wrong(CellProblem::NoSiteName),
                        SiteRefusal::Twice(error) => error,
                    })?);
                    false
                }
                Role::Split => {
                    if self.source.split_test.as_deref().map(str::trim) == Some(cell) {
                        part = Part::Test;
                    }
                    false
                }
                Role::Numeric(_) | Role::ClassNumber | Role::Flag(_) | Role::Target(_) | Role::Site => true,
            };
            if absent {
                *missing += 1;
                match (self.source.on_missing, &column.role) {
                    (OnMissing::Error, _) => return Err(wrong(CellProblem::Missing)),
                    (OnMissing::Mean, Role::Numeric(input)) => inputs[*input] = f32::NAN,
                    (OnMissing::Mean, Role::Levels(..)) => {}
                    // A target or a site has no mean.
                    (OnMissing::Drop | OnMissing::Mean, _) => keep = false,
                }
            }
        }
        Ok(keep.then_some(Kept { label, owner, part }))
    }
}
