//! Samples in memory, as they were read: not normalised, never changed.

use std::fmt;
use std::sync::Arc;

use synod_common::ids::SiteName;

use super::error::{DataError, Position};
use super::limits::ROWS_MAX;
use super::targets::Targets;

/// Values of all samples, one after the other. Bytes stay bytes: a quarter of the memory.
#[derive(Clone, PartialEq)]
pub enum Inputs {
    /// Numbers. NaN stands for "not measured" and is replaced when a [`Share`](super::Share) is read.
    F32(Vec<f32>),
    /// Bytes.
    U8(Vec<u8>),
}

impl Inputs {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn select(&self, rows: &[u32], width: usize) -> Self {
        fn copy<T: Copy>(values: &[T], rows: &[u32], width: usize) -> Vec<T> {
            let mut out = Vec::with_capacity(rows.len() * width);
            for row in rows {
                let start = *row as usize * width;
                out.extend_from_slice(&values[start..start + width]);
            }
            out
        }
        match self {
            Self::F32(values) => Self::F32(copy(values, rows, width)),
            Self::U8(values) => Self::U8(copy(values, rows, width)),
        }
    }
}

/// Which natural site owns which sample.
#[derive(Clone, PartialEq)]
pub struct Owners {
    names: Arc<[SiteName]>,
    of: Vec<u32>,
}

impl Owners {
    /// `of[row]` is the place in `names` of the site that owns the sample `row`.
    ///
    /// # Errors
    /// When a place is outside `names`.
    pub fn new(names: Arc<[SiteName]>, of: Vec<u32>) -> Result<Self, DataError> {
        if of.iter().any(|owner| *owner as usize >= names.len()) {
            return Err(DataError::Parts { why: format!("an owner is not among the {} names", names.len()) });
        }
        Ok(Self { names, of })
    }

    /// Names of the sites, in the order in which the data names them. A site may own no sample of this data set.
    #[must_use]
    pub fn names(&self) -> &[SiteName] {
        &self.names
    }

    /// For each sample, the place of its owner among the names.
    #[must_use]
    pub fn of(&self) -> &[u32] {
        &self.of
    }

    /// For each site, the rows it owns, ascending.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u32>> {
        let mut rows = vec![Vec::new(); self.names.len()];
        for (row, owner) in self.of.iter().enumerate() {
            // Row numbers fit u32: `Dataset::new` checked their count.
            rows[*owner as usize].push(row as u32);
        }
        rows
    }
}

/// Samples of one shape with their targets. Only summaries are shown by `Debug`, never values.
#[derive(Clone, PartialEq)]
pub struct Dataset {
    inputs: Inputs,
    targets: Targets,
    groups: Vec<u32>,
    shape: Vec<usize>,
    values: usize,
    has_missing: bool,
    owners: Option<Owners>,
}

