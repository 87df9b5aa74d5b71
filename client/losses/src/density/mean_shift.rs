//! Mean shift: moves rows into the crowd of their neighbours, so that an outlier is far from its own place.
//!
//! # Formula
//! Pass `t` replaces every row of the reference by the mean of its `k` nearest rows of pass `t - 1`, itself among them, all
//! at once. A query is replaced by the mean of itself and its `k - 1` nearest rows of the reference before that pass.
//!
//! # Shapes
//! `data: [rows, features]`, `query: [queries, features]`; the results have the shape of what is moved, on the host.
//!
//! # Range and gradient
//! Within the smallest box around the rows. A step, not a loss: it makes constants. Nothing is differentiated.
//!
//! # Choices
//! Squared Euclidean distances; of equal ones the lower index is nearer. To score outliers run the network on the original
//! row and compare its output with the shifted one, for instance by `apre`. `k` belongs to the data; the paper
//! chooses it in 2 to 100 and 1 to 3 passes by validation. Neighbours are the site's own.
//!
//! # Source
//! Tan et al.: Improving Autoencoder-based Outlier Detection with Adjustable Probabilistic Reconstruction Error
//! and Mean-shift Outlier Scoring, 2023; official code, `libs/data_shift.py`.
//!
//! # Example
//! ```
//! use synod_losses::density::mean_shift::{Config, Rows, mean_shift};
//!
//! let data = Rows::new(vec![0.0, 1.0, 5.0], 1)?;
//! let passes = mean_shift(&data, &Config::default().with_k(2))?;
//! assert_eq!(passes[0].values(), [0.5, 0.5, 3.0]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use crate::error::LossError;
use crate::option::{AT_LEAST_ONE, objective};

objective! {
    "mean_shift", family: "density", file: "mean_shift.rs", role: Step, tasks: [Density], remembers: None,
    cost: "O(t B^2 D) for t passes",
    options: {
        k / with_k: usize = 10, AT_LEAST_ONE, "number of neighbours, the row itself among them";
        times / with_times: usize = 1, AT_LEAST_ONE, "number of passes";
    }
}

/// Rows of finite numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    values: Vec<f64>,
    features: usize,
}

impl Rows {
    /// Rows of `features` numbers each.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`] without numbers, [`LossError::Shape`] if a row is not complete, [`LossError::NotFinite`].
    pub fn new(values: Vec<f64>, features: usize) -> Result<Self, LossError> {
        if values.is_empty() {
            return Err(LossError::EmptyBatch { loss: NAME });
        }
        if features == 0 || !values.len().is_multiple_of(features) {
            let (expected, found) = (format!("[rows, {features}]"), vec![values.len()]);
            return Err(LossError::Shape { loss: NAME, tensor: "rows", expected, found });
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(position) => Err(LossError::NotFinite { tensor: "rows", position, value: values[position] }),
            None => Ok(Self { values, features }),
        }
    }

    /// The numbers, row by row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How many rows there are, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.features
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.features)
    }

    /// The mean of `own` and the `k` nearest rows of these, or of these alone; `distances` is room to work in.
    fn mean_near(&self, row: &[f64], own: Option<&[f64]>, k: usize, distances: &mut Vec<(f64, usize)>) -> Vec<f64> {
        let square = |other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        distances.clear();
        distances.extend(self.rows().map(square).zip(0..));
        if k < distances.len() {
            distances.select_nth_unstable_by(k, |left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
            distances.truncate(k);
            // The sum does not depend on the order in which the selection leaves them.
            distances.sort_unstable_by_key(|&(_, index)| index);
        }
        let mut mean = own.map_or_else(|| vec![0.0; row.len()], <[f64]>::to_vec);
        for &(_, index) in distances.iter() {
            let near = &self.values[index * self.features..][..self.features];
            mean.iter_mut().zip(near).for_each(|(sum, value)| *sum += value);
        }
        let count = distances.len() + usize::from(own.is_some());
        mean.iter_mut().for_each(|sum| *sum /= count as f64);
        mean
    }

    fn moved(&self, move_row: impl FnMut(&[f64]) -> Vec<f64>) -> Self {
        Self { values: self.rows().flat_map(move_row).collect(), features: self.features }
    }
}

/// The reference rows after each pass.
///
/// # Errors
/// [`LossError::Value`] if there are fewer rows than neighbours.
pub fn mean_shift(data: &Rows, config: &Config) -> Result<Vec<Rows>, LossError> {
    check_neighbours(data, config.k)?;
    let mut distances = Vec::with_capacity(data.count());
    let mut passes: Vec<Rows> = Vec::new();
    for _ in 0..config.times {
        let before = passes.last().unwrap_or(data);
        passes.push(before.moved(|row| before.mean_near(row, None, config.k, &mut distances)));
    }
    Ok(passes)
}

/// The queries after all passes over `data`.
///
/// # Errors
/// As [`mean_shift`]; also for fewer than 2 neighbours, [`LossError::Shape`] if the queries have other features.
pub fn mean_shift_queries(query: &Rows, data: &Rows, config: &Config) -> Result<Rows, LossError> {
    check_neighbours(data, config.k)?;
    if config.k < 2 {
        let problem = "a query has at least one neighbour besides itself; set it to 2 or more".to_owned();
        return Err(LossError::Value { loss: NAME, input: "k", problem });
    }
    if query.features != data.features {
        let (expected, found) = (format!("[queries, {}]", data.features), vec![query.count(), query.features]);
        return Err(LossError::Shape { loss: NAME, tensor: "query", expected, found });
    }
    // The last pass of the reference is not needed.
    let shorter = Config { times: config.times - 1, k: config.k };
    let passes = mean_shift(data, &shorter)?;
    let mut distances = Vec::with_capacity(data.count());
    let mut query = query.clone();
    for before in std::iter::once(data).chain(&passes) {
        query = query.moved(|row| before.mean_near(row, Some(row), config.k - 1, &mut distances));
    }
    Ok(query)
}

fn check_neighbours(data: &Rows, k: usize) -> Result<(), LossError> {
    if k <= data.count() {
        return Ok(());
    }
    let problem = format!("{k} neighbours among {} rows; set it to at most the number of rows", data.count());
    Err(LossError::Value { loss: NAME, input: "k", problem })
}
