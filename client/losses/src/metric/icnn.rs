//! ICNN loss: how mixed the nearest neighbours of each sample are, how spread its own class and how near the others.
//!
//! # Formula
//! With `d(a, b) = sqrt(|a - b|^2 + 1e-6)`, `e = 1e-7` and, for each of `N` rows, the window of the `w + 1` nearest of `M`
//! targets without the nearest one; `near` the smallest distance in it to another class; `S` and `F` (each 0 or 1) whether
//! one of the first `k` of it is of the row's class or of another, and `ns`, `nf` their sums:
//!
//! - `nd = d / (near + e)`, or 0 for a row without another class in its window, each row over `max(1, max_j nd)`;
//! - `fd = d F` over its largest entry `+ e`;
//! - `intra = 1 - sum_ij nd S / (ns + e) / (#(ns > 0) + e)`, `inter = sum_ij fd / (nf + e) / (#(nf > 0) + e)`, or 1
//!   if `F` is 0 everywhere, `gamma = sum_ij S / (k N)`;
//! - `loss = -ln((gamma + (intra + inter) / 2) / 2)`
//!
//! If `k + 2 >= M`, `k` is `M - 2` and `gamma` is 1. `w` is `ipc`, or else `k + 1`.
//!
//! # Shapes
//! `embeddings: [n, width]`, `labels: [n]`, and the same of `targets` or none, for a set that is compared with itself; at
//! least 3 targets and more than `w`. The loss is `[1]`, because its parts are divided by counts of the whole batch.
//!
//! # Range and gradient
//! `[0, 27.7]`: the score under the logarithm is at most 1, for separated classes, and kept above 1e-12. Neighbours, `S`,
//! `F`, the counts and `gamma` are constants; distances are not, nor the minimum and the maxima that they are divided by.
//! Jumps where neighbours change. Rotating and moving everything and the order of the samples change nothing.
//!
//! # Choices
//! Neighbours are found on the host in double precision, ties by the lower index, which waits for the device: the result
//! depends on their order. Only distances within the windows are then differentiated, `O(N w D)`. The first neighbour is
//! left out for a set of targets too, as in the reference, where it is not the sample itself.
//!
//! # Source
//! Mendez-Ruiz et al.: SuSana Distancia is all you need: Enforcing class separability in metric learning via two novel
//! distance-based loss functions for few-shot image classification, 2023 (arXiv 2305.09062), ICNN loss; arranged as in
//! public code of the authors' line.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::icnn::{Config, Labelled, icnn};
//!
//! let device = Device::flex();
//! let rows = Tensor::<2>::from_data([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 0, 0, 1, 1, 1], &device);
//! let scored = icnn(Labelled { rows, labels }, None, &Config::default().with_k(1))?;
//! assert!(scored.loss.into_scalar::<f32>().abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::pairs::{check_labelled, check_width};
use super::proto_triplet::SQUARE_MIN;
use crate::error::{ConfigError, LossError};
use crate::host::{read_finite, read_whole};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{AT_LEAST_ONE, validate};

/// Added to what is divided by, as in the reference.
const EPS: f64 = 1e-7;
/// The smallest score that a logarithm is taken of.
const SCORE_MIN: f64 = 1e-12;

const NAME: &str = "icnn";

/// Options of ICNN loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How many neighbours are scored; at least 1.
    pub k: usize,
    /// How many neighbours the window has; at least 1, or null for k + 1.
    pub ipc: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self { k: 4, ipc: None }
    }
}

