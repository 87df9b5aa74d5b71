//! Order statistics of every parameter over the updates.
//!
//! A tile of 64 parameters of every update is sorted at once by a [sorting network](super::network): no branch depends on
//! a value, and a comparator is a minimum and a maximum of whole registers. Values are compared as integers in the total
//! order of `f32`, so that even zeros of either sign have a place of their own: **the result is the same to the last bit for
//! every order of the updates**.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::super::error::{AggregateError, check_lengths, find_non_finite};
use super::network::sorting_network;

/// Parameters per task.
const CHUNK: usize = 8192;
/// Parameters sorted at a time: with 100 updates a tile takes 25 KiB of a core's first-level cache.
const TILE: usize = 64;

/// Parameters of one update as integers that compare like the numbers.
type Keys = [i32; TILE];

/// What becomes of the sorted values of a parameter. Sums are taken in `f64` from the smallest value to the largest.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pick {
    /// The mean of the values at these places.
    Middle(Range<usize>),
    /// The mean of this many values closest to the median; of two equally close ones the smaller.
    Nearest(usize),
}

/// Sorts every parameter over the updates and writes what `pick` makes of it.
pub(super) fn pick(updates: &[&[f32]], pick: &Pick, out: &mut [f32]) -> Result<(), AggregateError> {
    check_lengths(updates, out.len())?;
    let wanted = match pick {
        Pick::Middle(places) => places.clone(),
        Pick::Nearest(_) => 0..updates.len(),
    };
    let network = sorting_network(updates.len(), wanted);
    let arch = Arch::new();
    let finite = out
        .par_chunks_mut(CHUNK)
        .enumerate()
        .map_init(
            || vec![[0; TILE]; updates.len()],
            |keys, (chunk, out)| {
                arch.dispatch(PickRange { updates, start: chunk * CHUNK, network: &network, pick, keys, out })
            },
        )
        .reduce(|| true, |a, b| a & b);
    if finite { Ok(()) } else { Err(find_non_finite(updates).unwrap_or(AggregateError::Empty)) }
}

/// [`pick`] for `out.len()` parameters from `start` on; returns whether all values were finite.
struct PickRange<'a> {
    updates: &'a [&'a [f32]],
    start: usize,
    network: &'a [(usize, usize)],
    pick: &'a Pick,
    keys: &'a mut [Keys],
    out: &'a mut [f32],
}

impl WithSimd for PickRange<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self { updates, mut start, network, pick, keys, out } = self;
        let mut largest = [0u32; TILE];
        for out in out.chunks_mut(TILE) {
            for (keys, update) in keys.iter_mut().zip(updates) {
                load(&update[start..start + out.len()], keys, &mut largest);
            }
            for (low, high) in network {
                let (head, tail) = keys.split_at_mut(*high);
                compare(&mut head[*low], &mut tail[0]);
            }
            let mut means = [0.0f64; TILE];
            match pick {
                Pick::Middle(places) => mean_of(&keys[places.clone()], &mut means),
                Pick::Nearest(count) => mean_of_nearest(keys, *count, &mut means),
            }
            for (out, mean) in out.iter_mut().zip(means) {
                *out = mean as f32;
            }
            start += out.len();
        }
        largest.into_iter().fold(0, u32::max) < f32::INFINITY.to_bits()
    }
}

/// The bits of a number as an integer that orders like the number, and the way back.
#[inline(always)]
fn key(bits: i32) -> i32 {
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

#[inline(always)]
fn value(key_of: i32) -> f64 {
    f64::from(f32::from_bits(key(key_of) as u32))
}

/// Places beyond the end of `values` keep what they had: nothing is read from there.
#[inline(always)]
fn load(values: &[f32], keys: &mut Keys, largest: &mut [u32; TILE]) {
    for ((value, place), largest) in values.iter().zip(keys).zip(largest) {
        let bits = value.to_bits();
        *largest = (*largest).max(bits & 0x7fff_ffff);
        *place = key(bits as i32);
    }
}

#[inline(always)]
fn compare(low: &mut Keys, high: &mut Keys) {
    for i in 0..TILE {
        let (a, b) = (low[i], high[i]);
        (low[i], high[i]) = (a.min(b), a.max(b));
    }
}

#[inline(always)]
fn mean_of(sorted: &[Keys], means: &mut [f64; TILE]) {
    for row in sorted {
        for i in 0..TILE {
            means[i] += value(row[i]);
        }
    }
    let count = sorted.len() as f64;
    for mean in means {
        *mean /= count;
    }
}

/// The values closest to the median stand side by side. Their place is found by counting: moving the window one place up
/// replaces the smallest value in it by the next larger one outside, which is worth it while that one is the closer of
/// the two, and this holds up to some place and nowhere above.
#[inline(always)]
fn mean_of_nearest(sorted: &[Keys], count: usize, means: &mut [f64; TILE]) {
    let (below, above) = (&sorted[(sorted.len() - 1) / 2], &sorted[sorted.len() / 2]);
    let mut first = [0u32; TILE];
    for start in 0..sorted.len() - count {
        let (lost, gained) = (&sorted[start], &sorted[start + count]);
        for i in 0..TILE {
            let closer = value(gained[i]) + value(lost[i]) < value(below[i]) + value(above[i]);
            first[i] += u32::from(closer);
        }
    }
    for (place, row) in (0u32..).zip(sorted) {
        for i in 0..TILE {
            let inside = place.wrapping_sub(first[i]) < count as u32;
            means[i] += if inside { value(row[i]) } else { 0.0 };
        }
    }
    for mean in means {
        *mean /= count as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_like_the_numbers_and_lead_back() {
        let sorted = [-f32::MAX, -1.0, -f32::MIN_POSITIVE, -1e-45, -0.0, 0.0, 1e-45, 1.0, f32::MAX];
        let keys = sorted.map(|x| key(x.to_bits() as i32));
        assert!(keys.windows(2).all(|k| k[0] < k[1]));
        assert_eq!(keys.map(|k| (value(k) as f32).to_bits()), sorted.map(f32::to_bits));
    }

    #[test]
    fn the_nearest_values_are_found_by_hand() {
        let of = |values: &[f32], count: usize| {
            let rows: Vec<&[f32]> = values.iter().map(std::slice::from_ref).collect();
            let mut out = [0.0];
            pick(&rows, &Pick::Nearest(count), &mut out).unwrap();
            out[0]
        };
        // Median 4; distances 3, 1, 0, 2, 96.
        assert_eq!(of(&[100.0, 4.0, 1.0, 6.0, 3.0], 3), 13.0 / 3.0);
        assert_eq!(of(&[100.0, 4.0, 1.0, 6.0, 3.0], 1), 4.0);
        // Median 2.5 between 2 and 3: a tie goes to the smaller value.
        assert_eq!(of(&[0.0, 2.0, 3.0, 5.0], 1), 2.0);
        assert_eq!(of(&[f32::MAX, -f32::MAX, 1.0, 2.0, 3.0], 3), 2.0);
    }
}
