//! Aggregate responses: fits predictions per sample to answers that are known only as the mean of each bag.
//!
//! # Formula
//! With the bag's answer `r`, predictions `f`, `p = f` (`squared`) or `sigmoid(f)` (`logistic`), and `m` for the mean
//! over the samples of a bag:
//!
//! `bag = l(r, m(p))`, `instance = m(l(r, p))`, `loss = (1 - rho) bag + rho instance`
//!
//! with `l(r, p) = (p - r)^2` for `squared` and `-r ln p - (1 - r) ln(1 - p)` for `logistic`.
//!
//! # Shapes
//! `predictions: [samples]`, `responses: [bags]`; the results are `[bags]`: bags weigh the same whatever their size.
//!
//! # Range and gradient
//! `[0, inf)`. `instance` is at least `bag`, by the spread of predictions within the bag. Smooth; the bag's logarithms
//! stop at probabilities of 1e-7, with zero gradient beyond. Only predictions get a gradient.
//!
//! # Choices
//! Natural logarithm. With clean answers the bag loss (`rho = 0`) estimates better, with noisy ones the instance loss.
//! `squared` takes real answers, `logistic` answers in `[0, 1]`: clamp noisy ones. They are not looked at.
//!
//! # Source
//! Javanmard, Chen, Mirrokni, Badanidiyuru, Fu: Learning from Aggregate Responses: Instance Level versus Bag Level Loss
//! Functions, ICLR 2024.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regression::aggregate::{Bags, aggregate_responses::{Config, aggregate_responses}};
//!
//! let device = Device::flex();
//! let bags = Bags::new(vec![0, 0], 1)?;
//! let predictions = Tensor::<1>::from_data([1.0, 3.0], &device);
//! let responses = Tensor::<1>::from_data([2.0], &device);
//! let values = aggregate_responses(predictions, responses, &bags, &Config::default())?;
//! assert_eq!(values.total.into_scalar::<f32>(), 0.5);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softplus};
use serde::{Deserialize, Serialize};

use super::Bags;
use crate::check;
use crate::error::LossError;
use crate::option::{SHARE, any, objective};

/// What a prediction is and how it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number, by its squared error.
    #[default]
    Squared,
    /// A logit, by its binary cross-entropy.
    Logistic,
}

objective! {
    "aggregate_responses", family: "regression", file: "aggregate_responses.rs", role: Loss,
    tasks: [RegressionInContext], remembers: None, cost: "O(B)",
    options: {
        rho / with_rho: f64 = 0.5, SHARE, "share of the instance loss; the bag loss has the rest";
        kind / with_kind: Kind = Kind::Squared => "\"squared\"", any("\"squared\", \"logistic\""),
            "meaning of a prediction";
    }
}

/// Values of each bag, `[bags]`.
#[derive(Debug, Clone)]
pub struct Values {
    /// What is minimised.
    pub total: Tensor<1>,
    /// Loss of the bag's mean prediction.
    pub bag: Tensor<1>,
    /// Mean loss of the bag's predictions.
    pub instance: Tensor<1>,
    /// Mean prediction, for `logistic` the mean probability.
    pub predictions: Tensor<1>,
}

/// Smallest probability of a bag's answer.
const PROBABILITY_MIN: f64 = 1e-7;

/// Values per bag, for `predictions: [samples]` and `responses: [bags]`.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`].
pub fn aggregate_responses(
    predictions: Tensor<1>,
    responses: Tensor<1>,
    bags: &Bags,
    config: &Config,
) -> Result<Values, LossError> {
    check::vector(NAME, "predictions", &predictions, bags.samples())?;
    check::vector(NAME, "responses", &responses, bags.sizes().len())?;
    let responses = responses.detach();
    let of_sample = bags.spread(responses.clone());
    let (bag, instance, means) = match config.kind {
        Kind::Squared => {
            let square = |residual: Tensor<1>| residual.clone() * residual;
            let means = bags.means(predictions.clone());
            (square(means.clone() - responses), square(predictions - of_sample), means)
        }
        Kind::Logistic => {
            let means = bags.means(sigmoid(predictions.clone()));
            let others = bags.means(sigmoid(predictions.clone().neg()));
            let log = |share: Tensor<1>| share.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN).log();
            let bag = responses.clone() * log(means.clone()) + (responses.neg() + 1.0) * log(others);
            (bag.neg(), softplus(predictions.clone(), 1.0) - of_sample * predictions, means)
        }
    };
    let instance = bags.means(instance);
    let total = bag.clone() * (1.0 - config.rho) + instance.clone() * config.rho;
    Ok(Values { total, bag, instance, predictions: means })
}
