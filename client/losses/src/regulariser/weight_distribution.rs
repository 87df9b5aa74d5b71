//! Weight distribution term: pulls each layer's weights towards a shape that quantises well, by kurtosis and skewness.
//!
//! # Formula
//! For each layer's weights `w`, with mean `m`, standard deviation `sd` (divisor `n - 1`),
//! `skew = mean(((w - m) / sd)^3)` and `kurt = mean(((w - m) / sd)^4)`:
//! `kurt_rate mean_l (kurt_l - kurt_target)^2 + skew_rate mean_l (skew_l - skew_target)^2`.
//!
//! # Shapes
//! One flattened tensor `[n_l]` of at least 2 weights per layer, in the order of the layers; both parts are `[1]`.
//!
//! # Range and gradient
//! `[0, inf)`. Neither kurtosis nor skewness changes when weights are shifted or scaled. A layer of equal weights has no
//! shape: it is left out of the means and gets no gradient.
//!
//! # Choices
//! The default target 1.8 is the kurtosis of a uniform distribution. The first layer is left out (`skip_first`), as in
//! the released code: it is quantised least. Weights are taken relative to the layer's first, so that equal ones differ by
//! exactly 0.
//!
//! # Source
//! Xu et al.: EQ-Net: Elastic Quantization Neural Networks, ICCV 2023, the weight distribution
//! regularisation, with the rates of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regulariser::weight_distribution::{Config, weight_distribution};
//!
//! let device = Device::flex();
//! let layers = [Tensor::from_data([1.0, 2.0], &device), Tensor::from_data([-1.0, 0.0, 1.0], &device)];
//! let parts = weight_distribution(&layers, &Config::default())?;
//! assert!(parts.skew_term.into_scalar::<f32>().abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::error::LossError;
use crate::option::{FINITE, NON_NEGATIVE, any, objective};

objective! {
    "weight_distribution", family: "regulariser", file: "weight_distribution.rs", role: Term,
    tasks: [Classification, MultiLabel, Regression], remembers: None, cost: "O(n) for n weights",
    options: {
        kurt_target / with_kurt_target: f64 = 1.8, FINITE, "kurtosis that is asked for";
        skew_target / with_skew_target: f64 = 0.0, FINITE, "skewness that is asked for";
        kurt_rate / with_kurt_rate: f64 = 0.015, NON_NEGATIVE, "weight of the kurtosis";
        skew_rate / with_skew_rate: f64 = 1.0, NON_NEGATIVE, "weight of the skewness";
        skip_first / with_skip_first: bool = true, any("true, false"), "choice to leave out the first layer";
    }
}

/// The parts of the term, each `[1]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Mean over layers of the squared distance of the skewness from its target.
    pub skew_term: Tensor<1>,
    /// Mean over layers of the squared distance of the kurtosis from its target.
    pub kurt_term: Tensor<1>,
}

impl Parts {
    /// The term, `[1]`.
    #[must_use]
    pub fn total(self, config: &Config) -> Tensor<1> {
        self.kurt_term * config.kurt_rate + self.skew_term * config.skew_rate
    }
}

/// The parts of the term for the weights of each layer, `[n_l]`.
///
/// # Errors
/// [`LossError::EmptyBatch`] if no layer is left, [`LossError::Shape`] if one has fewer than 2 weights.
pub fn weight_distribution(layers: &[Tensor<1>], config: &Config) -> Result<Parts, LossError> {
    let layers = layers.get(usize::from(config.skip_first)..).unwrap_or_default();
    if layers.is_empty() {
        return Err(LossError::EmptyBatch { loss: NAME });
    }
    let (mut skews, mut kurts, mut shaped) = (Vec::new(), Vec::new(), Vec::new());
    for layer in layers {
        let [count] = layer.dims();
        if count < 2 {
            let (expected, found) = ("[at least 2]".to_owned(), vec![count]);
            return Err(LossError::Shape { loss: NAME, tensor: "a layer's weights", expected, found });
        }
        // Neither moment depends on this shift, so neither does its gradient.
        let shifted = layer.clone() - layer.clone().detach().slice(0..1);
        let centred = shifted.clone() - shifted.mean();
        let variance = centred.clone().square().sum() / (count - 1) as f64;
        let flat = variance.clone().equal_scalar(0.0);
        let unit = centred / variance.mask_fill(flat.clone(), 1.0).sqrt();
        let squares = unit.clone().square();
        let distance = |moment: Tensor<1>, target: f64| (moment - target).square().mask_fill(flat.clone(), 0.0);
        skews.push(distance((squares.clone() * unit).mean(), config.skew_target));
        kurts.push(distance(squares.square().mean(), config.kurt_target));
        shaped.push(flat.bool_not().float());
    }
    let count = Tensor::cat(shaped, 0).sum().clamp_min(1.0).cast(skews[0].dtype());
    let mean = |values: Vec<Tensor<1>>| Tensor::cat(values, 0).sum() / count.clone();
    Ok(Parts { skew_term: mean(skews), kurt_term: mean(kurts) })
}
