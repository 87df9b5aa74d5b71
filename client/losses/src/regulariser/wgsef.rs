//! Weighted group sparsity: keeps the groups of weights that fit a budget, and drives the others to zero.
//!
//! # Formula
//! With `a_j` the Euclidean norm of group `j`, its cost `d_j`, budget `k` and
//! `D = { u : 0 <= u_j <= 1, sum_j d_j u_j <= k }`:
//!
//! - value: `GS_k(w) = 1/2 min over u in D of sum_j a_j^2 / u_j`;
//! - prox: `argmin over x of lambda GS_k(x) + 1/2 |x - t|^2`, which is `t u_j / (lambda + u_j)` in group `j`;
//! - conjugate: `GS*_k(y) = 1/2 max over u in D of sum_j u_j |y_j|^2`;
//! - prox step: the prox for `lr lambda` of `t = w - lr grad`.
//!
//! The shares are `u_j = clip(theta a_j / sqrt(d_j) - l, 0, 1)`, `l = 0` for the value and `lambda` for the prox, with
//! the `theta` that uses up the budget; 1 for all where the budget is enough for all groups or all that are not 0.
//!
//! # Shapes
//! `w`, `t`, `grad`: `[n]`; [`Groups`] has a group for each entry and a cost for each group. The value is `[1]`, the prox
//! `[n]`.
//!
//! # Range and gradient
//! At least `1/2 |w|^2`, with equality where the groups that are not 0 fit the budget; it scales with the square of `w`
//! and does not rise with `k`. Convex. The gradient of the value is `w / u_j`, 0 in groups that are 0. The prox makes groups
//! exactly 0 and shrinks those that stay by `1 / (1 + lambda)`.
//!
//! # Choices
//! Norms, `theta` and shares are computed in double precision on the host, which waits for the device. Norms below 1e-30
//! count as 0. For general costs the budget is the relaxation above, not a knapsack of whole groups. `k` left out is 0.3
//! of the cost of all groups. With `lambda` near 1 more groups stay than the budget holds; raise it in the course of
//! training, then train what is left without. All sites must have the same groups; best the coordinator's model goes
//! through the prox once a round. With momentum apply the prox after the optimiser's step.
//!
//! # Source
//! Refael et al.: Learning k-Level Structured Sparse Neural Networks Using Group Envelope Regularization, arXiv
//! 2212.12921; shares, prox and conjugate follow Beck, Refael: Sparse regularization via bidualization, Journal of
//! Global Optimization 2022, and are verified by their optimality conditions.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regulariser::wgsef::{Config, Groups, prox};
//!
//! let groups = Groups::new(vec![0, 0, 1, 1], vec![1.0, 1.0])?;
//! let weights = Tensor::<1>::from_data([3.0, 4.0, 0.1, 0.1], &Device::flex());
//! let kept = prox(weights, &groups, &Config::default().with_k(Some(1.0)).with_lambda(9.0))?;
//! assert_eq!(kept.shares, [1.0, 0.0]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::host::read_finite;
use crate::option::{Allowed, POSITIVE, constants, objective};

/// The default needs the groups and is found when they are there.
const BUDGET: Allowed<Option<f64>> =
    Allowed { test: |k| k.is_none_or(|k| k.is_finite() && k > 0.0), text: "null or finite, > 0" };

objective! {
    "wgsef", family: "regulariser", file: "wgsef.rs", role: Term,
    tasks: [Classification, MultiLabel, Regression], remembers: None, cost: "O(n + m log m) for n weights in m groups",
    options: {
        k / with_k: Option<f64> = None => "null", BUDGET, "cost of the groups that may stay; null is 0.3 of all";
        lambda / with_lambda: f64 = 1.0, POSITIVE, "weight of the term in the prox";
    }
}

/// Share of the cost of all groups that may stay when nothing is said.
const BUDGET_SHARE: f64 = 0.3;

/// Norms below this count as 0.
const NORM_MIN: f64 = 1e-30;

/// Which entries belong together, and what each group costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    group_of: Vec<usize>,
    costs: Vec<f64>,
}

