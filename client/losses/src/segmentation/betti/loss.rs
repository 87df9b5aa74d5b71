//! Betti matching: components and loops that prediction and mask have in common should appear together, all others not.
//!
//! # Formula
//! A bar is a component or a loop of an image with the value of the pixel that gives birth to it, `b`, and of the pixel at
//! which it vanishes, `d`. With the bars of prediction `I` and mask `J` that are the same feature of the pixelwise maximum
//! of both images matched:
//!
//! `loss_b = sum_matched 2 ((b(I) - b(J))^2 + (d(I) - d(J))^2) + sum_(other bars of either) (b - d)^2`
//!
//! # Shapes
//! `logits: [batch, height, width]`, `targets: [batch, height, width]` in `[0, 1]`, usually 0 or 1; the values are
//! `[batch]`.
//!
//! # Range and gradient
//! `[0, inf)`, by the number of bars; 0 for equal images. The gradient goes to the pixels of births and deaths only. Order,
//! pairs and matching are constants; where they change the loss has kinks. The target has none, nor has the value at which
//! the one component that never dies ends, 0 (`sublevel`: 1). With `dimensions` of loops alone, adding a constant to both
//! images changes nothing. Transposing or flipping may change it, because ties are broken by place.
//!
//! # Choices
//! Plain code on the host in double precision, `O(n log n)` for sorting and near-linear else; it waits for the device.
//! `superlevel` counts bright features, `sublevel` dark ones, `bothlevel` adds the two. `relative` puts a frame of the
//! brightest (darkest) value around each image, which makes arcs that end at the border loops. Differences of
//! probabilities fade where the prediction is certain: train with Dice first or together
//! ([`dice_betti_matching`](super::dice_betti_matching())).
//!
//! # Source
//! Stucki, Paetzold, Shit, Menze, Bauer: Topologically faithful image segmentation via induced matching of persistence
//! barcodes, ICML 2023 (arXiv 2211.15272); ties as in the official code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::betti::loss::{Config, betti_matching};
//!
//! let device = Device::flex();
//! let logits = Tensor::<3>::from_data([[[50.0, -50.0, 50.0]]], &device);
//! let targets = Tensor::<3>::from_data([[[1.0, 1.0, 1.0]]], &device);
//! let matched = betti_matching(logits, &targets, &Config::default())?;
//! assert!((matched.values.into_scalar::<f32>() - 1.0).abs() < 1e-6, "one component too many");
//! assert_eq!(matched.counts.unmatched_pred, [1, 0]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::cubes::{Direction, Image};
pub use super::matching::BarCounts;
use super::matching::compare;
use crate::error::{ConfigError, LossError};
use crate::gradient::attach_each;
use crate::host::read_finite;
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{Allowed, validate};
use crate::segmentation::overlap::check_masks;

/// Ranks and pixels are counted in 32 bits, with four cubes for each pixel of a framed image.
const PIXELS_MAX: usize = 1 << 28;

/// Which features are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Levels {
    /// Bright ones.
    #[default]
    Superlevel,
    /// Dark ones.
    Sublevel,
    /// Both.
    Bothlevel,
}

impl Levels {
    const fn directions(self) -> &'static [Direction] {
        match self {
            Self::Superlevel => &[Direction::Superlevel],
            Self::Sublevel => &[Direction::Sublevel],
            Self::Bothlevel => &[Direction::Superlevel, Direction::Sublevel],
        }
    }
}

const NAME: &str = "betti_matching";

/// Options of Betti matching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Which features are looked at; superlevel, sublevel or bothlevel.
    pub filtration: Levels,
    /// Whether a frame is put around the images; true or false.
    pub relative: bool,
    /// Which features count; 0 (components), 1 (loops), or both.
    pub dimensions: Vec<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self { filtration: Levels::Superlevel, relative: false, dimensions: vec![0, 1] }
    }
}

impl Config {
    /// Sets which features are looked at.
    #[must_use]
    pub fn with_filtration(mut self, filtration: Levels) -> Self {
        self.filtration = filtration;
        self
    }

    /// Sets whether a frame is put around the images.
    #[must_use]
    pub fn with_relative(mut self, relative: bool) -> Self {
        self.relative = relative;
        self
    }

