//! Gaussian naive Bayes: a linear head in closed form, from sums that sites add up in one round.
//!
//! # Formula
//! Each site gives `n_k` (rows of class `k`), `s_k` (sum of their features) and `q` (sum of squared features of all
//! rows). Of the totals, `n = sum_k n_k`, `mean_k = s_k / n_k`,
//! `var_j = max(0, (q_j - sum_k n_k mean_kj^2) / n) + var_eps`,
//! `prior_k = (n_k + prior_smoothing) / (n + C prior_smoothing)`, and the head is `weight_k = mean_k / var`,
//! `bias_k = ln prior_k - sum_j mean_kj^2 / (2 var_j)`, with scores `<weight_k, x> + bias_k`.
//!
//! # Shapes
//! `features: [rows, width]`, `labels: [rows]` with values in `0..classes`; scores are `[rows, classes]`.
//!
//! # Range and gradient
//! Differences of scores are those of `ln prior_k + ln N(x; mean_k, var)`. Fitting has no gradient; the cross-entropy
//! of [`Head::logits`] has one with respect to the query. A class without rows has mean and weight 0 and bias -1e30: it
//! is never predicted, and a label of it costs about 1e30.
//!
//! # Choices
//! Sums are kept in double precision, so that the head is that of the pooled data however rows are split, and the
//! difference of squares keeps its digits up to features some 1e5 standard deviations from 0. Centre features that are
//! further away, and raise `var_eps` where a feature is constant. [`Head::logits`] are scores minus a number of their
//! row, computed around the centre of the classes so that single precision suffices. The sums are exact statistics of
//! a site's data: clip features and add noise where that matters.
//!
//! # Source
//! Zheng, Wu, Bao, Cao, Li, Zhu: Revisiting Discriminative vs. Generative Classifiers: Theory and Implications, ICML
//! 2023, and its released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::classification::naive_bayes::{Config, Statistics};
//!
//! let device = Device::flex();
//! let site = |rows: [[f32; 1]; 2], labels: [i64; 2]| {
//!     Statistics::new(&Tensor::from_data(rows, &device), &Tensor::<1, Int>::from_data(labels, &device), 2)
//! };
//! let total = site([[0.0], [1.0]], [0, 0])?.merge(&site([[5.0], [6.0]], [1, 1])?)?;
//! let head = total.head(&Config::default())?;
//! assert_eq!((head.mean, head.var[0]), (vec![0.5, 5.5], 0.25 + 1e-9));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, TensorData};

use crate::check;
use crate::error::LossError;
use crate::host::{read_finite, read_whole};
use crate::option::{NON_NEGATIVE, POSITIVE, constants, objective};

objective! {
    "naive_bayes", family: "classification", file: "naive_bayes.rs", role: Step, tasks: [Classification],
    remembers: Shared, cost: "O(B D)",
    options: {
        var_eps / with_var_eps: f64 = 1e-9 => "1e-9", POSITIVE, "number added to each variance";
        prior_smoothing / with_prior_smoothing: f64 = 0.0, NON_NEGATIVE, "rows added to each class in the priors";
    }
}

/// Bias of a class without rows.
const BIAS_OF_ABSENT: f64 = -1e30;

/// Most numbers in a head, 512 MiB: far more than features of networks have.
const NUMBERS_MAX: usize = 1 << 26;

/// Sums of rows, which add up over sites.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Rows of each class, `[classes]`.
    pub counts: Vec<u64>,
    /// Sums of the features of each class, `[classes, width]` in row-major order.
    pub sums: Vec<f64>,
    /// Sums of squared features of all rows, `[width]`.
    pub squares: Vec<f64>,
}

impl Statistics {
    /// Of no rows.
    ///
    /// # Errors
    /// [`LossError::Shape`] for no classes, no features, or more than 2^26 numbers.
    pub fn empty(classes: usize, width: usize) -> Result<Self, LossError> {
        match classes.checked_mul(width) {
            Some(numbers) if (1..=NUMBERS_MAX).contains(&numbers) => {
                Ok(Self { counts: vec![0; classes], sums: vec![0.0; numbers], squares: vec![0.0; width] })
            }
            _ => {
                let expected = format!("[classes, width] with 1 to {NUMBERS_MAX} entries");
                Err(LossError::Shape { loss: NAME, tensor: "the head", expected, found: vec![classes, width] })
            }
        }
    }

    /// Of a site's rows, `features: [rows, width]` with `labels: [rows]` in `0..classes`. Waits for the device.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`], [`LossError::Shape`], [`LossError::Label`], [`LossError::NotFinite`].
    pub fn new(features: &Tensor<2>, labels: &Tensor<1, Int>, classes: usize) -> Result<Self, LossError> {
        let [_, width] = check::classification(NAME, features, labels)?;
        let mut statistics = Self::empty(classes, width)?;
        let labels = read_whole("labels", labels)?;
        check::labels(&labels, classes)?;
        for (row, label) in read_finite("features", features)?.chunks(width).zip(labels) {
            let class = label as usize;
            statistics.counts[class] += 1;
            for (feature, &value) in row.iter().enumerate() {
                statistics.sums[class * width + feature] += value;
                statistics.squares[feature] += value * value;
            }
        }
        Ok(statistics)
    }