impl Groups {
    /// Entry `i` is in group `group_of[i]`, which costs `costs[group_of[i]]`: 1, its size, or its operations.
    ///
    /// # Errors
    /// [`LossError::Value`] if a group is out of range or has no entries, or a cost is not above 0;
    /// [`LossError::EmptyBatch`] without entries.
    pub fn new(group_of: Vec<usize>, costs: Vec<f64>) -> Result<Self, LossError> {
        let refuse = |input, problem| Err(LossError::Value { loss: NAME, input, problem });
        if group_of.is_empty() {
            return Err(LossError::EmptyBatch { loss: NAME });
        }
        if let Some(cost) = costs.iter().find(|cost| !(cost.is_finite() && **cost > 0.0)) {
            return refuse("the costs", format!("one is {cost}, each must be finite and above 0"));
        }
        let mut entries = vec![0usize; costs.len()];
        for &group in &group_of {
            match entries.get_mut(group) {
                Some(entries) => *entries += 1,
                None => return refuse("the groups", format!("group {group} is not in 0..{}", costs.len())),
            }
        }
        if let Some(group) = entries.iter().position(|&entries| entries == 0) {
            return refuse("the groups", format!("group {group} has no entries; leave it out"));
        }
        Ok(Self { group_of, costs })
    }

    /// Number of groups.
    #[must_use]
    pub fn count(&self) -> usize {
        self.costs.len()
    }

    /// Number of groups whose `weights: [n]` are all 0. Waits for the device.
    ///
    /// # Errors
    /// As [`wgsef`].
    pub fn zero_groups(&self, weights: &Tensor<1>) -> Result<usize, LossError> {
        Ok(self.norms("weights", weights)?.iter().filter(|norm| **norm == 0.0).count())
    }

    fn budget(&self, config: &Config) -> f64 {
        config.k.unwrap_or_else(|| BUDGET_SHARE * self.costs.iter().sum::<f64>())
    }

    /// Euclidean norms of the groups.
    fn norms(&self, name: &'static str, weights: &Tensor<1>) -> Result<Vec<f64>, LossError> {
        check::vector(NAME, name, weights, self.group_of.len())?;
        let mut squares = vec![0.0; self.costs.len()];
        for (value, &group) in read_finite(name, weights)?.into_iter().zip(&self.group_of) {
            squares[group] += value * value;
        }
        let norm = |square: f64| if square.sqrt() < NORM_MIN { 0.0 } else { square.sqrt() };
        Ok(squares.into_iter().map(norm).collect())
    }

    /// A number of each group at each of its entries, like `like`.
    fn spread(&self, like: &Tensor<1>, of_group: impl Fn(usize) -> f64) -> Tensor<1> {
        let values: Vec<f64> = self.group_of.iter().map(|&group| of_group(group)).collect();
        constants(like, &values)
    }

    /// The shares `u`, for `l` as in the formula.
    fn shares(&self, norms: &[f64], budget: f64, l: f64) -> Vec<f64> {
        let total = |counts: fn(f64) -> bool| -> f64 {
            norms.iter().zip(&self.costs).filter(|(norm, _)| counts(**norm)).map(|(_, cost)| cost).sum()
        };
        if total(|_| true) <= budget {
            return vec![1.0; norms.len()];
        }
        if total(|norm| norm > 0.0) <= budget {
            return norms.iter().map(|&norm| f64::from(u8::from(norm > 0.0))).collect();
        }
        let slopes: Vec<f64> = norms.iter().zip(&self.costs).map(|(norm, cost)| norm / cost.sqrt()).collect();
        let share = |theta: f64, slope: f64| (theta * slope - l).clamp(0.0, 1.0);
        let spent = |theta: f64| -> f64 {
            slopes.iter().zip(&self.costs).map(|(&slope, cost)| cost * share(theta, slope)).sum()
        };
        // The cost is piecewise linear in theta and bends at these places; at the last, all groups that are not 0 are
        // kept, which is more than the budget.
        let mut bends: Vec<f64> =
            slopes.iter().filter(|slope| **slope > 0.0).flat_map(|slope| [l / slope, (1.0 + l) / slope]).collect();
        bends.sort_by(f64::total_cmp);
        let above = bends.partition_point(|&theta| spent(theta) <= budget).clamp(1, bends.len() - 1);
        let (low, high) = (bends[above - 1], bends[above]);
        let (spent_low, spent_high) = (spent(low), spent(high));
        let part = if spent_high > spent_low { (budget - spent_low) / (spent_high - spent_low) } else { 0.0 };
        let theta = low + part * (high - low);
        slopes.into_iter().map(|slope| share(theta, slope)).collect()
    }
}

