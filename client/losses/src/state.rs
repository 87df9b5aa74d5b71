//! What a loss remembers from step to step: numbers of each sample of a site, and numbers of the site as a whole.
//!
//! A loss that remembers implements [`Remembering`] for its `Config`; [`LossConfig::remembering`] finds it. Whoever
//! trains asks it for an [`initial`](Remembering::initial) state, keeps the [`LossState`] with the site's data (it
//! tells of single samples and must not leave the site), and gives it back with each batch as a [`Memory`], which knows
//! where in the site's data the samples of the batch stand. Between runs the columns of a state are stored and restored
//! by name; [`LossState::restore`] takes nothing that does not fit the site's data.
//!
//! [`LossConfig::remembering`]: crate::LossConfig::remembering

use std::collections::BTreeMap;

use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::error::{LossError, to_f64};

/// What a loss may know of a site's data before the first step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// Training samples of the site.
    pub samples: usize,
    /// Training samples of each class; for several labels per sample, those that have the label. Empty in regression.
    pub class_counts: &'a [u64],
}

impl<'a> Facts<'a> {
    /// Of a site with `samples` training samples, `class_counts[c]` of them of class `c`.
    #[must_use]
    pub const fn new(samples: usize, class_counts: &'a [u64]) -> Self {
        Self { samples, class_counts }
    }
}

/// Targets of a batch, of the kind that the task has.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Targets {
    /// One class per sample, `[batch]`.
    Labels(Tensor<1, Int>),
    /// A row per sample: 0 and 1 for each class, or real numbers, `[batch, columns]`.
    Matrix(Tensor<2>),
}

impl Targets {
    /// The labels of a batch, for the classification loss `loss`.
    pub(crate) fn labels(self, loss: &'static str) -> Result<Tensor<1, Int>, LossError> {
        match self {
            Self::Labels(labels) => Ok(labels),
            Self::Matrix(matrix) => {
                let expected = "[batch], one label per sample".to_owned();
                Err(LossError::Shape { loss, tensor: "targets", expected, found: matrix.dims().to_vec() })
            }
        }
    }

    /// A row per sample.
    pub(crate) fn matrix(self, loss: &'static str) -> Result<Tensor<2>, LossError> {
        match self {
            Self::Matrix(targets) => Ok(targets),
            Self::Labels(labels) => Err(LossError::Shape {
                loss,
                tensor: "targets",
                expected: "[batch, classes]".to_owned(),
                found: labels.dims().to_vec(),
            }),
        }
    }
}

/// A loss that remembers.
pub trait Remembering {
    /// The state before the first step at a site.
    fn initial(&self, facts: &Facts<'_>) -> LossState;

    /// The site's data begin anew, for the first time before the first step. By default nothing changes.
    fn begin_pass(&self, state: &mut LossState) {
        let _ = state;
    }

    /// The objective of a training step, `[1]`, for `outputs: [batch, columns]` of the model. Reads what is remembered
    /// of the batch's samples and writes what is to be remembered.
    ///
    /// # Errors
    /// Those of the loss, and [`LossError::Memory`] if the memory is of another loss or of other data.
    fn objective(&self, outputs: Tensor<2>, targets: Targets, memory: &mut Memory<'_>) -> Result<Tensor<1>, LossError>;
}

/// Named columns of numbers, all finite.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LossState {
    columns: BTreeMap<&'static str, Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    extent: Extent,
    values: Vec<f32>,
}

/// What the numbers of a column belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// One number per training sample.
    Samples,
    /// The site.
    Site,
}

impl LossState {
    /// Adds a column with the number `initial` for each of `samples` training samples.
    #[must_use]
    pub fn with_samples(mut self, name: &'static str, samples: usize, initial: f32) -> Self {
        self.columns.insert(name, Column { extent: Extent::Samples, values: vec![initial; samples] });
        self
    }

    /// Adds all columns of another loss that remembers at the same site. Of two columns with one name the other's stays.
    #[must_use]
    pub fn with_all(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    /// Adds a column with numbers of the site as a whole.
    #[must_use]
    pub fn with_site(mut self, name: &'static str, values: Vec<f32>) -> Self {
        self.columns.insert(name, Column { extent: Extent::Site, values });
        self
    }

    /// Names and numbers, in the order of the names, to be stored.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        self.columns.iter().map(|(name, column)| (*name, column.values.as_slice()))
    }

