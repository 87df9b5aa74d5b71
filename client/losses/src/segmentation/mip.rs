//! Maximum intensity projection loss: a volume is compared voxel by voxel and in projection, where gaps in vessels show.
//!
//! # Formula
//! With `FT` the [focal Tversky loss](super::focal_tversky()) of a prediction and a mask, `p_s` the sigmoid of output `s`
//! and its weight `r_s` of `ratios`, `t` the mask, and `MIP` the maximum along an axis:
//!
//! - `segmentation = sum_s r_s FT(p_s, t)`, sums over the whole batch;
//! - `mip = sum_s r_s mean_b sum_axes FT(MIP(p_s[b]), M[b])`, where `M` is the given projection of the mask or else `MIP(t)`;
//! - `loss = w_seg segmentation + w_mip mip`
//!
//! # Shapes
//! `logits: [outputs, batch, depth, height, width]`, one output for each of the `ratios`, resized to the mask;
//! `targets: [batch, depth, height, width]`, each 0 or 1; [`Projections`] of `[batch, height, width]`,
//! `[batch, depth, width]` and `[batch, depth, height]`, any of them missing. The loss is `[1]`, because the voxels of the
//! whole batch are one overlap.
//!
//! # Range and gradient
//! `[0, inf)`, by the weights. A projection sends its gradient to the largest voxel of each ray, in equal shares if there
//! are several. At an overlap without loss the gradient is 0. `w_mip = 0` gives focal Tversky loss.
//!
//! # Choices
//! Projections of prediction and mask have the same axes: z is depth, y height, x width. Give the projections of the whole
//! volume, cropped, to count vessels beyond the patch's depth as the released loader does. The running sums of the released
//! code begin at 0.001, which has no gradient and is left out. Its weights of three outputs are 1, 0.66 and 0.34.
//!
//! # Source
//! Radhakrishna et al.: SPOCKMIP: Segmentation of Vessels in MRAs with Enhanced Continuity using Maximum Intensity
//! Projection as Loss, 2024 (arXiv 2407.08655); as in the official code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::segmentation::mip::{Config, Projections, mip};
//!
//! let device = Device::flex();
//! let targets = Tensor::<4>::from_data([[[[1.0, 0.0]]]], &device);
//! let logits = ((targets.clone() - 0.5) * 2000.0).reshape([1, 1, 1, 1, 2]);
//! let compared = mip(&logits, targets, &Projections::default(), &Config::default())?;
//! assert_eq!(compared.loss.into_scalar::<f32>(), 0.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, activation::sigmoid};
use serde::{Deserialize, Serialize};

use super::focal_tversky;
use super::overlap::Overlap;
use crate::error::{ConfigError, LossError};
use crate::info::{LossInfo, Objective, OptionInfo, Remembers, Role, TaskKind};
use crate::option::{NON_NEGATIVE, validate};

/// The axes along which a volume is projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Depth.
    #[default]
    Z,
    /// Height.
    Y,
    /// Width.
    X,
    /// All three.
    Multi,
}

const NAME: &str = "mip";

/// Options of the maximum intensity projection loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The axes of projection; z, y, x or multi.
    pub axis: Axis,
    /// The weight of the voxels; finite, >= 0.
    pub w_seg: f64,
    /// The weight of the projections; finite, >= 0.
    pub w_mip: f64,
    /// What is added above and below the fraction bar; finite, > 0.
    pub smooth: f64,
    /// The power of the Tversky loss; finite, > 0.
    pub gamma: f64,
    /// How much a missed voxel counts; a wrong one counts 1 - alpha; from 0 to 1.
    pub alpha: f64,
    /// The weight of each output of the model; one number >= 0 for each output.
    pub ratios: Vec<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { axis: Axis::Z, w_seg: 0.7, w_mip: 0.3, smooth: 1.0, gamma: 0.75, alpha: 0.7, ratios: vec![1.0] }
    }
}