impl Config {
    /// Sets how many neighbours are scored.
    #[must_use]
    pub fn with_k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Sets how many neighbours the window has.
    #[must_use]
    pub fn with_ipc(mut self, ipc: usize) -> Self {
        self.ipc = Some(ipc);
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "metric",
        role: Role::Loss,
        tasks: &[TaskKind::Retrieval],
        options: &[
            OptionInfo::new("k", "4", "at least 1", "how many neighbours are scored"),
            OptionInfo::new("ipc", "null", "at least 1, or null for k + 1", "how many neighbours the window has"),
        ],
        remembers: Remembers::None,
        cost: "O(B^2 D)",
        file: include_str!("icnn.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("k", &self.k, &AT_LEAST_ONE)?;
        if let Some(ipc) = self.ipc {
            validate("ipc", &ipc, &AT_LEAST_ONE)?;
        }
        Ok(self)
    }
}

/// Rows and the class of each.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Embeddings, `[n, width]`.
    pub rows: Tensor<2>,
    /// Their classes, `[n]`.
    pub labels: Tensor<1, Int>,
}

/// What [`icnn`] gives, each `[1]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scored {
    /// The loss.
    pub loss: Tensor<1>,
    /// What it is the negative logarithm of.
    pub score: Tensor<1>,
    /// How close the own class is.
    pub intra: Tensor<1>,
    /// How far the other classes are.
    pub inter: Tensor<1>,
    /// Share of neighbours of the own class.
    pub gamma: f64,
}

/// The loss and its parts for `embeddings` compared with `targets`, or with themselves.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`] if there are too few targets for the window, [`LossError::Read`] if the
/// device fails, [`LossError::NotFinite`] for an embedding that is not finite.
pub fn icnn(embeddings: Labelled, targets: Option<Labelled>, config: &Config) -> Result<Scored, LossError> {
    let [rows, width] = check_labelled(NAME, "embeddings", &embeddings.rows, &embeddings.labels)?;
    let targets = targets.unwrap_or_else(|| embeddings.clone());
    check_width(NAME, "target", &targets.rows, width)?;
    let [others, _] = check_labelled(NAME, "target", &targets.rows, &targets.labels)?;
    let short = config.k + 2 >= others;
    let k = if short { others.saturating_sub(2) } else { config.k };
    let window = config.ipc.unwrap_or(k + 1);
    if k == 0 || window >= others {
        let expected = format!("[n, {width}] with n >= 3 and n > {window}, the neighbours of a window");
        return Err(LossError::Shape { loss: NAME, tensor: "target", expected, found: vec![others, width] });
    }
    let neighbours = Neighbours::find(&embeddings, &targets, window)?;
    let distances = neighbours.distances(embeddings.rows, targets.rows);
    let columns = k.min(window);
    let counted = neighbours.counted(columns, &distances);
    let scored = distances.clone().slice([0..rows, 0..columns]);

    let near = distances.gather(1, counted.nearest_other).mask_fill(counted.without_other.clone(), 1.0);
    let shares = (scored.clone() / (near + EPS)).mask_fill(counted.without_other.expand([rows, columns]), 0.0);
    let shares = shares.clone() / shares.max_dim(1).clamp_min(1.0);
    let intra = (shares * counted.same_share).sum().neg() + 1.0;
    let far = scored * counted.others;
    let inter = if counted.any_other {
        (far.clone() / (far.max().reshape([1, 1]) + EPS) * counted.other_share).sum()
    } else {
        intra.ones_like()
    };
    let gamma = if short { 1.0 } else { counted.same / (k * rows) as f64 };
    let score = (((intra.clone() + inter.clone()) * 0.5 + gamma) * 0.5).clamp_min(SCORE_MIN);
    Ok(Scored { loss: score.clone().log().neg(), score, intra, inter, gamma })
}

/// Windows on the host.
struct Neighbours {
    rows: usize,
    window: usize,
    /// Targets, nearest first, row after row.
    indices: Vec<i64>,
    /// Whether each is of the row's class.
    same: Vec<bool>,
}

