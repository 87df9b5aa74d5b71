//! The accumulator.

use std::num::NonZeroU32;

use pulp::Arch;
use rayon::prelude::*;

use super::super::error::{AggregateError, check_lengths};
use super::kernel::{Carry, Divide, Fold, GROUP, LOW_BITS, LargestBits, TERM_LIMIT};

/// Parameters handled at a time: 128 KiB of limbs stay in a core's cache while a group of updates is checked and added.
const CHUNK: usize = 8192;
/// Fewer chunks than this are not worth handing to another thread.
const CHUNKS_PER_TASK_MIN: usize = 4;
/// Bound on `sum of weight * largest |value|`, in high units: 1/2 of what an `i64` holds.
const HIGH_UNITS_MAX: u64 = 1 << 62;
const HIGH_UNITS_PER_ONE: f64 = 256.0;
/// Low limbs grow by at most `2^49` (a half) per update; so many halves fit into an `i64`.
const LOW_HALVES_MAX: u64 = 1 << (63 - (LOW_BITS - 1));
/// A long group carries after so many updates, well before its low limbs are full.
const CARRY_AFTER: usize = 4096;

/// One update with its weight.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<'a> {
    /// How often it counts, usually the number of samples behind it. For fractional weights multiply all of them by a
    /// common power of two.
    pub weight: NonZeroU32,
    /// Its numbers.
    pub values: &'a [f32],
}

/// A running weighted sum of `f32` vectors whose bits do not depend on the order of anything.
///
/// **Window.** A term `weight * value` is exact where it is a multiple of `2^-58`, which every `f32` of magnitude `2^-34`
/// (6e-11) or more is, and where the weight is below `2^29`. Smaller values are rounded to the nearest multiple of `2^-58`
/// (an error of at most 1.8e-18 per term), larger weights round the term by `2^-53` of itself; both roundings see the term
/// alone, so the sum stays free of order. Upwards the limits are `weight * |value| < 2^43` (8.8e12) for one term and
/// `2^54` (1.8e16) for `sum of weight * largest |value|`: a million updates of 10,000 samples each with values up to
/// 1.8 million. The number of updates is not limited otherwise. Beyond a limit [`add`](Self::add) refuses.
///
/// **Memory.** 16 bytes per parameter, whatever the number of updates: four models.
///
/// ```
/// use std::num::NonZeroU32;
/// use synod_coordinator::aggregate::ExactSum;
///
/// let mut sum = ExactSum::new(2);
/// sum.add(NonZeroU32::MIN, &[1.0, -2.0])?;
/// sum.add(NonZeroU32::new(3).unwrap(), &[5.0, 2.0])?;
/// let mut mean = [0.0; 2];
/// sum.mean(&mut mean)?;
/// assert_eq!(mean, [4.0, 1.0]);
/// # Ok::<(), synod_coordinator::aggregate::AggregateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExactSum {
    high: Vec<i64>,
    low: Vec<i64>,
    total_weight: u128,
    updates: u64,
    high_units: u64,
    low_halves: u64,
}

/// Sums are equal when every later mean would be, whatever way they came about.
impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        let total = |sum: &Self, i: usize| (i128::from(sum.high[i]) << LOW_BITS) + i128::from(sum.low[i]);
        self.high.len() == other.high.len()
            && (self.total_weight, self.updates) == (other.total_weight, other.updates)
            && (0..self.high.len()).all(|i| total(self, i) == total(other, i))
    }
}

impl ExactSum {
    /// An empty sum over `parameters` parameters.
    #[must_use]
    pub fn new(parameters: usize) -> Self {
        Self {
            high: vec![0; parameters],
            low: vec![0; parameters],
            total_weight: 0,
            updates: 0,
            high_units: 0,
            low_halves: 0,
        }
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.high.len()
    }

    /// Number of updates in the sum.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Sum of the weights.
    #[must_use]
    pub fn total_weight(&self) -> u128 {
        self.total_weight
    }

    /// Back to zero, keeping the memory.
    pub fn reset(&mut self) {
        self.high.fill(0);
        self.low.fill(0);
        (self.total_weight, self.updates, self.high_units, self.low_halves) = (0, 0, 0, 0);
    }

    /// Adds `weight * values`.
    ///
    /// # Errors
    /// As [`add_group`](Self::add_group), and like there the sum is then as it was.
    pub fn add(&mut self, weight: NonZeroU32, values: &[f32]) -> Result<(), AggregateError> {
        self.add_group(&[Weighted { weight, values }])
    }

