//! Private responses: means of bags with Laplace noise, from which no single answer can be told.
//!
//! # Formula
//! With `k` samples in a bag, answers `y` and a draw `u` from the Laplace distribution of scale 1:
//!
//! `response = mean over the bag of clamp(y, -clip, clip) + s u`, `s = 2 clip / (k epsilon)`
//!
//! # Shapes
//! `responses`: one per sample, `unit_laplace`: one per bag; the results are one per bag, on the host.
//!
//! # Range and gradient
//! Real. A step, not a loss: it is done once at the site, and nothing is differentiated.
//!
//! # Choices
//! One answer moves its bag's mean by at most `2 clip / k`, so that the released means are `epsilon`-label-private; bags
//! do not overlap. They can be used in every round at no further cost. The draws come from the caller. Defaults of 1 are
//! only a beginning: `clip` belongs to the unit of the answers, `epsilon` to the promise made.
//!
//! # Source
//! Javanmard, Chen, Mirrokni, Badanidiyuru, Fu: Learning from Aggregate Responses, ICLR 2024, with an explicit clip; the
//! mechanism of Dwork, McSherry, Nissim, Smith: Calibrating Noise to Sensitivity in Private Data Analysis, TCC 2006.
//!
//! # Example
//! ```
//! use synod_losses::regression::aggregate::{Bags, private_responses::{Config, private_responses}};
//!
//! let bags = Bags::new(vec![0, 0], 1)?;
//! let released = private_responses(&[0.5, 7.0], &bags, &[0.25], &Config::default())?;
//! assert_eq!(released.responses, [0.75 + 0.25]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use super::Bags;
use crate::error::LossError;
use crate::option::{POSITIVE, objective};

objective! {
    "private_responses", family: "regression", file: "private_responses.rs", role: Step, tasks: [RegressionInContext],
    remembers: None, cost: "O(B)",
    options: {
        clip / with_clip: f64 = 1.0, POSITIVE, "largest size of an answer that counts";
        epsilon / with_epsilon: f64 = 1.0, POSITIVE, "privacy loss of a label";
    }
}

/// What may be released.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// Noisy mean of each bag.
    pub responses: Vec<f64>,
    /// Scale of the noise in each.
    pub noise_scale: Vec<f64>,
}

/// Noisy means, for one answer per sample and one draw per bag.
///
/// # Errors
/// [`LossError::Shape`] for another number of answers or draws, [`LossError::NotFinite`].
pub fn private_responses(
    responses: &[f64],
    bags: &Bags,
    unit_laplace: &[f64],
    config: &Config,
) -> Result<Released, LossError> {
    let sizes = bags.sizes();
    for (tensor, values, len) in [("responses", responses, bags.samples()), ("unit_laplace", unit_laplace, sizes.len())]
    {
        if values.len() != len {
            let (expected, found) = (format!("[{len}]"), vec![values.len()]);
            return Err(LossError::Shape { loss: NAME, tensor, expected, found });
        }
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(LossError::NotFinite { tensor, position, value: values[position] });
        }
    }
    let mut means = vec![0.0; sizes.len()];
    for (bag, response) in bags.of_sample().zip(responses) {
        means[bag] += response.clamp(-config.clip, config.clip) / sizes[bag];
    }
    let noise_scale: Vec<f64> = sizes.iter().map(|size| 2.0 * config.clip / (size * config.epsilon)).collect();
    let noise = noise_scale.iter().zip(unit_laplace).map(|(scale, draw)| scale * draw);
    Ok(Released { responses: means.iter().zip(noise).map(|(mean, noise)| mean + noise).collect(), noise_scale })
}
