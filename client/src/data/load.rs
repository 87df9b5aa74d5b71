//! From a plan and a folder to data sets.

use std::path::Path;
use std::sync::Arc;

use synod_common::plan::{Availability, CsvSource, Partition, Plan, Source, Task};
use synod_common::random::{Purpose, run_stream};

use super::check::FileReport;
use super::csv::{OwnersFrom, Part, Rows, Table};
use super::dataset::{Dataset, Inputs, Owners};
use super::error::DataError;
use super::file::locate;
use super::npz::Archive;
use super::split::split_off;
use super::targets::{Matrix, Targets};
use super::trace::Trace;
use super::{digits, idx};

/// Inputs and targets of a file, checked.
pub(super) struct Samples {
    pub(super) inputs: Inputs,
    pub(super) targets: Targets,
}

/// Where data is read, which decides what is needed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// One machine that has all sites' samples and the central test set.
    Simulation,
    /// A site, which has its own samples alone.
    Site,
}

/// Data sets of a plan.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Samples to train on, with their owners where the plan has natural sites.
    pub train: Arc<Dataset>,
    /// Samples to measure the global model on. They have owners where the data itself says which site's test samples they
    /// are; a test set that was split off at random has none.
    pub test: Option<Arc<Dataset>>,
    /// The position of its site for each training sample, [`u32::MAX`] for none, where the plan's partition is a file.
    pub assignment: Option<Vec<u32>>,
    /// When devices are there, for each profile of the plan's simulation; empty where a profile has no trace.
    pub traces: Vec<Trace>,
    /// What a person should know, like rows left out for missing values.
    pub notes: Vec<String>,
}

/// What reading gives before it is judged.
pub(super) struct Reading {
    pub(super) train: Dataset,
    pub(super) test: Option<Dataset>,
    pub(super) files: Vec<FileReport>,
    pub(super) notes: Vec<String>,
}

/// Loads everything the plan's source names in `folder`. Where it names no test samples, the plan's `test_fraction` is
/// split off, stratified by class (of several labels, by the first), and by site where there are natural ones.
///
/// # Errors
/// When a file is missing, damaged, or not as the plan says.
pub fn load(plan: &Plan, folder: &Path) -> Result<Loaded, DataError> {
    let mut loaded = loaded(read(plan, folder, Place::Simulation, &mut Err)?)?;
    if let Some(Partition::File { path }) = plan.simulation.as_ref().map(|simulation| &simulation.partition) {
        loaded.assignment = Some(idx::read_assignment(path, folder)?);
    }
    for profile in plan.simulation.iter().flat_map(|simulation| &simulation.profiles) {
        loaded.traces.push(match &profile.availability {
            Availability::Trace { path } => Trace::read(folder, path)?,
            Availability::Always | Availability::DayNight { .. } | Availability::Markov { .. } => Trace::default(),
        });
    }
    Ok(loaded)
}

/// Loads a site's own samples: the plan's file names inside the site's folder. Files of the central test set are not
/// looked for. Of several CSV files those that are there are read, since they may be several sites' files.
///
/// # Errors
/// When no file is there, one is damaged, or not as the plan says.
pub fn load_site(plan: &Plan, folder: &Path) -> Result<Loaded, DataError> {
    loaded(read(plan, folder, Place::Site, &mut Err)?)
}

fn loaded(reading: Reading) -> Result<Loaded, DataError> {
    let Reading { train, test, files, notes } = reading;
    if train.is_empty() {
        return Err(empty(&files));
    }
    Ok(Loaded { train: Arc::new(train), test: test.map(Arc::new), assignment: None, traces: Vec::new(), notes })
}

fn empty(files: &[FileReport]) -> DataError {
    let names: Vec<&str> = files.iter().map(|f| f.file.as_str()).collect();
    let (rows, dropped) = files.iter().fold((0, 0), |sums, f| (sums.0 + f.rows, sums.1 + f.dropped));
    let what = if names.is_empty() { "the data has".to_owned() } else { format!("{} gave", names.join(", ")) };
    if dropped > 0 {
        let why = format!("{dropped} of {rows} rows are left out for missing values");
        return DataError::Empty { what, why, help: "use on_missing = \"mean\", or fewer columns" };
    }
    let why = if rows == 0 { "there are no rows".to_owned() } else { "all rows are test rows".to_owned() };
    DataError::Empty { what, why, help: "check the files and `split_column` in the plan" }
}