    /// Takes what was stored under these names over an initial state of the same site.
    ///
    /// # Errors
    /// [`LossError::Memory`] if a column is missing, has another length or holds a number that is not finite. Then the
    /// state is as before.
    pub fn restore<'a>(&mut self, stored: impl Fn(&str) -> Option<&'a [f32]>) -> Result<(), LossError> {
        let mut restored = self.clone();
        for (name, column) in &mut restored.columns {
            let values = stored(name).ok_or_else(|| memory(name, "is missing"))?;
            if values.len() != column.values.len() {
                return Err(memory(name, "was stored for other data"));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(memory(name, "holds a number that is not finite"));
            }
            column.values.copy_from_slice(values);
        }
        *self = restored;
        Ok(())
    }

    /// Numbers of the site as a whole.
    ///
    /// # Errors
    /// [`LossError::Memory`] if there is no such column.
    pub fn site(&self, name: &'static str) -> Result<&[f32], LossError> {
        Ok(&self.column(name, Extent::Site)?.values)
    }

    /// Replaces numbers of the site.
    ///
    /// # Errors
    /// [`LossError::Memory`] if there is no such column, or `values` are of another number or not finite.
    pub fn set_site(&mut self, name: &'static str, values: &[f32]) -> Result<(), LossError> {
        let column = self.columns.get_mut(name).filter(|column| column.extent == Extent::Site);
        let column = column.ok_or_else(|| memory(name, "is missing"))?;
        if values.len() != column.values.len() {
            return Err(memory(name, "got another number of values"));
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(memory(name, "got a number that is not finite"));
        }
        column.values.copy_from_slice(values);
        Ok(())
    }

    fn column(&self, name: &'static str, extent: Extent) -> Result<&Column, LossError> {
        let column = self.columns.get(name).filter(|column| column.extent == extent);
        column.ok_or_else(|| memory(name, "is missing"))
    }
}

/// A site's state, and which of its samples a batch has.
#[derive(Debug)]
pub struct Memory<'a> {
    state: &'a mut LossState,
    positions: &'a [u32],
}

impl<'a> Memory<'a> {
    /// For a batch whose samples stand at `positions`, without repetition, among the site's training samples.
    pub fn new(state: &'a mut LossState, positions: &'a [u32]) -> Self {
        Self { state, positions }
    }

    /// Samples of the batch.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.positions.len()
    }

    /// What is remembered of the batch's samples, `[batch]`, on the device and in the number type of `like`.
    ///
    /// # Errors
    /// [`LossError::Memory`] if there is no such column or a position is beyond it.
    pub fn read(&self, name: &'static str, like: &Tensor<2>) -> Result<Tensor<1>, LossError> {
        let values = &self.state.column(name, Extent::Samples)?.values;
        let of_batch: Option<Vec<f32>> =
            self.positions.iter().map(|position| values.get(*position as usize).copied()).collect();
        let of_batch = of_batch.ok_or_else(|| memory(name, "is shorter than the site's data"))?;
        Ok(Tensor::from_data(TensorData::new(of_batch, [self.batch()]), (&like.device(), like.dtype())))
    }

    /// Remembers `values: [batch]` of the batch's samples. Waits for the device.
    ///
    /// # Errors
    /// [`LossError::Memory`] as [`read`](Self::read), or if the values are of another number;
    /// [`LossError::NotFinite`] if one is not finite: then nothing is remembered.
    pub fn write(&mut self, name: &'static str, values: Tensor<1>) -> Result<(), LossError> {
        let data =
            values.try_into_data().map_err(|error| LossError::Read { tensor: name, reason: error.to_string() })?;
        let values = to_f64(name, &data.convert_dtype(DType::F64))?;
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(LossError::NotFinite { tensor: name, position, value: values[position] });
        }
        let column = self.state.columns.get_mut(name).filter(|column| column.extent == Extent::Samples);
        let column = column.ok_or_else(|| memory(name, "is missing"))?;
        if values.len() != self.positions.len() {
            return Err(memory(name, "got another number of values"));
        }
        if self.positions.iter().any(|position| *position as usize >= column.values.len()) {
            return Err(memory(name, "is shorter than the site's data"));
        }
        for (position, value) in self.positions.iter().zip(values) {
            column.values[*position as usize] = value as f32;
        }
        Ok(())
    }

    /// A copy, for a pass whose results are not to be remembered.
    #[must_use]
    pub fn to_scratch(&self) -> Scratch<'a> {
        Scratch { state: self.state.clone(), positions: self.positions }
    }

    /// The numbers of the site as a whole, to read and to replace.
    pub fn state(&mut self) -> &mut LossState {
        self.state
    }
}

