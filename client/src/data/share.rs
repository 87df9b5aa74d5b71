//! Some samples of a data set, seen through a normalisation: what training and evaluation read.

use std::sync::Arc;

use super::dataset::Dataset;
use super::error::DataError;
use super::look::Look;
use super::normalise::{Normaliser, check_rows};

/// Some rows of a data set.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The data set.
    pub dataset: Arc<Dataset>,
    /// Row numbers in it.
    pub rows: Vec<u32>,
}

/// Some rows of a data set under a normalisation. Cheap to clone: it copies no sample.
#[derive(Clone, Debug)]
pub struct Share {
    dataset: Arc<Dataset>,
    rows: Arc<[u32]>,
    normaliser: Arc<Normaliser>,
    /// The class of each sample in the eyes of the site, where it differs from the data's.
    labels: Option<Arc<[u32]>>,
    /// How inputs look at the site, where that differs.
    look: Option<Arc<Look>>,
}

impl Share {
    /// The samples `rows` of `dataset`, in that order.
    ///
    /// # Errors
    /// When a row is outside the data set.
    pub fn new(dataset: Arc<Dataset>, rows: Vec<u32>, normaliser: Arc<Normaliser>) -> Result<Self, DataError> {
        check_rows(&dataset, &rows)?;
        Ok(Self { dataset, rows: rows.into(), normaliser, labels: None, look: None })
    }

    /// All samples of `dataset`.
    #[must_use]
    pub fn whole(dataset: Arc<Dataset>, normaliser: Arc<Normaliser>) -> Self {
        let rows = dataset.all_rows().into();
        Self { dataset, rows, normaliser, labels: None, look: None }
    }

    /// The same samples with other classes: what a site of a simulation takes them for.
    ///
    /// # Errors
    /// When there is not one class for each sample.
    pub fn with_labels(mut self, labels: Vec<u32>) -> Result<Self, DataError> {
        if labels.len() != self.len() {
            return Err(DataError::Parts { why: format!("{} labels for {} samples", labels.len(), self.len()) });
        }
        self.labels = Some(labels.into());
        Ok(self)
    }

    /// The same samples with inputs that look so.
    #[must_use]
    pub fn with_look(mut self, look: Look) -> Self {
        self.look = (!look.is_plain()).then(|| Arc::new(look));
        self
    }

    /// The samples at `positions`, each below [`Share::len`], in that order, seen in the same way.
    #[must_use]
    pub fn select(&self, positions: &[u32]) -> Self {
        let pick = |of: &[u32]| positions.iter().map(|position| of[*position as usize]).collect();
        Self { rows: pick(&self.rows), labels: self.labels.as_deref().map(pick), ..self.clone() }
    }

    /// The data set behind.
    #[must_use]
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Rows of the data set.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The normalisation.
    #[must_use]
    pub fn normaliser(&self) -> &Arc<Normaliser> {
        &self.normaliser
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The group of the sample at `position`, which is below [`Share::len`]: its class, in a classification.
    #[must_use]
    pub fn group(&self, position: u32) -> u32 {
        let position = position as usize;
        match &self.labels {
            Some(labels) => labels[position],
            None => self.dataset.groups()[self.rows[position] as usize],
        }
    }

    /// How inputs look at the site, where that differs from the data.
    #[must_use]
    pub fn look(&self) -> Option<&Look> {
        self.look.as_deref()
    }

    /// Samples of each class; a sample with several labels counts for each. Nothing in regression.
    #[must_use]
    pub fn class_counts(&self, classes: usize) -> Vec<u64> {
        let Some(labels) = &self.labels else {
            return self.dataset.targets().class_counts(self.rows.iter().copied(), classes);
        };
        let mut counts = vec![0; classes];
        for label in labels.iter() {
            if let Some(count) = counts.get_mut(*label as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Writes the samples at `positions` (each below [`Share::len`]) as one batch: normalised inputs
    /// `[positions, values of a sample]`, never NaN, and groups `[positions]`, in a classification the classes. What the
    /// vectors held is dropped; they are not allocated again once they are large enough.
    pub fn gather(&self, positions: &[u32], inputs: &mut Vec<f32>, labels: &mut Vec<i64>) {
        inputs.clear();
        labels.clear();
        inputs.reserve(positions.len() * self.dataset.sample_values());
        labels.reserve(positions.len());
        for position in positions {
            let row = self.rows[*position as usize];
            let start = inputs.len();
            self.normaliser.append(&self.dataset, row as usize, inputs);
            if let Some(look) = &self.look {
                look.apply(row, self.dataset.shape(), &mut inputs[start..]);
            }
            labels.push(i64::from(self.group(*position)));
        }
    }

    /// Writes the targets of the samples at `positions` as `[positions, width]`; nothing where targets are classes.
    pub fn gather_targets(&self, positions: &[u32], targets: &mut Vec<f32>) {
        targets.clear();
        let Some(matrix) = self.dataset.targets().matrix() else { return };
        for position in positions {
            targets.extend_from_slice(matrix.row(self.rows[*position as usize] as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Inputs;
    use crate::data::testing::plan;

    fn share() -> Share {
        let plan = plan(3, "[data]\nsource = \"digits\"\nnormalise.divide.by = 2\n");
        let data = Arc::new(Dataset::new(Inputs::U8(vec![2, 4, 6, 8]), vec![0, 1, 2, 1], vec![1]).unwrap());
        let normaliser = Arc::new(Normaliser::fit(&plan, &data, &[]).unwrap());
        Share::new(data, vec![3, 1, 2], normaliser).unwrap()
    }

    #[test]
    fn a_batch_has_the_rows_asked_for_in_that_order() {
        let share = share();
        let (mut inputs, mut labels) = (vec![9.0; 100], vec![9; 100]);
        share.gather(&[2, 0, 2], &mut inputs, &mut labels);
        assert_eq!((inputs, labels), (vec![3.0, 4.0, 3.0], vec![2, 1, 2]));
        assert_eq!((share.len(), share.group(1), share.class_counts(3)), (3, 1, vec![0, 2, 1]));
        assert!(Share::new(Arc::clone(share.dataset()), vec![4], Arc::clone(share.normaliser())).is_err());
    }

    #[test]
    fn a_site_may_see_other_labels_and_inputs() {
        let seen = share().with_labels(vec![2, 0, 0]).unwrap();
        let seen = seen.with_look(Look { bias: 10.0, ..Look::plain(1, synod_common::ids::ClientId([0; 16])) });
        let part = seen.select(&[2, 0]);
        let (mut inputs, mut labels) = (Vec::new(), Vec::new());
        part.gather(&[0, 1], &mut inputs, &mut labels);
        assert_eq!((inputs, labels), (vec![13.0, 14.0], vec![0, 2]));
        assert_eq!((part.class_counts(3), part.rows()), (vec![1, 0, 1], &[2, 3][..]));
        assert!(share().with_labels(vec![1]).is_err());
    }

    #[test]
    fn a_second_batch_allocates_nothing() {
        let share = share();
        let (mut inputs, mut labels) = (Vec::new(), Vec::new());
        share.gather(&[0, 1, 2], &mut inputs, &mut labels);
        let before = (inputs.as_ptr(), labels.as_ptr(), inputs.capacity());
        share.gather(&[2, 1, 0], &mut inputs, &mut labels);
        assert_eq!(before, (inputs.as_ptr(), labels.as_ptr(), inputs.capacity()));
    }
}
