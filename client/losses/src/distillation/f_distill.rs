//! f-distill: a one-step generator follows the difference of two denoisers, weighted by an f-divergence's ratio.
//!
//! # Formula
//! With `h` of `f_divergence` and `x` (`generated`), for each sample:
//!
//! 1. `r = clamp(exp(clamp(mean disc_logits, -10, 10)), ratio_lower, ratio_upper)`
//! 2. With `ratio_normalization`: the average of `r` in each bin of `t` that has samples moves that bin's memory to
//!    `ema bin + (1 - ema) average`, and `r` is divided by the new memory of its bin.
//! 3. `h = h(r) / mean_b h(r)`, `w = h / mean |x - teacher_x0|`
//! 4. `vsd = mean (x - target)^2 / 2` with the constant `target = x - (fake_x0 - teacher_x0) w`
//!
//! `loss = vsd + gan_weight mean softplus(-disc_logits)`
//!
//! # Shapes
//! `generated`, `teacher_x0`, `fake_x0`: `[batch, values]`, `disc_logits: [batch, k]`, `t`: one per sample; bins
//! `[bins]`; the loss is `[1]`, because `h` is normalised over the batch.
//!
//! # Range and gradient
//! `[0, inf)`. The gradient of `x` is `(fake_x0 - teacher_x0) w / n` for `n` numbers in `x`, that of a discriminator's
//! logit comes from the second term only. With `rkl` the ratio does not matter.
//!
//! # Choices
//! Each divisor has 1e-6 added, as in the framework of the authors' group, whose settings the defaults are. The bins are
//! the site's own and start at 1. Times are numbers on the host, where their bin is found exactly.
//!
//! # Source
//! Xu et al.: One-step Diffusion Models with f-Divergence Distribution Matching, 2025.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::distillation::f_distill::{Config, Inputs, f_distill};
//!
//! let device = Device::flex();
//! let inputs = Inputs {
//!     generated: Tensor::from_data([[1.0, 1.0]], &device),
//!     teacher_x0: Tensor::from_data([[0.0, 0.0]], &device),
//!     fake_x0: Tensor::from_data([[2.0, 2.0]], &device),
//!     disc_logits: Tensor::from_data([[0.0]], &device),
//!     times: &[0.5],
//! };
//! let values = f_distill(inputs, Tensor::ones([10], &device), &Config::default())?;
//! assert!((values.vsd.into_scalar::<f32>() - 2.0).abs() < 1e-4);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Tensor, TensorData, activation::softplus};

use super::f_divergence::FDiv;
use crate::check;
use crate::error::{ConfigError, LossError};
use crate::option::{FINITE, POSITIVE, SHARE, any, objective};

objective! {
    "f_distill", family: "distillation", file: "f_distill.rs", role: Loss, tasks: [Distillation], remembers: Local,
    cost: "O(B (D + bins))",
    options: {
        f_div / with_f_div: FDiv = FDiv::Js => "\"js\"", any(FDiv::NAMES), "divergence";
        ratio_lower / with_ratio_lower: f64 = 0.1, POSITIVE, "smallest density ratio";
        ratio_upper / with_ratio_upper: f64 = 20.0, POSITIVE, "largest density ratio";
        ratio_normalization / with_ratio_normalization: bool = true, any("true, false"),
            "choice whether ratios are divided by their running average at the same time";
        ema / with_ema: f64 = 0.0, SHARE, "share of the past in the running averages";
        t_min / with_t_min: f64 = 0.0, FINITE, "start of the first bin of times";
        t_max / with_t_max: f64 = 1.0, FINITE, "end of the last bin of times";
        gan_weight / with_gan_weight: f64 = 0.003, POSITIVE, "weight of the adversarial term";
    }
    also: |config: &Config| {
        if config.ratio_lower >= config.ratio_upper {
            return Err(ConfigError::new("ratio_lower", config.ratio_lower, "a number below `ratio_upper`"));
        }
        if config.t_min >= config.t_max {
            return Err(ConfigError::new("t_min", config.t_min, "a number below `t_max`"));
        }
        Ok(())
    }
}

/// What a generator's step takes.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// Samples of the generator, `[batch, values]`.
    pub generated: Tensor<2>,
    /// The teacher's denoised predictions, `[batch, values]`.
    pub teacher_x0: Tensor<2>,
    /// The fake denoiser's, `[batch, values]`.
    pub fake_x0: Tensor<2>,
    /// The discriminator's logits of the generated samples, `[batch, k]`.
    pub disc_logits: Tensor<2>,
    /// The diffusion time of each sample.
    pub times: &'a [f64],
}

