//! Sinkhorn divergence: what it costs to move the sampled masks onto the raters', with blurred transport.
//!
//! # Formula
//! Entropic transport with the cost `c(u, v) = |u - v|^2 / 2` between the sigmoids of `N` samples and the masks of `M`
//! raters, minus what it costs within each set. With `e = blur^2`, `P_ij` the transport plan between the sets and `Q_ii'`
//! that among the samples, both with rows that add up to 1:
//!
//! `loss_b = mean_i (f_i - fa_i) + mean_j (g_j - gb_j)`, `dloss/dx_i = (1/N) (sum_i' Q_ii' x_i' - sum_j P_ij y_j)`
//!
//! The potentials `f`, `g`, `fa` and `gb` come from symmetric Sinkhorn steps at temperatures that fall from `diameter^2` by
//! `scaling^2` to `blur^2`, and one more at the last.
//!
//! # Shapes
//! `logits: [batch, samples, pixels]`, `raters: [batch, raters, pixels]`, each 0 or 1, any number of either; the result is
//! `[batch]`.
//!
//! # Range and gradient
//! At least 0 up to rounding, 0 for two equal sets. Only the last step is differentiated, with the potentials as constants,
//! which is the gradient of the converged value. Raters have no gradient. If all masks coincide it is 0.
//!
//! # Choices
//! Costs are computed on the device from differences; the steps, on matrices of `(N + M)^2` numbers, on the host in double
//! precision, which waits for the device: with a small blur single precision is not enough. Without `diameter` it is the
//! length of the range of all masks of the batch, so that values depend a little on what else is in the batch.
//!
//! # Source
//! Chatterjee et al.: PULASki: Learning inter-rater variability using statistical distances to improve probabilistic
//! segmentation, Medical Image Analysis 2025 (arXiv 2312.15686); steps as in Feydy et al.: Interpolating between Optimal
//! Transport and MMD using Sinkhorn Divergences, AISTATS 2019, whose library the official code calls.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::raters::sinkhorn::{Config, sinkhorn};
//!
//! let device = Device::flex();
//! let logits = Tensor::<3>::from_data([[[1000.0, -1000.0]]], &device);
//! let raters = Tensor::<3>::from_data([[[0.0, 1.0]]], &device);
//! let loss = sinkhorn(logits, &raters, &Config::default())?.into_scalar::<f32>();
//! assert!((loss - 1.0).abs() < 1e-6, "one sample, one rater: half the squared distance");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, TensorData, activation::sigmoid};
use serde::{Deserialize, Serialize};

use super::samples::{check, squared_distances};
use crate::error::{ConfigError, LossError};
use crate::gradient::attach_each;
use crate::host::read_finite;
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{Allowed, validate};

/// The smallest blur: below it the exponents of a softmin are beyond what single-precision costs say.
const BLUR_MIN: f64 = 1e-4;
/// The largest diameter, which with the smallest blur and the slowest fall bounds the number of steps.
const DIAMETER_MAX: f64 = 1e6;
/// The slowest fall of the temperature.
const SCALING_MAX: f64 = 0.99;

const NAME: &str = "sinkhorn";

/// Options of the Sinkhorn divergence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The distance below which masks count as alike; from 0.0001 to 1e6.
    pub blur: f64,
    /// How fast the temperature falls; above 0, at most 0.99.
    pub scaling: f64,
    /// The distance at which the steps begin; above 0, at most 1e6, or null.
    pub diameter: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { blur: 0.05, scaling: 0.5, diameter: None }
    }
}

impl Config {
    /// Sets the distance below which masks count as alike.
    #[must_use]
    pub fn with_blur(mut self, blur: f64) -> Self {
        self.blur = blur;
        self
    }

    /// Sets how fast the temperature falls.
    #[must_use]
    pub fn with_scaling(mut self, scaling: f64) -> Self {
        self.scaling = scaling;
        self
    }

    /// Sets the distance at which the steps begin.
    #[must_use]
    pub fn with_diameter(mut self, diameter: f64) -> Self {
        self.diameter = Some(diameter);
        self
    }
}