/// The term, `[1]`, for weights `w: [n]`; `lambda` is not multiplied in. Waits for the device.
///
/// # Errors
/// [`LossError::Shape`], [`LossError::NotFinite`].
pub fn wgsef(w: Tensor<1>, groups: &Groups, config: &Config) -> Result<Tensor<1>, LossError> {
    let shares = shares(&w, groups, config)?;
    let inverse = groups.spread(&w, |group| if shares[group] > 0.0 { shares[group].recip() } else { 0.0 });
    Ok((w.square() * inverse).sum() * 0.5)
}

/// How much of each group the value of the term keeps, in `[0, 1]`. Waits for the device.
///
/// # Errors
/// As [`wgsef`].
pub fn shares(w: &Tensor<1>, groups: &Groups, config: &Config) -> Result<Vec<f64>, LossError> {
    Ok(groups.shares(&groups.norms("w", w)?, groups.budget(config), 0.0))
}

/// The conjugate of the term at `y: [n]`: the budget filled with the groups of the largest `|y_j|^2 / d_j`. Waits for
/// the device.
///
/// # Errors
/// As [`wgsef`].
pub fn conjugate(y: &Tensor<1>, groups: &Groups, config: &Config) -> Result<f64, LossError> {
    let squares: Vec<f64> = groups.norms("y", y)?.iter().map(|norm| norm * norm).collect();
    let mut order: Vec<usize> = (0..squares.len()).collect();
    let worth = |group: usize| squares[group] / groups.costs[group];
    order.sort_by(|&left, &right| worth(right).total_cmp(&worth(left)));
    let mut left = groups.budget(config);
    let mut sum = 0.0;
    for group in order {
        let share = (left / groups.costs[group]).clamp(0.0, 1.0);
        sum += share * squares[group];
        left -= share * groups.costs[group];
    }
    Ok(0.5 * sum)
}

/// Weights after the prox.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Kept {
    /// The weights, `[n]`.
    pub weights: Tensor<1>,
    /// The shares `u` of the groups; a group with share 0 is 0.
    pub shares: Vec<f64>,
}

/// The prox of `lambda` times the term at `t: [n]`. Waits for the device.
///
/// # Errors
/// As [`wgsef`].
pub fn prox(t: Tensor<1>, groups: &Groups, config: &Config) -> Result<Kept, LossError> {
    prox_with(t, groups, groups.budget(config), config.lambda)
}

/// A step against `grad: [n]` of the objective without the term, then the prox of `lr lambda` times the term. Waits for
/// the device.
///
/// # Errors
/// As [`wgsef`]; [`LossError::Value`] if `lr` is not finite and above 0.
pub fn prox_step(w: Tensor<1>, grad: Tensor<1>, lr: f64, groups: &Groups, config: &Config) -> Result<Kept, LossError> {
    if !(lr.is_finite() && lr > 0.0) {
        let problem = format!("it is {lr}, it must be finite and above 0");
        return Err(LossError::Value { loss: NAME, input: "lr", problem });
    }
    check::vector(NAME, "grad", &grad, w.dims()[0])?;
    prox_with(w - grad * lr, groups, groups.budget(config), lr * config.lambda)
}

fn prox_with(t: Tensor<1>, groups: &Groups, budget: f64, lambda: f64) -> Result<Kept, LossError> {
    let shares = groups.shares(&groups.norms("t", &t)?, budget, lambda);
    let factors = groups.spread(&t, |group| shares[group] / (lambda + shares[group]));
    Ok(Kept { weights: t * factors, shares })
}
