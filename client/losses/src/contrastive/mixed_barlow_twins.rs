//! Barlow Twins with mixed samples: a mix of two inputs must look like the same mix of their embeddings.
//!
//! # Formula
//! With `n(z)` the columns of `z` less their mean and over their deviation, variances divided by `B - 1`; `n1`, `n2`,
//! `nm` those of `z1`, `z2` and `mixed`; `n2p` the rows of `n2` in the order `permutation`; `a` the `mix_coef`:
//!
//! - `C = n1^T n2 / B`, `loss_bt = sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2`;
//! - `R(x) = nm - a x - (1 - a) n2p`, the part of the mix that is not explained by its sources;
//! - `loss_mix = f mix_scale lambda ( ||R(n1)^T n1 / B||^2 + ||R(x)^T n2 / B||^2 )`, with `x = n1` and `f = 1` for
//!   `cifar`, `x = n2` and `f = 1/2` for `imagenet`.
//!
//! The loss is `loss_bt + loss_mix`. The paper writes `R(x)^T n / B` as the difference of the correlation of the mix
//! and its target; both are the same, with two matrix products instead of six.
//!
//! # Shapes
//! `z1, z2, mixed: [batch, d]`, projections of `x1`, `x2` and `a x1 + (1 - a) x2[permutation]`; `permutation` has
//! `batch` entries; each part is `[1]`, because correlations are over the whole batch.
//!
//! # Range and gradient
//! `[0, inf)` and smooth; nothing is detached, gradients flow through targets as well. A constant column becomes zeros
//! without a gradient. One sample is refused. Positive scaling and shifts of columns change nothing.
//!
//! # Choices
//! Variances are divided by `B - 1` and correlations by `B`, as in the released code: equal views have `C_ii = 1 -
//! 1/B`. `cifar` is the released script for small images and the README's formula; `imagenet` is the script for large
//! ones.
//!
//! # Source
//! Bandara, De Melo, Patel: Guarding Barlow Twins Against Overfitting with Mixed Samples, 2023;
//! `main.py` and `main_imagenet.py` of the released code.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::contrastive::mixed_barlow_twins::{Config, Inputs, mixed_barlow_twins};
//!
//! let z = Tensor::<2>::from_data([[0.1, 1.0], [0.8, -1.0], [-0.7, 0.2]], &Device::flex());
//! let inputs = Inputs { z1: z.clone(), z2: z.clone(), mixed: z, permutation: &[2, 0, 1], mix_coef: 1.0 };
//! let parts = mixed_barlow_twins(inputs, &Config::default())?;
//! assert_eq!(parts.mixing.into_scalar::<f32>(), 0.0, "nothing of the second view is mixed in");
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::barlow_twins::redundancy;
use super::similarity::{check_pair, check_shape, standardise};
use crate::error::{ConfigError, LossError};
use crate::option::{NON_NEGATIVE, POSITIVE, SHARE, any, objective, validate};

objective! {
    "mixed_barlow_twins", family: "contrastive", file: "mixed_barlow_twins.rs", role: Loss, tasks: [SelfSupervised],
    remembers: None, cost: "O(B D^2)",
    options: {
        lambda / with_lambda: f64 = 0.0078125, POSITIVE, "weight of the entries off the diagonal";
        mix_scale / with_mix_scale: f64 = 4.0, NON_NEGATIVE, "weight of the mixing part";
        variant / with_variant: Variant = Variant::Cifar => "\"cifar\"", any("cifar | imagenet"),
            "released script that is followed";
    }
}

/// Which released script is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// That for small images.
    #[default]
    Cifar,
    /// That for large images.
    Imagenet,
}

/// What the loss is computed from.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// Projections of the first view, `[batch, d]`.
    pub z1: Tensor<2>,
    /// Projections of the second view, `[batch, d]`.
    pub z2: Tensor<2>,
    /// Projections of the mixed inputs, `[batch, d]`.
    pub mixed: Tensor<2>,
    /// Row of the second view in each mix: every number of `0..batch` once.
    pub permutation: &'a [usize],
    /// Share of the first view in the mix, 0 to 1, drawn uniformly for each step.
    pub mix_coef: f64,
}

/// The two parts of the loss, each `[1]`; their sum is minimised.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Barlow Twins.
    pub barlow_twins: Tensor<1>,
    /// What mixing adds.
    pub mixing: Tensor<1>,
}

impl Parts {
    /// What is minimised, `[1]`.
    #[must_use]
    pub fn loss(self) -> Tensor<1> {
        self.barlow_twins + self.mixing
    }
}

/// The parts of the loss.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if shapes differ or there are fewer than two samples;
/// [`LossError::Config`] if `mix_coef` is out of range or `permutation` is none.
pub fn mixed_barlow_twins(inputs: Inputs<'_>, config: &Config) -> Result<Parts, LossError> {
    let [batch, features] = check_pair(NAME, ("z1", &inputs.z1), ("z2", &inputs.z2), 2)?;
    check_shape(NAME, "mixed", &inputs.mixed.dims(), &[batch, features])?;
    check_mix(&inputs, batch).map_err(|source| LossError::Config { name: NAME, source })?;
    let standardised = |z| standardise(z, 0, batch as f64 - 1.0, 0.0);
    let (first, second, mixed) = (standardised(inputs.z1), standardised(inputs.z2), standardised(inputs.mixed));

    let correlation = |left: Tensor<2>, right: &Tensor<2>| left.transpose().matmul(right.clone()) / batch as f64;
    let (on_diagonal, off_diagonal) = redundancy(correlation(first.clone(), &second));
    let rows: Vec<i64> = inputs.permutation.iter().map(|&row| row as i64).collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [batch]), &second.device());
    let unexplained = mixed - second.clone().select(0, rows) * (1.0 - inputs.mix_coef);
    let residual = unexplained.clone() - first.clone() * inputs.mix_coef;
    let (other, factor) = match config.variant {
        Variant::Cifar => (residual.clone(), 1.0),
        Variant::Imagenet => (unexplained - second.clone() * inputs.mix_coef, 0.5),
    };
    let mixing = correlation(residual, &first).square().sum() + correlation(other, &second).square().sum();
    Ok(Parts {
        barlow_twins: on_diagonal + off_diagonal * config.lambda,
        mixing: mixing * (factor * config.mix_scale * config.lambda),
    })
}

fn check_mix(inputs: &Inputs<'_>, batch: usize) -> Result<(), ConfigError> {
    validate("mix_coef", &inputs.mix_coef, &SHARE)?;
    let mut seen = vec![false; batch];
    let fits = inputs.permutation.len() == batch
        && inputs.permutation.iter().all(|&row| seen.get_mut(row).is_some_and(|seen| !std::mem::replace(seen, true)));
    if fits {
        return Ok(());
    }
    let value = format!("{:?}", &inputs.permutation[..inputs.permutation.len().min(PERMUTATION_SHOWN)]);
    Err(ConfigError::new("permutation", value, "every row of the batch once"))
}

/// How much of a wrong permutation an error repeats.
const PERMUTATION_SHOWN: usize = 8;