    /// Sets which features count.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: impl Into<Vec<usize>>) -> Self {
        self.dimensions = dimensions.into();
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
            OptionInfo::new(
                "filtration",
                "\"superlevel\"",
                "superlevel, sublevel or bothlevel",
                "which features are looked at",
            ),
            OptionInfo::new("relative", "false", "true or false", "whether a frame is put around the images"),
            OptionInfo::new("dimensions", "[0, 1]", "0 (components), 1 (loops), or both", "which features count"),
        ],
        remembers: Remembers::None,
        cost: "O(n log n) for n pixels",
        file: include_str!("loss.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        const CHOICE: Allowed<Vec<usize>> =
            Allowed { test: |dimensions| is_choice(dimensions), text: "0 (components), 1 (loops), or both" };
        validate("dimensions", &self.dimensions, &CHOICE)?;
        Ok(self)
    }
}

/// Whether these are some of the dimensions 0 and 1.
fn is_choice(dimensions: &[usize]) -> bool {
    !dimensions.is_empty() && dimensions.iter().all(|dimension| *dimension < 2)
}

/// What [`betti_matching`] gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Matched {
    /// Values per image, `[batch]`.
    pub values: Tensor<1>,
    /// Numbers of bars, added up over the batch and over both levels, whatever `dimensions` is.
    pub counts: BarCounts,
}

/// Values and counts.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`]; [`LossError::NotFinite`] and [`LossError::Value`] for logits that are
/// not finite and targets outside `[0, 1]`; [`LossError::Read`] if the device fails.
pub fn betti_matching(logits: Tensor<3>, targets: &Tensor<3>, config: &Config) -> Result<Matched, LossError> {
    check_masks(NAME, &logits, "target", targets)?;
    let probs: Vec<f64> = read_finite("logits", &logits)?.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    let images = images(&probs, &read_unit(NAME, "target", targets)?, logits.dims(), config)?;
    let slopes: Vec<f64> = images.gradient.iter().zip(&probs).map(|(slope, p)| slope * p * (1.0 - p)).collect();
    let options = (&logits.device(), logits.dtype());
    let gradient = Tensor::from_data(TensorData::new(slopes, logits.dims()), options);
    let [batch, ..] = logits.dims();
    let values = Tensor::from_data(TensorData::new(images.values, [batch]), options);
    Ok(Matched { values: attach_each(values, logits, gradient), counts: images.counts })
}

/// What the images of a batch lack to agree.
pub(super) struct Images {
    pub(super) values: Vec<f64>,
    pub(super) gradient: Vec<f64>,
    pub(super) counts: BarCounts,
}

/// Compares images of probabilities, one by one.
pub(super) fn images(
    probs: &[f64],
    targets: &[f64],
    [_, height, width]: [usize; 3],
    config: &Config,
) -> Result<Images, LossError> {
    let pixels = height * width;
    if pixels > PIXELS_MAX {
        let problem = format!("it has {pixels} pixels, at most {PIXELS_MAX} can be matched; cut it into patches");
        return Err(LossError::Value { loss: NAME, input: "an image", problem });
    }
    let dimensions = [0, 1].map(|dimension| config.dimensions.contains(&dimension));
    let image = |pixels: &[f64]| Image { height, width, pixels: pixels.to_vec() };
    let mut all = Images { values: Vec::new(), gradient: Vec::new(), counts: BarCounts::default() };
    for (prediction, target) in probs.chunks(pixels).zip(targets.chunks(pixels)) {
        let (prediction, target) = (image(prediction), image(target));
        let mut gradient = vec![0.0; pixels];
        let mut value = 0.0;
        for &direction in config.filtration.directions() {
            let compared = compare(&prediction, &target, direction, config.relative, dimensions);
            value += compared.loss;
            all.counts += compared.counts;
            gradient.iter_mut().zip(compared.gradient).for_each(|(sum, slope)| *sum += slope);
        }
        all.values.push(value);
        all.gradient.append(&mut gradient);
    }
    Ok(all)
}

/// Numbers from 0 to 1 on the host.
pub(super) fn read_unit(loss: &'static str, name: &'static str, tensor: &Tensor<3>) -> Result<Vec<f64>, LossError> {
    let values = read_finite(name, tensor)?;
    match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
        Some(position) => {
            let problem = format!("it is {} at flat position {position} and must be from 0 to 1", values[position]);
            Err(LossError::Value { loss, input: name, problem })
        }
        None => Ok(values),
    }
}