impl Objective for Config {
    const INFO: LossInfo = LossInfo {
        name: NAME,
        family: "segmentation",
        role: Role::Loss,
        tasks: &[TaskKind::Segmentation],
        options: &[
            OptionInfo::new("blur", "0.05", "from 0.0001 to 1e6", "the distance below which masks count as alike"),
            OptionInfo::new("scaling", "0.5", "above 0, at most 0.99", "how fast the temperature falls"),
            OptionInfo::new(
                "diameter",
                "null",
                "above 0, at most 1e6, or null",
                "the distance at which the steps begin",
            ),
        ],
        remembers: Remembers::None,
        cost: "O(B (N + M)^2 (pixels + steps))",
        file: include_str!("sinkhorn.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        const BLUR: Allowed<f64> =
            Allowed { test: |blur| (BLUR_MIN..=DIAMETER_MAX).contains(blur), text: "from 0.0001 to 1e6" };
        const SCALING: Allowed<f64> =
            Allowed { test: |scaling| *scaling > 0.0 && *scaling <= SCALING_MAX, text: "above 0, at most 0.99" };
        const DIAMETER: Allowed<f64> = Allowed {
            test: |diameter| *diameter > 0.0 && *diameter <= DIAMETER_MAX,
            text: "above 0, at most 1e6, or null",
        };
        validate("blur", &self.blur, &BLUR)?;
        validate("scaling", &self.scaling, &SCALING)?;
        if let Some(diameter) = self.diameter {
            validate("diameter", &diameter, &DIAMETER)?;
        }
        Ok(self)
    }
}

/// Values per image, `[batch]`, for `logits: [batch, samples, pixels]` and `raters: [batch, raters, pixels]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`]; [`LossError::NotFinite`] for logits that are not finite,
/// [`LossError::Read`] if the device fails.
pub fn sinkhorn(logits: Tensor<3>, raters: &Tensor<3>, config: &Config) -> Result<Tensor<1>, LossError> {
    let [batch, n, m, _] = check(NAME, &logits, raters)?;
    let masks = sigmoid(logits);
    let (x, y) = (masks.clone().detach(), raters.clone().detach());
    let diameter = match config.diameter {
        Some(diameter) => diameter,
        None => range_length(&x, &y)?,
    };
    let costs = |left: &Tensor<3>, right: &Tensor<3>| read_finite("logits", &(squared_distances(left, right) * 0.5));
    let (between, samples, of_raters) = (costs(&x, &y)?, costs(&x, &x)?, costs(&y, &y)?);
    let temperatures = temperatures(diameter, config);
    let (mut values, mut to_raters, mut to_samples) = (Vec::new(), Vec::new(), Vec::new());
    for image in 0..batch {
        let of_image = |costs: &[f64], rows: usize, columns: usize| Costs {
            rows,
            columns,
            values: costs[image * rows * columns..(image + 1) * rows * columns].to_vec(),
        };
        let transport = Transport {
            between: of_image(&between, n, m),
            samples: of_image(&samples, n, n),
            raters: of_image(&of_raters, m, m),
        };
        let moved = transport.solve(&temperatures);
        values.push(moved.value);
        to_raters.extend(moved.to_raters);
        to_samples.extend(moved.to_samples);
    }
    let options = (&x.device(), x.dtype());
    let plan =
        |plan: Vec<f64>, columns: usize| Tensor::<3>::from_data(TensorData::new(plan, [batch, n, columns]), options);
    let gradient = (plan(to_samples, n).matmul(x.clone()) - plan(to_raters, m).matmul(y)) / n as f64;
    Ok(attach_each(Tensor::from_data(TensorData::new(values, [batch]), options), masks, gradient))
}

/// Length of the range of all masks, coordinate by coordinate.
fn range_length(x: &Tensor<3>, y: &Tensor<3>) -> Result<f64, LossError> {
    let all = Tensor::cat(vec![x.clone(), y.clone()], 1);
    let range = all.clone().max_dim(1).max_dim(0) - all.min_dim(1).min_dim(0);
    let squares = read_finite("logits", &range)?.iter().map(|side| side * side).sum::<f64>();
    Ok(squares.sqrt())
}

/// From `diameter^2` down to `blur^2`; nothing for a diameter of 0.
fn temperatures(diameter: f64, config: &Config) -> Vec<f64> {
    if diameter == 0.0 {
        return Vec::new();
    }
    let (first, last) = (diameter * diameter, config.blur * config.blur);
    let falling = (0..).map(|step| (2.0 * diameter.ln() + f64::from(step) * 2.0 * config.scaling.ln()).exp());
    std::iter::once(first).chain(falling.take_while(|&temperature| temperature > last)).chain([last]).collect()
}

/// A matrix of costs.
struct Costs {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Costs {
    fn transposed(&self) -> Self {
        let columns = (0..self.columns).flat_map(|column| (0..self.rows).map(move |row| row * self.columns + column));
        Self { rows: self.columns, columns: self.rows, values: columns.map(|index| self.values[index]).collect() }
    }

