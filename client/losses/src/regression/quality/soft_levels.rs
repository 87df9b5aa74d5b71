//! Soft levels: turns a mean opinion score and its deviation into probabilities of five levels.
//!
//! # Formula
//! With `m = 4 (mos - min) / (max - min) + 1`, `s = 4 std / (max - min)` and levels `x = 5, 4, 3, 2, 1`:
//!
//! 1. If `s < min_std`, the two levels next to `m` share its place: level `i` gets `i + 1 - m`, the one above `m - i`.
//! 2. `p_x` is the normal density at `x` (`pdf`) or its mass within half a level (`cdf`).
//! 3. With `A = sum p`, `B = sum x p`: `a = (m - 3) / (B - 3 A + 1e-9)`, `b = (1 - a A) / 5`, `q = max(0, a p + b)`.
//! 4. If `|sum x q - m| > max_diff`, as in 1.
//!
//! # Shapes
//! `mos` and `std`: one per sample; the results are one per sample, levels from 5 to 1, on the host.
//!
//! # Range and gradient
//! At least 0, with a mean level within `max_diff` of `m`; a level can be a little above 1, see below. A step, not a loss: it
//! makes targets, once at the site.
//!
//! # Choices
//! `q` is not made to add up to 1 again after negative entries became 0, and is uniform at exactly `m = 3`: both as in the
//! reference. A deviation of 0 has no density and always gives two levels. Sites with other scales give other `min` and
//! `max`; nothing of the labels leaves them.
//!
//! # Source
//! You et al.: Teaching Large Language Models to Regress Accurate Image Quality Scores using Score Distribution, CVPR
//! 2025; official code, `gen_soft_label.py`.
//!
//! # Example
//! ```
//! use synod_losses::regression::quality::soft_levels::{Config, soft_levels};
//!
//! let labels = soft_levels(&[4.25], &[0.0], &Config::default())?;
//! assert!((labels[0].probs[0] - 0.25).abs() < 1e-6 && (labels[0].probs[1] - 0.75).abs() < 1e-6);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::levels::{LEVELS, WORTH};
use crate::error::{ConfigError, LossError};
use crate::option::{FINITE, NON_NEGATIVE, any, objective};

/// What a level's share of the normal distribution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// The density at the level.
    #[default]
    Pdf,
    /// The mass within half a level.
    Cdf,
}

objective! {
    "soft_levels", family: "regression", file: "soft_levels.rs", role: Step, tasks: [RegressionInContext],
    remembers: None, cost: "O(B)",
    options: {
        min / with_min: f64 = 1.0, FINITE, "lowest score of the site's scale";
        max / with_max: f64 = 5.0, FINITE, "highest score of the site's scale";
        density / with_density: Density = Density::Pdf => "\"pdf\"", any("\"pdf\", \"cdf\""), "share of a level";
        min_std / with_min_std: f64 = 0.2, NON_NEGATIVE, "deviation, in levels, below which there are two levels";
        max_diff / with_max_diff: f64 = 0.1, NON_NEGATIVE, "distance of the mean level from the score, at most";
    }
    also: |config: &Config| {
        if config.max > config.min { Ok(()) } else { Err(ConfigError::new("max", config.max, "a number above `min`")) }
    }
}

/// The levels of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftLevels {
    /// Probabilities of the levels 5 to 1.
    pub probs: [f64; LEVELS],
    /// The score on the scale from 1 to 5.
    pub mos: f64,
    /// The deviation on that scale.
    pub std: f64,
    /// Whether only the two levels next to the score have any.
    pub two_level: bool,
}

/// The levels of each sample, for as many scores `mos` as deviations `std`.
///
/// # Errors
/// [`LossError::Shape`] if the numbers differ, [`LossError::Value`] for a score outside the scale or a deviation below 0.
pub fn soft_levels(mos: &[f64], std: &[f64], config: &Config) -> Result<Vec<SoftLevels>, LossError> {
    if mos.len() != std.len() {
        let (expected, found) = (format!("[{}], one per score", mos.len()), vec![std.len()]);
        return Err(LossError::Shape { loss: NAME, tensor: "std", expected, found });
    }
    mos.iter().zip(std).map(|(&mos, &std)| of_sample(mos, std, config)).collect()
}

fn of_sample(mos: f64, std: f64, config: &Config) -> Result<SoftLevels, LossError> {
    let refused = |input, problem: String| Err(LossError::Value { loss: NAME, input, problem });
    if !(config.min..=config.max).contains(&mos) {
        return refused("mos", format!("{mos} is not between {} and {}, the scale", config.min, config.max));
    }
    if !(std.is_finite() && std >= 0.0) {
        return refused("std", format!("{std} is not a finite number of at least 0"));
    }
    let scale = 4.0 / (config.max - config.min);
    let (mos, std) = ((mos - config.min) * scale + 1.0, std * scale);
    let spread = (std >= config.min_std && std > 0.0).then(|| spread(mos, std, config.density));
    // Written so that a NaN is far from the score.
    let near = |probs: &[f64; LEVELS]| (mean(probs) - mos).abs() <= config.max_diff;
    let probs = spread.filter(near);
    Ok(SoftLevels { probs: probs.unwrap_or_else(|| two_levels(mos)), mos, std, two_level: probs.is_none() })
}

fn mean(probs: &[f64; LEVELS]) -> f64 {
    probs.iter().zip(WORTH).map(|(prob, worth)| prob * worth).sum()
}

fn spread(mos: f64, std: f64, density: Density) -> [f64; LEVELS] {
    let shares = WORTH.map(|worth| {
        let z = |at: f64| (at - mos) / std;
        match density {
            Density::Pdf => (-0.5 * z(worth).powi(2)).exp() / (std * (2.0 * PI).sqrt()),
            Density::Cdf => normal_mass_below(z(worth + 0.5)) - normal_mass_below(z(worth - 0.5)),
        }
    });
    let (total, moment) = (shares.iter().sum::<f64>(), mean(&shares));
    let alpha = (mos - 3.0) / (moment - 3.0 * total + 1e-9);
    let beta = (1.0 - alpha * total) / LEVELS as f64;
    shares.map(|share| (alpha * share + beta).max(0.0))
}

fn two_levels(mos: f64) -> [f64; LEVELS] {
    const EPSILON: f64 = 1e-8;
    let mut probs = [0.0; LEVELS];
    // The level below, 1 to 4, in which the score lies; places run from level 5 down.
    let below = (1..LEVELS).find(|&level| mos <= level as f64 + 1.0 + EPSILON).unwrap_or(LEVELS - 1);
    let above = mos - below as f64;
    probs[LEVELS - below] = (1.0 + EPSILON - above) / (1.0 + 2.0 * EPSILON);
    probs[LEVELS - below - 1] = (above + EPSILON) / (1.0 + 2.0 * EPSILON);
    probs
}

/// The standard normal distribution function, by its series of positive terms: `1/2 + phi(z) (z + z^3/3 + z^5/15 + …)`.
fn normal_mass_below(z: f64) -> f64 {
    // Beyond this the rest is below the rounding of 1.
    const FAR: f64 = 8.5;
    if z.abs() >= FAR {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > sum.abs() * f64::EPSILON {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_masses_are_those_of_tables() {
        for (z, mass) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.0, 0.158_655_253_931_457_05),
            (3.0, 0.998_650_101_968_369_9),
            (-6.0, 9.865_876_450_376_98e-10),
            (9.0, 1.0),
        ] {
            assert!((normal_mass_below(z) - mass).abs() < 1e-14, "{z}: {}", normal_mass_below(z));
        }
    }
}
