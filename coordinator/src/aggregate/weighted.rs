//! `out = sum_i c_i g_i`: one pass over the updates.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::error::{AggregateError, check_lengths, find_non_finite};
use super::layout::Layout;
use super::shares::Shares;

/// Parameters per task.
const CHUNK: usize = 32_768;
/// Parameters summed at a time: 8 KiB of sums stay in a core's first-level cache while the updates stream past.
const TILE: usize = 1024;

/// `out = sum_i coefficients[i] * updates[i]`, in the order given.
///
/// Sums are taken in `f64`, product by product and in the order of the updates, and rounded to `f32` once: the bits depend
/// neither on the number of threads nor on the instruction set.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Length`], [`AggregateError::Count`], [`AggregateError::Coefficient`] before
/// anything is written; [`AggregateError::NonFinite`] may leave `out` partly written.
pub fn weighted_sum(updates: &[&[f32]], coefficients: &[f64], out: &mut [f32]) -> Result<(), AggregateError> {
    check_lengths(updates, out.len())?;
    match Layout::new([out.len()]) {
        Ok(layout) => weighted_sum_blocks(updates, &layout, &[coefficients], out),
        Err(_) => check_coefficients(updates, coefficients),
    }
}

/// [`weighted_sum`] with coefficients of their own for every block of the layout.
///
/// # Errors
/// As [`weighted_sum`].
pub fn weighted_sum_blocks<C: AsRef<[f64]>>(
    updates: &[&[f32]],
    layout: &Layout,
    coefficients: &[C],
    out: &mut [f32],
) -> Result<(), AggregateError> {
    if out.len() != layout.parameters() {
        return Err(AggregateError::Length { update: 0, found: out.len(), expected: layout.parameters() });
    }
    check_lengths(updates, out.len())?;
    if coefficients.len() != layout.ranges().len() {
        let (found, expected) = (coefficients.len(), layout.ranges().len());
        return Err(AggregateError::Count { what: "coefficient lists of blocks", found, expected });
    }
    let coefficients: Vec<&[f64]> = coefficients.iter().map(AsRef::as_ref).collect();
    coefficients.iter().try_for_each(|c| check_coefficients(updates, c))?;

    let mut rest = out;
    let mut tasks = Vec::new();
    for (block, range) in layout.pieces(CHUNK) {
        let (part, tail) = rest.split_at_mut(range.len());
        tasks.push((range.start, coefficients[block], part));
        rest = tail;
    }
    let arch = Arch::new();
    let sum = |(start, coefficients, out)| arch.dispatch(SumRange { updates, start, coefficients, out });
    // Not `all`, which would stop early and leave more unwritten than needed.
    let finite = tasks.into_par_iter().map(sum).reduce(|| true, |a, b| a & b);
    if finite { Ok(()) } else { Err(find_non_finite(updates).unwrap_or(AggregateError::Coefficient(0))) }
}

/// The mean of the updates by their shares.
///
/// Equal updates give back that update, bit for bit.
///
/// # Errors
/// As [`weighted_sum`].
pub fn mean(updates: &[&[f32]], shares: &Shares, out: &mut [f32]) -> Result<(), AggregateError> {
    weighted_sum(updates, shares.as_slice(), out)
}

fn check_coefficients(updates: &[&[f32]], coefficients: &[f64]) -> Result<(), AggregateError> {
    if coefficients.len() != updates.len() {
        let (found, expected) = (coefficients.len(), updates.len());
        return Err(AggregateError::Count { what: "coefficients", found, expected });
    }
    match coefficients.iter().position(|c| !c.is_finite()) {
        Some(update) => Err(AggregateError::Coefficient(update)),
        None => Ok(()),
    }
}

/// The sum over `out.len()` parameters from `start` on; returns whether all of it was finite.
struct SumRange<'a> {
    updates: &'a [&'a [f32]],
    start: usize,
    coefficients: &'a [f64],
    out: &'a mut [f32],
}