    /// `h_j - C_ij / e` of a row, where `h_j` is `(potential_j / e) - ln columns`.
    fn exponents<'a>(&'a self, row: &'a [f64], potential: &'a [f64], e: f64) -> impl Iterator<Item = f64> + Clone + 'a {
        let uniform = (self.columns as f64).ln();
        row.iter().zip(potential).map(move |(cost, potential)| (potential - cost) / e - uniform)
    }

    /// `-e ln sum_j exp(..)` of each row.
    fn softmin(&self, potential: &[f64], e: f64) -> Vec<f64> {
        let of_row = |row: &[f64]| {
            let exponents = self.exponents(row, potential, e);
            let largest = exponents.clone().fold(f64::NEG_INFINITY, f64::max);
            -e * (largest + exponents.map(|exponent| (exponent - largest).exp()).sum::<f64>().ln())
        };
        self.values.chunks(self.columns).map(of_row).collect()
    }

    /// The softmax that belongs to the softmin, row after row.
    fn plan(&self, potential: &[f64], e: f64) -> Vec<f64> {
        let minima = self.softmin(potential, e);
        let rows = self.values.chunks(self.columns).zip(minima);
        rows.flat_map(|(row, minimum)| {
            self.exponents(row, potential, e).map(move |exponent| (exponent + minimum / e).exp()).collect::<Vec<_>>()
        })
        .collect()
    }
}

/// The costs of one image.
struct Transport {
    between: Costs,
    samples: Costs,
    raters: Costs,
}

/// What the steps lead to.
struct Moved {
    value: f64,
    /// Rows of samples, columns of raters.
    to_raters: Vec<f64>,
    /// Rows and columns of samples.
    to_samples: Vec<f64>,
}

impl Transport {
    fn solve(&self, temperatures: &[f64]) -> Moved {
        let Self { between, samples, raters } = self;
        let &[first, .., last] = temperatures else {
            // All masks coincide: nothing is moved, and the plans cancel each other.
            let (n, m) = (between.rows, between.columns);
            return Moved {
                value: 0.0,
                to_raters: vec![1.0 / m as f64; n * m],
                to_samples: vec![1.0 / n as f64; n * n],
            };
        };
        let back = between.transposed();
        let step = |e: f64, f: &[f64], g: &[f64], fa: &[f64], gb: &[f64]| {
            [between.softmin(g, e), back.softmin(f, e), samples.softmin(fa, e), raters.softmin(gb, e)]
        };
        let (no_samples, no_raters) = (vec![0.0; between.rows], vec![0.0; between.columns]);
        let mut potentials = step(first, &no_samples, &no_raters, &no_samples, &no_raters);
        for &e in temperatures {
            let [f, g, fa, gb] = &potentials;
            let next = step(e, f, g, fa, gb);
            for (old, new) in potentials.iter_mut().zip(next) {
                old.iter_mut().zip(new).for_each(|(old, new)| *old = f64::midpoint(*old, new));
            }
        }
        let [f, g, fa, gb] = &potentials;
        let (to_raters, to_samples) = (between.plan(g, last), samples.plan(fa, last));
        let [f, g, fa, gb] = step(last, f, g, fa, gb);
        let mean = |left: &[f64], right: &[f64]| {
            left.iter().zip(right).map(|(left, right)| left - right).sum::<f64>() / left.len() as f64
        };
        Moved { value: mean(&f, &fa) + mean(&g, &gb), to_raters, to_samples }
    }
}
