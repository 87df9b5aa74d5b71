//! Inverse-gap weighting: an action is the less likely the further its predicted loss is from the best.
//!
//! # Formula
//! With predicted losses `l` of `K` actions, the best action `b` and gaps `l_a - l_b`:
//!
//! `p_a = 1 / (K + gamma gap_a)` (`square`) or `l_b / (K l_b + gamma gap_a)` (`fast`) for `a != b`, `p_b` is the rest
//!
//! # Shapes
//! `predicted_losses`: one per action, at least 2; probabilities likewise, on the host.
//!
//! # Range and gradient
//! Probabilities; the best has at least `1 / K`. A step, not a loss: nothing is differentiated.
//!
//! # Choices
//! Of equal losses the first is the best. The action is the first whose cumulative probability is above `uniform`, so that
//! one of probability 0 is never drawn. `fast` plays a best action of predicted loss 0 with certainty. The paper lets
//! `gamma` grow like `sqrt(K T)` over `T` choices; a larger one explores less.
//!
//! # Source
//! Deb, Ban, Zuo, He, Banerjee: Contextual Bandits with Online Neural Regression, ICLR 2024; `square` by Foster,
//! Rakhlin: Beyond UCB, ICML 2020; `fast` by Foster, Krishnamurthy: Efficient First-Order Contextual Bandits, NeurIPS
//! 2021.
//!
//! # Example
//! ```
//! use synod_losses::regression::bandit::inverse_gap::{Config, Rule, inverse_gap};
//!
//! let config = Config::default().with_rule(Rule::Square).with_gamma(4.0);
//! let choice = inverse_gap(&[0.5, 0.0], 0.1, &config)?;
//! assert_eq!((choice.probabilities, choice.action), (vec![0.25, 0.75], 0));
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::error::LossError;
use crate::option::{POSITIVE, any, objective};

/// How a gap becomes a probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// For regression by squares.
    Square,
    /// For regression by divergence: explores less where the best loss is small.
    #[default]
    Fast,
}

objective! {
    "inverse_gap", family: "regression", file: "inverse_gap.rs", role: Step, tasks: [RegressionInContext],
    remembers: None, cost: "O(K) for K actions",
    options: {
        rule / with_rule: Rule = Rule::Fast => "\"fast\"", any("\"square\", \"fast\""), "rule for probabilities";
        gamma / with_gamma: f64 = 100.0, POSITIVE, "weight of a gap";
    }
}

/// Which action is taken, and how likely each was.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// One per action.
    pub probabilities: Vec<f64>,
    /// The action.
    pub action: usize,
}

/// Chooses by `predicted_losses` and `uniform`, a draw from `[0, 1)`.
///
/// # Errors
/// [`LossError::Value`] for fewer than two actions, losses that are not finite (`fast`: not in `[0, 1]`), or a draw
/// outside `[0, 1)`.
pub fn inverse_gap(predicted_losses: &[f64], uniform: f64, config: &Config) -> Result<Choice, LossError> {
    let actions = predicted_losses.len();
    let refused = |input, problem: String| Err(LossError::Value { loss: NAME, input, problem });
    if actions < 2 {
        return refused("predicted_losses", format!("there are {actions} actions; give at least two"));
    }
    let allowed = |loss: &f64| loss.is_finite() && (config.rule == Rule::Square || (0.0..=1.0).contains(loss));
    if let Some(loss) = predicted_losses.iter().find(|loss| !allowed(loss)) {
        return refused("predicted_losses", format!("{loss} is not a finite number, for `fast` one in [0, 1]"));
    }
    if !(0.0..1.0).contains(&uniform) {
        return refused("uniform", format!("{uniform} is not in [0, 1)"));
    }
    let mut best = 0;
    for (action, loss) in predicted_losses.iter().enumerate() {
        if *loss < predicted_losses[best] {
            best = action;
        }
    }
    let (least, k) = (predicted_losses[best], actions as f64);
    let probability = |loss: f64| match config.rule {
        Rule::Square => 1.0 / (k + config.gamma * (loss - least)),
        Rule::Fast if least == 0.0 => 0.0,
        Rule::Fast => least / (k * least + config.gamma * (loss - least)),
    };
    let mut probabilities: Vec<f64> = predicted_losses.iter().map(|&loss| probability(loss)).collect();
    probabilities[best] = 0.0;
    probabilities[best] = 1.0 - probabilities.iter().sum::<f64>();
    let mut cumulative = 0.0;
    let drawn = probabilities.iter().position(|probability| {
        cumulative += probability;
        cumulative > uniform
    });
    Ok(Choice { probabilities, action: drawn.unwrap_or(best) })
}