    /// Adds several updates in one pass over the accumulator, which for [`GROUP`] of them or more is twice as fast as one
    /// by one. The sum is the same. All of them are added or, on an error, none.
    ///
    /// # Errors
    /// [`AggregateError::Length`], [`AggregateError::NonFinite`] or [`AggregateError::TooLarge`] name the offending update
    /// and parameter, [`AggregateError::Full`] says that the window of the whole sum is used up.
    pub fn add_group(&mut self, group: &[Weighted<'_>]) -> Result<(), AggregateError> {
        let values: Vec<&[f32]> = group.iter().map(|w| w.values).collect();
        if values.is_empty() {
            return Ok(());
        }
        check_lengths(&values, self.parameters())?;
        let weights: Vec<f64> = group.iter().map(|w| f64::from(w.weight.get())).collect();
        self.make_room(group.len() as u64);
        // Checking while adding spares a second pass over memory. What should not have been added is taken out again,
        // which integers do exactly.
        let largest = self.fold(&values, &weights);
        match self.high_units_after(group, &largest) {
            Ok(high_units) => {
                self.high_units = high_units;
                self.updates += group.len() as u64;
                self.total_weight += group.iter().map(|w| u128::from(w.weight.get())).sum::<u128>();
                Ok(())
            }
            Err(error) => {
                let negated: Vec<f64> = weights.iter().map(|w| -w).collect();
                self.fold(&values, &negated);
                Err(error)
            }
        }
    }

    /// Adds what can be added and yields each update's largest magnitude, infinite or NaN where it is not finite.
    fn fold(&mut self, values: &[&[f32]], weights: &[f64]) -> Vec<f32> {
        let arch = Arch::new();
        let of_chunk = |(chunk, (high, low)): (usize, (&mut [i64], &mut [i64]))| {
            let range = chunk * CHUNK..chunk * CHUNK + high.len();
            let mut largest = Vec::with_capacity(values.len());
            for (index, (values, weights)) in values.chunks(GROUP).zip(weights.chunks(GROUP)).enumerate() {
                if index > 0 && index % (CARRY_AFTER / GROUP) == 0 {
                    arch.dispatch(Carry { high, low });
                }
                let mut parts: [&[f32]; GROUP] = [&[]; GROUP];
                parts.iter_mut().zip(values).for_each(|(part, values)| *part = &values[range.clone()]);
                let bits = arch.dispatch(Fold { weights, values: &parts[..values.len()], high, low });
                largest.extend_from_slice(&bits[..values.len()]);
            }
            largest
        };
        let larger = |mut a: Vec<u32>, b: Vec<u32>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a = b.max(*a));
            a
        };
        let bits = self.chunks_mut().map(of_chunk).reduce_with(larger).unwrap_or_else(|| vec![0; values.len()]);
        bits.into_iter().map(f32::from_bits).collect()
    }

    /// The bound on the high limbs once the group is in, or the reason why it cannot be in.
    fn high_units_after(&self, group: &[Weighted<'_>], largest: &[f32]) -> Result<u64, AggregateError> {
        let fits = |(weighted, largest): (&Weighted<'_>, &f32)| term_fits(weighted.weight, *largest);
        if let Some(update) = group.iter().zip(largest).position(|pair| !fits(pair)) {
            return Err(culprit(update, group[update]));
        }
        let units = group.iter().zip(largest).map(|(w, l)| term_units(w.weight, *l));
        full_unless_below(units.fold(self.high_units, u64::saturating_add))
    }

    /// The largest magnitude, infinite or NaN where a value is not finite.
    pub(super) fn abs_max(values: &[f32]) -> f32 {
        f32::from_bits(Arch::new().dispatch(LargestBits(values)))
    }

    /// Whether an update can be added on top of others that wait with `waiting_units`: those units with its own added.
    pub(super) fn high_units_with(
        &self,
        weight: NonZeroU32,
        values: &[f32],
        largest: f32,
        waiting_units: u64,
    ) -> Result<u64, AggregateError> {
        check_lengths(&[values], self.parameters())?;
        if !term_fits(weight, largest) {
            return Err(culprit(0, Weighted { weight, values }));
        }
        let units = waiting_units.saturating_add(term_units(weight, largest));
        full_unless_below(self.high_units.saturating_add(units)).map(|_| units)
    }

    /// Carries if the low limbs could overflow by `updates` more.
    fn make_room(&mut self, updates: u64) {
        let at_once = updates.min(CARRY_AFTER as u64);
        // Twice, because an undone group passes through the limbs twice.
        if self.low_halves + 2 * at_once >= LOW_HALVES_MAX {
            self.carry();
        }
        self.low_halves = if updates > at_once { at_once + 2 } else { self.low_halves + updates };
    }

    fn carry(&mut self) {
        let arch = Arch::new();
        self.chunks_mut().for_each(|(_, (high, low))| arch.dispatch(Carry { high, low }));
        self.low_halves = 2;
    }

    /// Adds what another accumulator holds. Which of them took which update, and the order of merging, leave no trace.
    ///
    /// # Errors
    /// [`AggregateError::Length`] if the other one has another number of parameters, [`AggregateError::Full`] if the sum
    /// would leave its window. This sum is then as it was.
    pub fn merge(&mut self, other: &Self) -> Result<(), AggregateError> {
        if other.parameters() != self.parameters() {
            return Err(AggregateError::Length { update: 0, found: other.parameters(), expected: self.parameters() });
        }
        let high_units = full_unless_below(self.high_units.saturating_add(other.high_units))?;
        let must_carry = self.low_halves + other.low_halves >= LOW_HALVES_MAX;
        if must_carry {
            self.carry();
        }
        self.chunks_mut().for_each(|(chunk, (high, low))| {
            let at = chunk * CHUNK;
            for (i, (h, l)) in high.iter_mut().zip(low).enumerate() {
                let theirs = other.low[at + i];
                let carry = if must_carry { theirs >> LOW_BITS } else { 0 };
                *h = h.wrapping_add(other.high[at + i]).wrapping_add(carry);
                *l = l.wrapping_add(theirs - (carry << LOW_BITS));
            }
        });
        self.low_halves += if must_carry { 2 } else { other.low_halves };
        self.high_units = high_units;
        self.updates += other.updates;
        self.total_weight += other.total_weight;
        Ok(())
    }

    /// Writes `sum / total weight`.
    ///
    /// The sum is rounded to `f64` once, divided, and rounded to `f32`. Equal updates therefore give back that update bit
    /// for bit where it lies in the window (values of 0 or of magnitude `2^-34` and more).
    ///
    /// # Errors
    /// [`AggregateError::Empty`] before the first update, [`AggregateError::Length`] for a buffer of another length.
    pub fn mean(&self, out: &mut [f32]) -> Result<(), AggregateError> {
        self.divide(self.total_weight as f64, out)
    }

    /// Writes the sum itself, rounded to `f64` and from there to `f32`. One beyond `f32` becomes infinite.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    pub fn total(&self, out: &mut [f32]) -> Result<(), AggregateError> {
        self.divide(1.0, out)
    }

    fn divide(&self, divisor: f64, out: &mut [f32]) -> Result<(), AggregateError> {
        if self.updates == 0 {
            return Err(AggregateError::Empty);
        }
        if out.len() != self.parameters() {
            return Err(AggregateError::Length { update: 0, found: out.len(), expected: self.parameters() });
        }
        let arch = Arch::new();
        let limbs = self.high.par_chunks(CHUNK).zip(self.low.par_chunks(CHUNK));
        out.par_chunks_mut(CHUNK).zip(limbs).with_min_len(CHUNKS_PER_TASK_MIN).for_each(|(out, (high, low))| {
            arch.dispatch(Divide { high, low, divisor, out });
        });
        Ok(())
    }

    fn chunks_mut(&mut self) -> impl IndexedParallelIterator<Item = (usize, (&mut [i64], &mut [i64]))> {
        let limbs = self.high.par_chunks_mut(CHUNK).zip(self.low.par_chunks_mut(CHUNK));
        limbs.enumerate().with_min_len(CHUNKS_PER_TASK_MIN)
    }
}