impl Config {
    /// Sets the axes of projection.
    #[must_use]
    pub fn with_axis(mut self, axis: Axis) -> Self {
        self.axis = axis;
        self
    }

    /// Sets the weight of the voxels.
    #[must_use]
    pub fn with_w_seg(mut self, w_seg: f64) -> Self {
        self.w_seg = w_seg;
        self
    }

    /// Sets the weight of the projections.
    #[must_use]
    pub fn with_w_mip(mut self, w_mip: f64) -> Self {
        self.w_mip = w_mip;
        self
    }

    /// Sets what is added above and below the fraction bar.
    #[must_use]
    pub fn with_smooth(mut self, smooth: f64) -> Self {
        self.smooth = smooth;
        self
    }

    /// Sets the power of the Tversky loss.
    #[must_use]
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// Sets how much a missed voxel counts; a wrong one counts 1 - alpha.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the weight of each output of the model.
    #[must_use]
    pub fn with_ratios(mut self, ratios: impl Into<Vec<f64>>) -> Self {
        self.ratios = ratios.into();
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
            OptionInfo::new("axis", "\"z\"", "z, y, x or multi", "the axes of projection"),
            OptionInfo::new("w_seg", "0.7", "finite, >= 0", "the weight of the voxels"),
            OptionInfo::new("w_mip", "0.3", "finite, >= 0", "the weight of the projections"),
            OptionInfo::new("smooth", "1.0", "finite, > 0", "what is added above and below the fraction bar"),
            OptionInfo::new("gamma", "0.75", "finite, > 0", "the power of the Tversky loss"),
            OptionInfo::new(
                "alpha",
                "0.7",
                "from 0 to 1",
                "how much a missed voxel counts; a wrong one counts 1 - alpha",
            ),
            OptionInfo::new(
                "ratios",
                "[1.0]",
                "one number >= 0 for each output",
                "the weight of each output of the model",
            ),
        ],
        remembers: Remembers::None,
        cost: "O(voxels)",
        file: include_str!("mip.rs"),
    };

    fn validate(self) -> Result<Self, ConfigError> {
        validate("w_seg", &self.w_seg, &NON_NEGATIVE)?;
        validate("w_mip", &self.w_mip, &NON_NEGATIVE)?;
        self.overlap().validate()?;
        self.ratios.iter().try_for_each(|ratio| validate("ratios", ratio, &NON_NEGATIVE))?;
        Ok(self)
    }
}

impl Config {
    /// The options of the overlap.
    fn overlap(&self) -> focal_tversky::Config {
        focal_tversky::Config::default().with_alpha(self.alpha).with_gamma(self.gamma).with_smooth(self.smooth)
    }
}

/// Projections of masks, where they are known better than from the patch.
#[derive(Debug, Clone, Default)]
pub struct Projections {
    /// Along depth, `[batch, height, width]`.
    pub z: Option<Tensor<3>>,
    /// Along height, `[batch, depth, width]`.
    pub y: Option<Tensor<3>>,
    /// Along width, `[batch, depth, height]`.
    pub x: Option<Tensor<3>>,
}

/// What [`mip`] gives, each `[1]`; both parts before they are weighted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compared {
    /// The loss.
    pub loss: Tensor<1>,
    /// Voxel by voxel.
    pub segmentation: Tensor<1>,
    /// In projection.
    pub mip: Tensor<1>,
}