impl Dataset {
    /// Joins inputs `[samples, shape…]` and targets (a list of classes is that). Values must be finite, or NaN for "not
    /// measured".
    ///
    /// # Errors
    /// When the lengths do not fit each other, or a value is infinite.
    pub fn new(inputs: Inputs, targets: impl Into<Targets>, shape: Vec<usize>) -> Result<Self, DataError> {
        let targets = targets.into();
        let samples = targets.len();
        let values = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)).filter(|n| *n > 0);
        let Some(values) = values else {
            return Err(DataError::Parts { why: format!("a sample of the shape {shape:?} has no values") });
        };
        if samples as u64 > ROWS_MAX {
            let found = samples as u64;
            return Err(DataError::TooLarge {
                file: "the data set".to_owned(),
                what: "samples",
                found,
                limit: ROWS_MAX,
            });
        }
        if samples.checked_mul(values) != Some(inputs.len()) {
            let why = format!("{} values are not {samples} samples of the shape {shape:?}", inputs.len());
            return Err(DataError::Parts { why });
        }
        let mut has_missing = false;
        if let Inputs::F32(numbers) = &inputs {
            has_missing = numbers.iter().any(|v| v.is_nan());
            if let Some(at) = numbers.iter().position(|v| v.is_infinite()) {
                let count = numbers.iter().filter(|v| v.is_infinite()).count() as u64;
                let first = Position::Sample((at / values) as u64);
                return Err(DataError::NotFinite { file: "the data set".to_owned(), count, first });
            }
        }
        let groups = targets.groups();
        Ok(Self { inputs, targets, groups, shape, values, has_missing, owners: None })
    }

    /// The same samples with their owners.
    ///
    /// # Errors
    /// When there is not one owner per sample.
    pub fn with_owners(mut self, owners: Owners) -> Result<Self, DataError> {
        if owners.of.len() != self.len() {
            let why = format!("{} owners for {} samples", owners.of.len(), self.len());
            return Err(DataError::Parts { why });
        }
        self.owners = Some(owners);
        Ok(self)
    }

    /// The same samples without their owners.
    #[must_use]
    pub fn without_owners(mut self) -> Self {
        self.owners = None;
        self
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Shape of one sample.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Values of one sample.
    #[must_use]
    pub fn sample_values(&self) -> usize {
        self.values
    }

    /// What is to be predicted of each sample.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The group of each sample, by which shares are stratified: its class; its first label, or the number of classes if
    /// it has none; 0 in regression.
    #[must_use]
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Raw values `[samples, shape…]`.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Which natural site owns which sample, where the data says so.
    #[must_use]
    pub fn owners(&self) -> Option<&Owners> {
        self.owners.as_ref()
    }

    /// Whether a value is NaN, for "not measured".
    #[must_use]
    pub fn has_missing(&self) -> bool {
        self.has_missing
    }

    /// All row numbers, ascending.
    #[must_use]
    pub fn all_rows(&self) -> Vec<u32> {
        // Fits u32: `new` checked the count.
        (0..self.len() as u32).collect()
    }

    /// A copy of the samples `rows`, in that order, with their owners. Rows are below [`Dataset::len`].
    #[must_use]
    pub fn select(&self, rows: &[u32]) -> Self {
        let inputs = self.inputs.select(rows, self.values);
        let has_missing =
            self.has_missing && matches!(&inputs, Inputs::F32(values) if values.iter().any(|v| v.is_nan()));
        Self {
            inputs,
            targets: self.targets.select(rows),
            groups: rows.iter().map(|row| self.groups[*row as usize]).collect(),
            shape: self.shape.clone(),
            values: self.values,
            has_missing,
            owners: self.owners.as_ref().map(|owners| Owners {
                names: Arc::clone(&owners.names),
                of: rows.iter().map(|row| owners.of[*row as usize]).collect(),
            }),
        }
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("samples", &self.len())
            .field("shape", &self.shape)
            .field("sites", &self.owners.as_ref().map(|owners| owners.names.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert!(Dataset::new(Inputs::U8(vec![0; 7]), vec![0; 2], vec![4]).is_err());
        assert!(Dataset::new(Inputs::U8(vec![]), vec![], vec![0]).is_err());
        assert!(Dataset::new(Inputs::U8(vec![]), vec![], vec![usize::MAX, 2]).is_err());
        let error = Dataset::new(Inputs::F32(vec![0.0, f32::INFINITY]), vec![0, 0], vec![1]).unwrap_err();
        assert!(error.to_string().contains("sample 1"), "{error}");
        let names: Arc<[SiteName]> = [SiteName::new("a").unwrap()].into();
        assert!(Owners::new(Arc::clone(&names), vec![1]).is_err());
        let data = Dataset::new(Inputs::U8(vec![0; 2]), vec![0; 2], vec![1]).unwrap();
        assert!(data.with_owners(Owners::new(names, vec![0]).unwrap()).is_err());
    }

    #[test]
    fn a_selection_keeps_order_and_owners() {
        let names: Arc<[SiteName]> = ["a", "b"].map(|n| SiteName::new(n).unwrap()).into();
        let data = Dataset::new(Inputs::F32(vec![0.0, 1.0, 2.0, f32::NAN]), vec![7, 8], vec![2])
            .unwrap()
            .with_owners(Owners::new(names, vec![0, 1]).unwrap())
            .unwrap();
        assert!(data.has_missing());
        let part = data.select(&[0]);
        assert!(!part.has_missing());
        assert_eq!(part.groups(), [7]);
        assert_eq!(data.select(&[1, 0]).groups(), [8, 7]);
        assert_eq!(data.select(&[1, 0]).owners().unwrap().rows(), vec![vec![1], vec![0]]);
    }

    #[test]
    fn debug_shows_no_values() {
        let data = Dataset::new(Inputs::F32(vec![123.25]), vec![77], vec![1]).unwrap();
        let text = format!("{data:?}");
        assert!(!text.contains("123") && !text.contains("77"), "{text}");
    }
}