fn full_unless_below(units: u64) -> Result<u64, AggregateError> {
    if units < HIGH_UNITS_MAX {
        return Ok(units);
    }
    let in_ones = |units: u64| units as f64 / HIGH_UNITS_PER_ONE;
    Err(AggregateError::Full { reached: in_ones(units), limit: in_ones(HIGH_UNITS_MAX) })
}

/// Whether one term can be split into limbs. Infinity and NaN cannot.
fn term_fits(weight: NonZeroU32, value: f32) -> bool {
    f64::from(value.abs()) * f64::from(weight.get()) < TERM_LIMIT
}

/// How far one update can move a high limb: less than `2^51`, and one more for the rounding.
fn term_units(weight: NonZeroU32, largest: f32) -> u64 {
    (f64::from(largest) * f64::from(weight.get()) * HIGH_UNITS_PER_ONE).ceil() as u64 + 1
}

/// Names the first parameter that cannot be added.
fn culprit(update: usize, Weighted { weight, values }: Weighted<'_>) -> AggregateError {
    let at = values.iter().position(|v| !term_fits(weight, *v)).unwrap_or_default();
    let weight = weight.get();
    let value = values[at];
    if value.is_finite() {
        AggregateError::TooLarge { update, at, value, weight, limit: TERM_LIMIT }
    } else {
        AggregateError::NonFinite { update, at, value }
    }
}

#[cfg(test)]
mod tests;