/// Reads what the plan names. `on_problem` decides whether a problem of one file ends everything.
pub(super) fn read(
    plan: &Plan,
    folder: &Path,
    place: Place,
    on_problem: &mut dyn FnMut(DataError) -> Result<(), DataError>,
) -> Result<Reading, DataError> {
    // Checked with the plan: these files have classes only where the task has.
    let classes = u32::try_from(plan.task.classes()).unwrap_or(u32::MAX);
    let shape = plan.data.input_shape();
    let mut notes = Vec::new();
    let mut files = Vec::new();
    let (train, mut test) = match &plan.data.source {
        Source::Digits => (dataset(digits::read(&plan.task)?, &shape)?, None),
        Source::Idx(source) => {
            let train = dataset(idx::read_train(source, folder, classes)?, &shape)?;
            files.push(FileReport::complete(&source.images, train.len()));
            let test = match place {
                Place::Simulation => idx::read_test(source, folder, classes)?,
                Place::Site => None,
            };
            if let (Some(test), Some(name)) = (&test, &source.test_images) {
                files.push(FileReport::complete(name, test.targets.len()));
            }
            (train, test.map(|test| dataset(test, &shape)).transpose()?)
        }
        Source::Npz(source) => {
            let mut archive = Archive::open(folder, &source.file)?;
            let train = dataset(archive.read_train(source, &plan.task)?, &shape)?;
            files.push(FileReport::complete(&source.file, train.len()));
            let test = match place {
                Place::Simulation => archive.read_test(source, &plan.task)?,
                Place::Site => None,
            };
            (train, test.map(|test| dataset(test, &shape)).transpose()?)
        }
        Source::Csv(source) => {
            let mut table = Table::new(source, &plan.task, owners_from(plan, source, place));
            read_csv(source, folder, place, &mut table, &mut notes, on_problem)?;
            notes.extend(table.files.iter().filter_map(FileReport::note));
            let names: Arc<[_]> = table.take_site_names().into();
            files = std::mem::take(&mut table.files);
            let parts = [std::mem::take(&mut table.train), std::mem::take(&mut table.test)];
            let [train, test] = parts.map(|rows| owned(rows, &plan.task, &shape, &names));
            (train?, Some(test?).filter(|test| !test.is_empty()))
        }
    };
    let mut train = train;
    if test.is_none() && place == Place::Simulation && plan.data.test_fraction > 0.0 && !train.is_empty() {
        (train, test) = split_test(plan, &train);
        let taken = test.as_ref().map_or(0, Dataset::len);
        notes.push(format!("{taken} of {} samples are set aside as the central test set", train.len() + taken));
    }
    Ok(Reading { train, test, files, notes })
}

fn owners_from(plan: &Plan, source: &CsvSource, place: Place) -> OwnersFrom {
    let natural = plan.simulation.as_ref().is_some_and(|s| s.partition.takes_owners_of_data());
    match place {
        // All rows at a site are the site's.
        Place::Site => OwnersFrom::Nothing,
        Place::Simulation if source.site_column.is_some() => OwnersFrom::Column,
        Place::Simulation if natural => OwnersFrom::File,
        Place::Simulation => OwnersFrom::Nothing,
    }
}

fn read_csv(
    source: &CsvSource,
    folder: &Path,
    place: Place,
    table: &mut Table<'_>,
    notes: &mut Vec<String>,
    on_problem: &mut dyn FnMut(DataError) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut absent = Vec::new();
    for file in &source.files {
        if place == Place::Site && source.files.len() > 1 {
            // Other errors come again, and are judged, when the file is opened.
            if let Err(error @ DataError::NotFound { .. }) = locate(folder, file) {
                absent.push((file.as_str(), error));
                continue;
            }
        }
        if let Err(problem) = table.read_file(folder, file, Part::Train) {
            on_problem(problem)?;
        }
    }
    if absent.len() == source.files.len() {
        return absent.pop().map_or(Ok(()), |(_, error)| on_problem(error));
    }
    notes.extend(
        absent.iter().map(|(file, _)| format!("{file} is not in this site's folder, the other files are read")),
    );
    if place == Place::Simulation {
        for file in &source.test_files {
            if let Err(problem) = table.read_file(folder, file, Part::Test) {
                on_problem(problem)?;
            }
        }
    }
    Ok(())
}

fn dataset(samples: Samples, shape: &[usize]) -> Result<Dataset, DataError> {
    Dataset::new(samples.inputs, samples.targets, shape.to_vec())
}

/// The rows with their owners, if each row has one.
fn owned(
    rows: Rows,
    task: &Task,
    shape: &[usize],
    names: &Arc<[synod_common::ids::SiteName]>,
) -> Result<Dataset, DataError> {
    let Rows { inputs, labels, targets, owners } = rows;
    let targets = match task {
        Task::Classification { .. } => Targets::Classes(labels),
        Task::MultiLabel { .. } => Targets::Labels(Matrix::new(targets, task.outputs())?),
        Task::Regression { .. } => Targets::Numbers(Matrix::new(targets, task.outputs())?),
    };
    let data = Dataset::new(Inputs::F32(inputs), targets, shape.to_vec())?;
    if owners.len() != data.len() || owners.is_empty() {
        return Ok(data);
    }
    data.with_owners(Owners::new(Arc::clone(names), owners)?)
}

fn split_test(plan: &Plan, all: &Dataset) -> (Dataset, Option<Dataset>) {
    let group = |row: u32| {
        let owner = all.owners().and_then(|owners| owners.of().get(row as usize)).copied().unwrap_or(0);
        u64::from(owner) << 32 | u64::from(all.groups()[row as usize])
    };
    let mut rng = run_stream(plan.seed, Purpose::TestSplit);
    let split = split_off(&all.all_rows(), plan.data.test_fraction, group, &mut rng);
    let test = (!split.taken.is_empty()).then(|| all.select(&split.taken).without_owners());
    (all.select(&split.kept), test)
}