/// What follows from the windows and counts as constant.
struct Counted {
    /// Column of the nearest neighbour of another class, `[rows, 1]`.
    nearest_other: Tensor<2, Int>,
    /// Whether there is none, `[rows, 1]`.
    without_other: Tensor<2, burn::tensor::Bool>,
    /// `S / (ns + e) / (#(ns > 0) + e)`, `[rows, columns]`.
    same_share: Tensor<2>,
    /// `F`, `[rows, columns]`.
    others: Tensor<2>,
    /// `F / (nf + e) / (#(nf > 0) + e)`, `[rows, columns]`.
    other_share: Tensor<2>,
    /// Number of ones in `S`.
    same: f64,
    /// Whether there is a one in `F`.
    any_other: bool,
}

impl Neighbours {
    fn find(embeddings: &Labelled, targets: &Labelled, window: usize) -> Result<Self, LossError> {
        let [rows, width] = embeddings.rows.dims();
        let from = read_finite("embeddings", &embeddings.rows)?;
        let to = read_finite("target", &targets.rows)?;
        let of_rows = read_whole("labels", &embeddings.labels)?;
        let of_targets = read_whole("labels", &targets.labels)?;
        let (mut indices, mut same) = (Vec::with_capacity(rows * window), Vec::with_capacity(rows * window));
        for (row, label) in from.chunks(width).zip(of_rows) {
            let square = |other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            let mut order: Vec<(f64, usize)> = to.chunks(width).map(square).zip(0..).collect();
            let nearer =
                |left: &(f64, usize), right: &(f64, usize)| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1));
            order.select_nth_unstable_by(window, nearer);
            order.truncate(window + 1);
            order.sort_unstable_by(nearer);
            for (_, index) in order.into_iter().skip(1) {
                indices.push(index as i64);
                same.push(of_targets[index] == label);
            }
        }
        Ok(Self { rows, window, indices, same })
    }

    /// Distances of the neighbours, `[rows, window]`.
    fn distances(&self, embeddings: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        let [rows, width] = embeddings.dims();
        let indices = Tensor::<1, Int>::from_data(self.indices.as_slice(), &targets.device());
        let neighbours = targets.select(0, indices).reshape([rows, self.window, width]);
        let squares = (neighbours - embeddings.reshape([rows, 1, width])).square().sum_dim(2);
        (squares + SQUARE_MIN).sqrt().reshape([rows, self.window])
    }

    fn counted(&self, columns: usize, like: &Tensor<2>) -> Counted {
        let (device, rows) = (like.device(), self.rows);
        let constant = |values: Vec<f64>| {
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), (&device, like.dtype()))
        };
        let first_other: Vec<Option<usize>> =
            self.same.chunks(self.window).map(|row| row.iter().position(|same| !same)).collect();
        let nearest: Vec<i64> = first_other.iter().map(|column| column.unwrap_or(0) as i64).collect();
        let without: Vec<bool> = first_other.iter().map(Option::is_none).collect();
        let of_kind = |same: bool| -> Vec<f64> {
            let row = |row: &[bool]| row[..columns].iter().map(|&is| f64::from(is == same)).collect::<Vec<_>>();
            self.same.chunks(self.window).flat_map(row).collect()
        };
        let (same, others) = (of_kind(true), of_kind(false));
        Counted {
            nearest_other: Tensor::from_data(TensorData::new(nearest, [rows, 1]), &device),
            without_other: Tensor::from_data(TensorData::new(without, [rows, 1]), &device),
            same: same.iter().sum(),
            any_other: others.contains(&1.0),
            same_share: constant(shares(&same, columns)),
            other_share: constant(shares(&others, columns)),
            others: constant(others),
        }
    }
}

/// Ones over the number of those in their row, and over the number of rows that have any.
fn shares(ones: &[f64], columns: usize) -> Vec<f64> {
    let sums: Vec<f64> = ones.chunks(columns).map(|row| row.iter().sum()).collect();
    let rows = sums.iter().filter(|sum| **sum > 0.0).count() as f64;
    let of_row =
        |(row, sum): (&[f64], &f64)| row.iter().map(|one| one / (sum + EPS) / (rows + EPS)).collect::<Vec<_>>();
    ones.chunks(columns).zip(&sums).flat_map(of_row).collect()
}