/// The loss and what it was made of.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised, `[1]`.
    pub loss: Tensor<1>,
    /// The distribution matching term, `[1]`.
    pub vsd: Tensor<1>,
    /// The adversarial term, unweighted, `[1]`.
    pub gan: Tensor<1>,
    /// Weights of the samples, `[batch]`, with mean 1.
    pub h: Tensor<1>,
    /// Running averages to give to the next step, `[bins]`.
    pub bins: Tensor<1>,
}

/// Largest size of a mean logit.
const LOGIT_MAX: f64 = 10.0;

/// Added to each divisor.
const EPSILON: f64 = 1e-6;

/// The loss, and the running averages of ratios after it; `bins: [bins]` are those before it, 1 at the start.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`]; [`LossError::Value`] for a time that is not finite.
pub fn f_distill(inputs: Inputs<'_>, bins: Tensor<1>, config: &Config) -> Result<Values, LossError> {
    let Inputs { generated, teacher_x0, fake_x0, disc_logits, times } = inputs;
    let [batch, _] = check::same_shape(NAME, ("generated", &generated), ("teacher_x0", &teacher_x0))?;
    check::same_shape(NAME, ("generated", &generated), ("fake_x0", &fake_x0))?;
    let [rows, k] = check::matrix(NAME, "disc_logits", &disc_logits)?;
    if rows != batch {
        let expected = format!("[{batch}, k]");
        return Err(LossError::Shape { loss: NAME, tensor: "disc_logits", expected, found: vec![rows, k] });
    }
    let mean = disc_logits.clone().detach().mean_dim(1).reshape([batch]).clamp(-LOGIT_MAX, LOGIT_MAX);
    let ratio = mean.exp().clamp(config.ratio_lower, config.ratio_upper);
    let (ratio, bins) = match config.ratio_normalization {
        true => normalised(ratio, bins.detach(), times, config)?,
        false => (ratio, bins.detach()),
    };
    let h = config.f_div.weight(ratio);
    let h = h.clone() / (h.mean() + EPSILON);

    let (x, teacher) = (generated.clone().detach(), teacher_x0.detach());
    let distance = (x.clone() - teacher.clone()).abs().mean_dim(1) + EPSILON;
    let shift = (fake_x0.detach() - teacher) * (h.clone().reshape([batch, 1]) / distance);
    let residual = generated - (x - shift);
    let vsd = (residual.clone() * residual).mean() * 0.5;
    let gan = softplus(disc_logits.neg(), 1.0).mean();
    Ok(Values { loss: vsd.clone() + gan.clone() * config.gan_weight, vsd, gan, h, bins })
}

/// Ratios over the running average of their bin, and the averages, which the batch has moved.
fn normalised(
    ratio: Tensor<1>,
    bins: Tensor<1>,
    times: &[f64],
    config: &Config,
) -> Result<(Tensor<1>, Tensor<1>), LossError> {
    let ([batch], [count]) = (ratio.dims(), bins.dims());
    check::vector(NAME, "bins", &bins, count)?;
    if times.len() != batch {
        let expected = format!("[{batch}], one per sample");
        return Err(LossError::Shape { loss: NAME, tensor: "times", expected, found: vec![times.len()] });
    }
    if let Some(time) = times.iter().find(|time| !time.is_finite()) {
        return Err(LossError::Value { loss: NAME, input: "times", problem: format!("{time} is not finite") });
    }
    let width = (config.t_max - config.t_min) / count as f64;
    let mut members = vec![0.0; count * batch];
    for (sample, time) in times.iter().enumerate() {
        // A float that is too small or too large for an index becomes the first or the last.
        let bin = (((time - config.t_min) / width).floor() as usize).min(count - 1);
        members[bin * batch + sample] = 1.0;
    }
    let members: Tensor<2> =
        Tensor::from_data(TensorData::new(members, [count, batch]), (&ratio.device(), ratio.dtype()));
    let sizes = members.clone().sum_dim(1);
    let average = members.clone().matmul(ratio.clone().reshape([batch, 1])) / (sizes.clone() + EPSILON);
    let before = bins.reshape([count, 1]);
    let moved = before.clone() * config.ema + average * (1.0 - config.ema);
    let after = moved.mask_where(sizes.equal_scalar(0.0), before);
    let of_sample = members.transpose().matmul(after.clone()).reshape([batch]);
    Ok((ratio / (of_sample + EPSILON), after.reshape([count])))
}
