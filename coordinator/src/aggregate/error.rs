//! What can be wrong with the numbers handed to an aggregation.

use thiserror::Error;

/// Why an aggregation was refused. `update` is the position in the slice that was handed in; the caller knows whose it is.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AggregateError {
    /// There is nothing to combine.
    #[error("nothing to aggregate: no update was given; wait for at least one")]
    Empty,
    /// An update has another length than the rest.
    #[error(
        "update #{update} has {found} parameters where {expected} are expected: it belongs to another model; refuse it"
    )]
    Length {
        /// Position of the update.
        update: usize,
        /// Its length.
        found: usize,
        /// The length that the layout or the output buffer prescribes.
        expected: usize,
    },
    /// Lists that belong together differ in length.
    #[error("{what}: {found} given for {expected}; pass exactly one for each")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there were.
        found: usize,
        /// How many were needed.
        expected: usize,
    },
    /// An update holds NaN or infinity.
    #[error("update #{update} is not finite at parameter {at} ({value}): its training diverged; refuse it")]
    NonFinite {
        /// Position of the update.
        update: usize,
        /// Position of the first such parameter.
        at: usize,
        /// What stands there.
        value: f32,
    },
    /// `weight * value` leaves the window in which the exact sum is exact.
    #[error(
        "update #{update} is too large at parameter {at}: {value} with weight {weight} exceeds the exact sum's limit of {limit:e}; refuse or clip it"
    )]
    TooLarge {
        /// Position of the update.
        update: usize,
        /// Position of the first such parameter.
        at: usize,
        /// What stands there.
        value: f32,
        /// The update's weight.
        weight: u32,
        /// The bound on `weight * |value|`.
        limit: f64,
    },
    /// The sum as a whole would leave its window.
    #[error(
        "the exact sum is full: weights times largest values add up to {reached:e}, the limit is {limit:e}; close the round or lower the weights by a common factor"
    )]
    Full {
        /// What the bound would become.
        reached: f64,
        /// What it may be.
        limit: f64,
    },
    /// A matrix of inner products is not one.
    #[error(
        "the Gram matrix is not symmetric, finite and non-negative on its diagonal at row {row}, column {column}; compute it with `gram`"
    )]
    NotGram {
        /// Row of the first bad entry.
        row: usize,
        /// Column of the first bad entry.
        column: usize,
    },
    /// A coefficient is NaN or infinite.
    #[error("the coefficient of update #{0} is not finite; compute coefficients from finite numbers")]
    Coefficient(usize),
    /// A loss that is negative or not finite.
    #[error("the loss of update #{update} is {value}, it must be finite and at least 0; refuse the update")]
    Loss {
        /// Position of the update.
        update: usize,
        /// The loss.
        value: f64,
    },
    /// A fraction of directions outside `(0, 1]`.
    #[error("keep is {0}, it must be above 0 and at most 1; the published setting is 0.8")]
    Keep(f64),
    /// A rule's option is outside its range.
    #[error("{rule}: {option} is {value}, it must be {allowed}")]
    Option {
        /// The rule.
        rule: &'static str,
        /// The option.
        option: &'static str,
        /// What it was set to.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// A robust rule cannot promise anything for so few updates.
    #[error(
        "{rule} withstands {hostile} hostile sites among {needed} or more, but {found} updates are there; wait for more updates (raise the round's minimum to {needed}) or expect fewer hostile sites"
    )]
    TooFew {
        /// The rule.
        rule: &'static str,
        /// How many hostile sites it was told to expect.
        hostile: usize,
        /// Updates that this takes.
        needed: usize,
        /// Updates that are there.
        found: usize,
    },
    /// Blocks without parameters, or more parameters than fit in memory.
    #[error(
        "block #{0} is empty or makes the model larger than memory can hold; give every block its number of parameters"
    )]
    Layout(usize),
    /// An update with this key is already there.
    #[error("a second update with the same key: the first one is kept; count each client once")]
    Duplicate,
    /// The stated memory bound is reached.
    #[error("{0} updates are held already, which is the limit; raise the limit or close the round")]
    TooMany(usize),
    /// The eigenvalue iteration did not converge.
    #[error("the eigenproblem of a {0} x {0} Gram matrix did not converge: this is a bug; report it with the matrix")]
    Eigen(usize),
}

/// Checks that there is at least one update and that each has `expected` parameters.
pub(super) fn check_lengths(updates: &[&[f32]], expected: usize) -> Result<(), AggregateError> {
    if updates.is_empty() {
        return Err(AggregateError::Empty);
    }
    match updates.iter().position(|u| u.len() != expected) {
        Some(update) => Err(AggregateError::Length { update, found: updates[update].len(), expected }),
        None => Ok(()),
    }
}

/// Checks that a rule told to expect `hostile` hostile sites has its `factor * hostile + 3` updates.
pub(super) fn check_enough(
    rule: &'static str,
    factor: usize,
    hostile: usize,
    found: usize,
) -> Result<(), AggregateError> {
    let needed = hostile.saturating_mul(factor).saturating_add(3);
    if found == 0 {
        Err(AggregateError::Empty)
    } else if found < needed {
        Err(AggregateError::TooFew { rule, hostile, needed, found })
    } else {
        Ok(())
    }
}

/// Names the first parameter that is not finite, if any update has one. Slow path: called once something is known wrong.
pub(super) fn find_non_finite(updates: &[&[f32]]) -> Option<AggregateError> {
    updates.iter().enumerate().find_map(|(update, values)| {
        let at = values.iter().position(|v| !v.is_finite())?;
        Some(AggregateError::NonFinite { update, at, value: values[at] })
    })
}