    /// Of these rows and those of `other`.
    ///
    /// # Errors
    /// [`LossError::Shape`] if the numbers of classes or features differ.
    pub fn merge(mut self, other: &Self) -> Result<Self, LossError> {
        let shape = |statistics: &Self| vec![statistics.counts.len(), statistics.squares.len()];
        if shape(&self) != shape(other) || self.sums.len() != other.sums.len() {
            let expected = format!("{:?}, classes and features of the others", shape(&self));
            return Err(LossError::Shape { loss: NAME, tensor: "statistics", expected, found: shape(other) });
        }
        add(&mut self.sums, &other.sums);
        add(&mut self.squares, &other.squares);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        Ok(self)
    }

    /// The head that these rows give.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`] if there are no rows.
    pub fn head(&self, config: &Config) -> Result<Head, LossError> {
        let (classes, width) = (self.counts.len(), self.squares.len());
        let rows = self.counts.iter().fold(0u64, |total, count| total.saturating_add(*count)) as f64;
        if rows == 0.0 {
            return Err(LossError::EmptyBatch { loss: NAME });
        }
        let of_class = |values: &[f64], class: usize| values[class * width..(class + 1) * width].to_vec();
        let mut mean = self.sums.clone();
        let mut var = self.squares.clone();
        for (class, &count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            for feature in 0..width {
                let entry = &mut mean[class * width + feature];
                *entry /= count as f64;
                var[feature] -= count as f64 * *entry * *entry;
            }
        }
        var.iter_mut().for_each(|var| *var = (*var / rows).max(0.0) + config.var_eps);
        let smoothing = config.prior_smoothing;
        let prior: Vec<f64> =
            self.counts.iter().map(|&n| (n as f64 + smoothing) / (rows + classes as f64 * smoothing)).collect();
        let weight: Vec<f64> = mean.chunks(width).flat_map(|mean| mean.iter().zip(&var).map(|(m, v)| m / v)).collect();
        let bias = (0..classes).map(|class| match self.counts[class] {
            0 => BIAS_OF_ABSENT,
            _ => {
                let products = of_class(&mean, class).into_iter().zip(of_class(&weight, class));
                prior[class].ln() - 0.5 * products.map(|(mean, weight)| mean * weight).sum::<f64>()
            }
        });
        Ok(Head { counts: self.counts.clone(), bias: bias.collect(), mean, var, prior, weight })
    }
}

fn add(left: &mut [f64], right: &[f64]) {
    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
}

/// A fitted head.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Head {
    /// Rows of each class, `[classes]`.
    pub counts: Vec<u64>,
    /// Means of each class, `[classes, width]` in row-major order.
    pub mean: Vec<f64>,
    /// Variances, shared by the classes, `[width]`.
    pub var: Vec<f64>,
    /// Shares of the classes, `[classes]`.
    pub prior: Vec<f64>,
    /// Weights of the linear head, `[classes, width]` in row-major order.
    pub weight: Vec<f64>,
    /// Its biases, `[classes]`.
    pub bias: Vec<f64>,
}

impl Head {
    /// Scores of a query, `[rows, classes]`, in its number type, for `query: [rows, width]`. Of tied scores the first
    /// class is predicted.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`], [`LossError::Shape`].
    pub fn scores(&self, query: Tensor<2>) -> Result<Tensor<2>, LossError> {
        self.linear(query, &self.weight, &self.bias)
    }

    /// Scores minus a number of each row, `[rows, classes]`: the same probabilities, computed around the centre of the
    /// classes, so that large means do not cancel.
    ///
    /// # Errors
    /// As [`Head::scores`].
    pub fn logits(&self, query: Tensor<2>) -> Result<Tensor<2>, LossError> {
        let width = self.var.len();
        let present: Vec<usize> = (0..self.counts.len()).filter(|&class| self.counts[class] > 0).collect();
        let mut centre = vec![0.0; width];
        for &class in &present {
            add(&mut centre, &self.mean[class * width..(class + 1) * width]);
        }
        centre.iter_mut().for_each(|centre| *centre /= present.len() as f64);
        let mut weight = vec![0.0; self.weight.len()];
        let mut bias = self.bias.clone();
        for class in present {
            bias[class] = self.prior[class].ln();
            for feature in 0..width {
                let distance = self.mean[class * width + feature] - centre[feature];
                weight[class * width + feature] = distance / self.var[feature];
                bias[class] -= 0.5 * distance * distance / self.var[feature];
            }
        }
        let centre = constants(&query, &centre);
        check::vector(NAME, "query", &centre, query.dims()[1])?;
        self.linear(query - centre.reshape([1, width]), &weight, &bias)
    }

    fn linear(&self, query: Tensor<2>, weight: &[f64], bias: &[f64]) -> Result<Tensor<2>, LossError> {
        let (classes, width) = (self.counts.len(), self.var.len());
        let [rows, columns] = check::matrix(NAME, "query", &query)?;
        if columns != width {
            let (expected, found) = (format!("[{rows}, {width}]"), vec![rows, columns]);
            return Err(LossError::Shape { loss: NAME, tensor: "query", expected, found });
        }
        let options = (&query.device(), query.dtype());
        let weight = Tensor::<2>::from_data(TensorData::new(weight.to_vec(), [classes, width]), options);
        let bias = constants(&query, bias).reshape([1, classes]);
        Ok(query.matmul(weight.transpose()) + bias)
    }
}