/// A copy of a memory that is thrown away; see [`Memory::to_scratch`].
#[derive(Debug)]
pub struct Scratch<'a> {
    state: LossState,
    positions: &'a [u32],
}

impl Scratch<'_> {
    /// The copy as a memory.
    pub fn memory(&mut self) -> Memory<'_> {
        Memory { state: &mut self.state, positions: self.positions }
    }
}

fn memory(column: &str, problem: &'static str) -> LossError {
    LossError::Memory { column: column.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn state() -> LossState {
        LossState::default().with_samples("lambda", 4, 1.0).with_site("counts", vec![3.0, 1.0])
    }

    fn like() -> Tensor<2> {
        Tensor::zeros([1, 1], &Device::flex())
    }

    fn written(values: [f32; 2]) -> Tensor<1> {
        Tensor::from_data(values, &Device::flex())
    }

    #[test]
    fn a_batch_reads_and_writes_its_own_samples() {
        let mut state = state();
        Memory::new(&mut state, &[2, 0]).write("lambda", written([0.5, 0.25])).unwrap();
        let memory = Memory::new(&mut state, &[0, 1, 2, 3]);
        let values = memory.read("lambda", &like()).unwrap().try_into_vec_as::<f32>().unwrap();
        assert_eq!(values, [0.25, 1.0, 0.5, 1.0]);
        state.set_site("counts", &[4.0, 0.0]).unwrap();
        assert_eq!(state.site("counts").unwrap(), [4.0, 0.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut state = state();
        let refused = |state: &mut LossState, positions: &[u32], name: &'static str, values| {
            Memory::new(state, positions).write(name, written(values)).unwrap_err().to_string()
        };
        assert!(refused(&mut state, &[0, 4], "lambda", [0.0; 2]).contains("shorter than the site's data"));
        assert!(refused(&mut state, &[0], "lambda", [0.0; 2]).contains("another number of values"));
        assert!(refused(&mut state, &[0, 1], "counts", [0.0; 2]).contains("`counts`"));
        assert!(refused(&mut state, &[0, 1], "lambda", [f32::NAN, 0.0]).contains("NaN"));
        assert!(Memory::new(&mut state, &[9]).read("lambda", &like()).is_err());
        assert!(state.site("lambda").is_err());
        assert!(state.set_site("counts", &[1.0]).is_err());
        assert!(state.set_site("counts", &[1.0, f32::INFINITY]).is_err());
        assert_eq!(state, self::state());
    }

    #[test]
    fn a_stored_state_comes_back_only_to_the_same_data() {
        let mut stored = state();
        Memory::new(&mut stored, &[3, 1]).write("lambda", written([2.0, 4.0])).unwrap();
        let columns: BTreeMap<&str, &[f32]> = stored.columns().collect();
        let mut fresh = state();
        fresh.restore(|name| columns.get(name).copied()).unwrap();
        assert_eq!(fresh, stored);

        let mut other = LossState::default().with_samples("lambda", 5, 1.0);
        let before = other.clone();
        assert!(other.restore(|name| columns.get(name).copied()).unwrap_err().to_string().contains("other data"));
        assert!(other.restore(|_| None).unwrap_err().to_string().contains("is missing"));
        assert!(other.restore(|_| Some(&[0.0, 0.0, 0.0, 0.0, f32::NAN])).is_err());
        assert_eq!(other, before);
    }
}