/// The loss and its parts.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`].
pub fn mip(
    logits: &Tensor<5>,
    targets: Tensor<4>,
    projections: &Projections,
    config: &Config,
) -> Result<Compared, LossError> {
    let [batch, depth, height, width] = check(logits, &targets, config)?;
    let shape = targets.dims();
    let masks = axes(config.axis)
        .iter()
        .map(|&axis| match (axis, projections) {
            (1, Projections { z: Some(given), .. }) => check_projection(given, "target_mip_z", [batch, height, width]),
            (2, Projections { y: Some(given), .. }) => check_projection(given, "target_mip_y", [batch, depth, width]),
            (3, Projections { x: Some(given), .. }) => check_projection(given, "target_mip_x", [batch, depth, height]),
            _ => Ok(rays(targets.clone().max_dim(axis))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let overlap = config.overlap();
    let flat = targets.reshape([1, batch * depth * height * width]);
    let (mut segmentation, mut mip) = (Vec::new(), Vec::new());
    for (output, &ratio) in config.ratios.iter().enumerate() {
        let logits = logits.clone().narrow(0, output, 1).reshape(shape);
        let whole = logits.clone().reshape(flat.dims());
        segmentation.push(overlap.of_overlap(Overlap::of_logits(whole, flat.clone())) * ratio);
        for (&axis, mask) in axes(config.axis).iter().zip(&masks) {
            let (foreground, background) = projected(&logits, axis);
            let overlap_of_axis = Overlap::of_probabilities(foreground, background, mask.clone());
            mip.push(overlap.of_overlap(overlap_of_axis).mean() * ratio);
        }
    }
    let (segmentation, mip) = (Tensor::cat(segmentation, 0).sum(), Tensor::cat(mip, 0).sum());
    Ok(Compared { loss: segmentation.clone() * config.w_seg + mip.clone() * config.w_mip, segmentation, mip })
}

/// Dimensions of a volume that are projected.
const fn axes(axis: Axis) -> &'static [usize] {
    match axis {
        Axis::Z => &[1],
        Axis::Y => &[2],
        Axis::X => &[3],
        Axis::Multi => &[1, 2, 3],
    }
}

/// Largest probability of each ray and what it lacks to 1, `[batch, rays]`; equally large voxels share the gradient.
fn projected(logits: &Tensor<4>, axis: usize) -> (Tensor<2>, Tensor<2>) {
    let probs = sigmoid(logits.clone());
    let constant = probs.clone().detach();
    let largest = constant.clone().max_dim(axis).expand(constant.dims());
    let share = constant.equal(largest).float().cast(probs.dtype());
    let share = share.clone() / share.sum_dim(axis);
    let of_ray = |values: Tensor<4>| rays((values * share.clone()).sum_dim(axis));
    (of_ray(probs), of_ray(sigmoid(logits.clone().neg())))
}

/// A projection as `[batch, rays]`.
fn rays(projection: Tensor<4>) -> Tensor<2> {
    let [batch, ..] = projection.dims();
    let count = projection.shape().num_elements() / batch;
    projection.reshape([batch, count])
}

fn check(logits: &Tensor<5>, targets: &Tensor<4>, config: &Config) -> Result<[usize; 4], LossError> {
    let [batch, depth, height, width] = targets.dims();
    if batch == 0 {
        return Err(LossError::EmptyBatch { loss: NAME });
    }
    if targets.dims().contains(&0) {
        let expected = "a shape with at least one voxel".to_owned();
        return Err(LossError::Shape { loss: NAME, tensor: "target", expected, found: targets.dims().to_vec() });
    }
    let wanted = [config.ratios.len(), batch, depth, height, width];
    if logits.dims() != wanted || config.ratios.is_empty() {
        let expected = format!("{wanted:?}, one volume of the mask's shape for each of at least one ratio");
        return Err(LossError::Shape { loss: NAME, tensor: "logits", expected, found: logits.dims().to_vec() });
    }
    Ok(targets.dims())
}

fn check_projection(given: &Tensor<3>, name: &'static str, shape: [usize; 3]) -> Result<Tensor<2>, LossError> {
    if given.dims() != shape {
        let expected = format!("{shape:?}, that of the mask's projection");
        return Err(LossError::Shape { loss: NAME, tensor: name, expected, found: given.dims().to_vec() });
    }
    Ok(given.clone().reshape([shape[0], shape[1] * shape[2]]))
}