impl WithSimd for SumRange<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Self { updates, mut start, coefficients, out } = self;
        let mut sums = [0.0f64; TILE];
        let mut finite = true;
        for out in out.chunks_mut(TILE) {
            let sums = &mut sums[..out.len()];
            sums.fill(0.0);
            for (rows, c) in updates.chunks(4).zip(coefficients.chunks(4)) {
                let row = |i: usize| &rows[i][start..start + out.len()];
                match c {
                    [a] => add_rows([*a], [row(0)], sums),
                    [a, b] => add_rows([*a, *b], [row(0), row(1)], sums),
                    [a, b, c] => add_rows([*a, *b, *c], [row(0), row(1), row(2)], sums),
                    [a, b, c, d] => add_rows([*a, *b, *c, *d], [row(0), row(1), row(2), row(3)], sums),
                    _ => {}
                }
            }
            let mut bits = 0u64;
            for (out, sum) in out.iter_mut().zip(&*sums) {
                bits = bits.max(sum.abs().to_bits());
                *out = *sum as f32;
            }
            finite &= bits < f64::INFINITY.to_bits();
            start += out.len();
        }
        finite
    }
}

/// Product and sum are rounded one after the other: fusing them would tie the bits to the instruction set.
#[inline(always)]
fn add_rows<const N: usize>(c: [f64; N], rows: [&[f32]; N], sums: &mut [f64]) {
    let length = sums.len();
    let rows = rows.map(|row| &row[..length]);
    for i in 0..length {
        let mut sum = sums[i];
        for k in 0..N {
            sum += c[k] * f64::from(rows[k][i]);
        }
        sums[i] = sum;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_block_uses_its_own_coefficients() {
        let (a, b) = ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]);
        let layout = Layout::new([1, 2]).unwrap();
        let mut out = [0.0; 3];
        weighted_sum_blocks(&[&a, &b], &layout, &[[1.0, 0.5], [-1.0, 0.1]], &mut out).unwrap();
        assert_eq!(out, [6.0, 0.0, 0.0]);
    }

    #[test]
    fn any_number_of_updates_over_tile_and_chunk_borders_equals_the_plain_loop() {
        for updates in 1..10 {
            let length = CHUNK + TILE + 3;
            let rows: Vec<Vec<f32>> =
                (0..updates).map(|r| (0..length).map(|i| ((i * 31 + r * 7) % 101) as f32 - 50.0).collect()).collect();
            let c: Vec<f64> = (0..updates).map(|r| 0.3 - r as f64 * 0.11).collect();
            let slices: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let mut out = vec![9.0; length];
            weighted_sum(&slices, &c, &mut out).unwrap();
            for (i, out) in out.iter().enumerate() {
                let expected = rows.iter().zip(&c).fold(0.0, |sum, (row, c)| sum + c * f64::from(row[i]));
                assert_eq!(*out, expected as f32);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut out = [0.0; 2];
        let sum = |updates: &[&[f32]], c: &[f64], out: &mut [f32]| weighted_sum(updates, c, out).unwrap_err();
        assert_eq!(sum(&[], &[], &mut out), AggregateError::Empty);
        assert!(matches!(sum(&[&[1.0]], &[1.0], &mut out), AggregateError::Length { found: 1, expected: 2, .. }));
        assert!(matches!(sum(&[&[1.0; 2]], &[], &mut out), AggregateError::Count { .. }));
        assert_eq!(sum(&[[1.0f32; 2].as_slice(); 2], &[1.0, f64::NAN], &mut out), AggregateError::Coefficient(1));
        let bad = sum(&[&[1.0; 2], &[0.0, f32::NEG_INFINITY]], &[1.0, 0.0], &mut out);
        assert_eq!(bad, AggregateError::NonFinite { update: 1, at: 1, value: f32::NEG_INFINITY });
        assert_eq!(weighted_sum(&[&[]], &[1.0], &mut []), Ok(()));
    }

    proptest! {
        #[test]
        fn equal_updates_come_back_bit_for_bit(
            x in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO, 1..50),
            samples in prop::collection::vec(1u32.., 1..30),
        ) {
            // In f64 nothing of an f32 is lost; zero keeps its value though not its sign.
            let samples: Vec<_> = samples.iter().map(|s| std::num::NonZeroU32::new(*s).unwrap()).collect();
            let mut out = vec![1.0; x.len()];
            mean(&vec![x.as_slice(); samples.len()], &Shares::samples(&samples).unwrap(), &mut out).unwrap();
            prop_assert_eq!(&out, &x);
        }
    }
}
