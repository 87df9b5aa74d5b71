//! What is to be predicted of each sample.

use synod_common::plan::Task;

use super::error::{DataError, Position};
use super::labels::{Faults, check_finite};

/// What is to be predicted of each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Its class.
    Classes(Vec<u32>),
    /// For each class whether the sample has it, 1 or 0.
    Labels(Matrix),
    /// Real numbers, finite.
    Numbers(Matrix),
}

/// A row of numbers for each sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    /// `values: [samples, width]`, row by row.
    ///
    /// # Errors
    /// When the values do not make whole rows.
    pub fn new(values: Vec<f32>, width: usize) -> Result<Self, DataError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(DataError::Parts { why: format!("{} targets are not rows of {width}", values.len()) });
        }
        Ok(Self { values, width })
    }

    /// Numbers of one sample.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// All numbers, row by row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The numbers of the sample `row`, which is below [`len`](Self::len).
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    fn select(&self, rows: &[u32]) -> Self {
        let values = rows.iter().flat_map(|row| self.row(*row as usize)).copied().collect();
        Self { values, width: self.width }
    }
}

impl From<Vec<u32>> for Targets {
    fn from(classes: Vec<u32>) -> Self {
        Self::Classes(classes)
    }
}

impl Targets {
    /// Numbers read from `file` as the targets of `task`, `[samples, outputs]`.
    pub(super) fn from_numbers(file: &str, task: &Task, values: Vec<f32>) -> Result<Self, DataError> {
        let matrix = Matrix::new(values, task.outputs())?;
        match task {
            Task::Regression { .. } => {
                check_finite(file, &matrix.values, matrix.width)?;
                Ok(Self::Numbers(matrix))
            }
            Task::Classification { .. } | Task::MultiLabel { .. } => {
                let mut faults = Faults::default();
                for (sample, _) in matrix.values.chunks(matrix.width).enumerate().filter(|(_, row)| !flags(row)) {
                    faults.add(Position::Sample(sample as u64));
                }
                faults.flags(file)?;
                Ok(Self::Labels(matrix))
            }
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Labels(matrix) | Self::Numbers(matrix) => matrix.len(),
        }
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of numbers, where the targets are that.
    #[must_use]
    pub fn matrix(&self) -> Option<&Matrix> {
        match self {
            Self::Classes(_) => None,
            Self::Labels(matrix) | Self::Numbers(matrix) => Some(matrix),
        }
    }

    /// The group of each sample, by which shares are stratified: its class; its first label, or the number of classes if
    /// it has none; one group for all in regression. It depends on the sample alone, so that a site by itself and a
    /// simulation of all sites divide it alike.
    pub(super) fn groups(&self) -> Vec<u32> {
        match self {
            Self::Classes(classes) => classes.clone(),
            Self::Labels(matrix) => {
                // Fits u32: the plan bounds the number of labels.
                let first = |row: &[f32]| row.iter().position(|label| *label != 0.0).unwrap_or(row.len()) as u32;
                matrix.values.chunks(matrix.width).map(first).collect()
            }
            Self::Numbers(matrix) => vec![0; matrix.len()],
        }
    }

    /// Those of the samples `rows`, in that order.
    pub(super) fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(rows.iter().map(|row| classes[*row as usize]).collect()),
            Self::Labels(matrix) => Self::Labels(matrix.select(rows)),
            Self::Numbers(matrix) => Self::Numbers(matrix.select(rows)),
        }
    }

    /// Samples of each class among `rows`, of `classes`; a sample with several labels counts for each. Nothing in
    /// regression.
    pub(super) fn class_counts(&self, rows: impl Iterator<Item = u32>, classes: usize) -> Vec<u64> {
        let mut counts = vec![0; classes];
        for row in rows {
            let row = row as usize;
            match self {
                Self::Classes(all) => {
                    if let Some(count) = counts.get_mut(all[row] as usize) {
                        *count += 1;
                    }
                }
                Self::Labels(matrix) => {
                    counts
                        .iter_mut()
                        .zip(matrix.row(row))
                        .for_each(|(count, label)| *count += u64::from(*label != 0.0));
                }
                Self::Numbers(_) => {}
            }
        }
        counts
    }
}

fn flags(row: &[f32]) -> bool {
    row.iter().all(|value| *value == 0.0 || *value == 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Targets {
        Targets::from_numbers("a", &Task::MultiLabel { classes: 3 }, vec![0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0])
            .unwrap()
    }

    #[test]
    fn a_sample_counts_for_each_of_its_labels_and_is_grouped_by_the_first() {
        let labels = labels();
        assert_eq!(labels.class_counts([0, 1, 2].into_iter(), 3), [1, 1, 2]);
        assert_eq!(labels.groups(), [1, 3, 0]);
        let part = labels.select(&[2, 2]);
        assert_eq!((part.len(), part.class_counts([0, 1].into_iter(), 3)), (2, vec![2, 0, 2]));
    }

    #[test]
    fn what_is_no_label_and_no_number_is_refused_with_its_place() {
        let read =
            |task: &Task, values: Vec<f32>| Targets::from_numbers("a.npz", task, values).unwrap_err().to_string();
        let text = read(&Task::MultiLabel { classes: 2 }, vec![0.0, 1.0, 2.0, 0.0, f32::NAN, 1.0]);
        assert!(text.contains("2 samples") && text.contains("sample 1"), "{text}");
        let regression = Task::Regression { outputs: 2, mean: vec![0.0; 2], std: vec![1.0; 2] };
        assert!(read(&regression, vec![1.0, f32::INFINITY]).contains("sample 0"));
        assert!(read(&regression, vec![1.0; 3]).contains("rows of 2"));
    }
}
