//! Labels and values that must be sound before anything trains on them: counted, with the first place named.

use super::error::{DataError, Position};

/// Counts what is wrong and remembers where it was first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    count: u64,
    first: Option<Position>,
}

impl Faults {
    pub(super) fn add(&mut self, position: Position) {
        self.count += 1;
        self.first.get_or_insert(position);
    }

    /// The error for labels outside the classes, if there were any.
    pub(super) fn labels(self, file: &str, classes: u32, help: &'static str) -> Result<(), DataError> {
        let Self { count, first } = self;
        match first {
            None => Ok(()),
            Some(first) => Err(DataError::Labels { file: file.to_owned(), count, first, classes, help }),
        }
    }

    /// The error for samples whose labels are something else than 0 and 1, if there were any.
    pub(super) fn flags(self, file: &str) -> Result<(), DataError> {
        let Self { count, first } = self;
        match first {
            None => Ok(()),
            Some(first) => Err(DataError::Flags { file: file.to_owned(), count, first }),
        }
    }

    /// The error for values that are not finite, if there were any.
    pub(super) fn not_finite(self, file: &str) -> Result<(), DataError> {
        let Self { count, first } = self;
        match first {
            None => Ok(()),
            Some(first) => Err(DataError::NotFinite { file: file.to_owned(), count, first }),
        }
    }
}

/// Checks the labels of `file` against the number of classes.
pub(super) fn check_labels(
    file: &str,
    labels: impl Iterator<Item = Option<u32>>,
    classes: u32,
) -> Result<Vec<u32>, DataError> {
    let mut faults = Faults::default();
    let labels = labels
        .enumerate()
        .map(|(sample, label)| {
            let label = label.filter(|label| *label < classes);
            if label.is_none() {
                faults.add(Position::Sample(sample as u64));
            }
            label.unwrap_or(0)
        })
        .collect();
    faults.labels(file, classes, "the labels in the file")?;
    Ok(labels)
}

/// Checks that all `values` of `file`, `width` to a sample, are finite.
pub(super) fn check_finite(file: &str, values: &[f32], width: usize) -> Result<(), DataError> {
    let mut faults = Faults::default();
    for (at, value) in values.iter().enumerate() {
        if !value.is_finite() {
            faults.add(Position::Sample((at / width.max(1)) as u64));
        }
    }
    faults.not_finite(file)
}
