//! Inner products of one chunk: widen a tile of each row to `f64`, then multiply blocks of 4 x 4 rows in registers.

use pulp::{Arch, Simd, WithSimd};

/// Parameters summed before their sum joins the total. Part of the definition of an inner product.
pub(in super::super) const CHUNK: usize = 32_768;
/// Partial sums inside a chunk. Part of the definition of an inner product.
pub(in super::super) const LANES: usize = 8;

/// Parameters widened at a time. Speed only: a tile of 32 rows takes 32 KiB, and while one is worked on the next is fetched.
const TILE: usize = 128;
/// Rows on each side of one pass. Speed only.
const PANEL: usize = 32;
/// Rows on each side of a register block: 16 sums and 8 operands of the 32 registers of AVX-512. Speed only.
const BLOCK: usize = 4;

type Lanes = [f64; LANES];
/// A tile of four rows at fixed distances, so that a register block needs no pointer per row.
type Rows = [[Lanes; TILE / LANES]; BLOCK];

/// The fixed tree in which lanes are added.
#[inline(always)]
pub(in super::super) fn add_lanes(l: Lanes) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

/// Working memory of one thread: 128 KiB.
pub(super) struct Scratch {
    left: Vec<Rows>,
    right: Vec<Rows>,
    sums: Vec<Lanes>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let tile = || vec![[[[0.0; LANES]; TILE / LANES]; BLOCK]; PANEL / BLOCK];
        Self { left: tile(), right: tile(), sums: vec![[0.0; LANES]; PANEL * PANEL] }
    }
}

/// Which pairs of rows are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// Every left row with every right row.
    All,
    /// Left and right rows are the same: only pairs with `left <= right`.
    Upper,
}

/// Inner products of rows of at most [`CHUNK`] parameters, all of the same length: `out[left * right.len() + right]`.
/// Entries below the diagonal are left alone for [`Pairs::Upper`].
pub(super) fn chunk_products(left: &[&[f32]], right: &[&[f32]], pairs: Pairs, scratch: &mut Scratch, out: &mut [f64]) {
    let arch = Arch::new();
    for (top, left_rows) in left.chunks(PANEL).enumerate() {
        let first = if pairs == Pairs::Upper { top } else { 0 };
        for (side, right_rows) in right.chunks(PANEL).enumerate().skip(first) {
            let same = pairs == Pairs::Upper && top == side;
            arch.dispatch(PanelProducts { left: left_rows, right: right_rows, same, scratch });
            for i in 0..left_rows.len() {
                for j in if same { i } else { 0 }..right_rows.len() {
                    out[(top * PANEL + i) * right.len() + side * PANEL + j] = add_lanes(scratch.sums[i * PANEL + j]);
                }
            }
        }
    }
}

/// Lane sums of up to [`PANEL`] x [`PANEL`] rows into `scratch.sums`.
struct PanelProducts<'a, 'b> {
    left: &'a [&'b [f32]],
    right: &'a [&'b [f32]],
    same: bool,
    scratch: &'a mut Scratch,
}

impl WithSimd for PanelProducts<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, same, scratch } = self;
        let Scratch { left: left_tile, right: right_tile, sums } = scratch;
        sums[..(left.len() - 1) * PANEL + right.len()].fill([0.0; LANES]);
        let length = left[0].len();
        for start in (0..length).step_by(TILE) {
            let range = start..length.min(start + TILE);
            let steps = range.len().div_ceil(LANES);
            for (row, values) in right.iter().enumerate() {
                widen(&values[range.clone()], &mut right_tile[row / BLOCK][row % BLOCK]);
            }
            if !same {
                for (row, values) in left.iter().enumerate() {
                    widen(&values[range.clone()], &mut left_tile[row / BLOCK][row % BLOCK]);
                }
            }
            let (a, b): (&[Rows], &[Rows]) = (if same { right_tile } else { left_tile }, right_tile);
            for i in (0..left.len()).step_by(BLOCK) {
                let a = &a[i / BLOCK];
                for j in (if same { i } else { 0 }..right.len()).step_by(BLOCK) {
                    let b = &b[j / BLOCK];
                    let sums = &mut sums[i * PANEL + j..];
                    match ((left.len() - i).min(BLOCK), (right.len() - j).min(BLOCK), same && i == j) {
                        (4, _, true) => block::<S, 4, 4, true>(simd, steps, a, b, sums),
                        (3, _, true) => block::<S, 3, 3, true>(simd, steps, a, b, sums),
                        (2, _, true) => block::<S, 2, 2, true>(simd, steps, a, b, sums),
                        (_, _, true) => block::<S, 1, 1, true>(simd, steps, a, b, sums),
                        (4, 4, _) => block::<S, 4, 4, false>(simd, steps, a, b, sums),
                        (4, 3, _) => block::<S, 4, 3, false>(simd, steps, a, b, sums),
                        (4, 2, _) => block::<S, 4, 2, false>(simd, steps, a, b, sums),
                        (4, _, _) => block::<S, 4, 1, false>(simd, steps, a, b, sums),
                        (3, 4, _) => block::<S, 3, 4, false>(simd, steps, a, b, sums),
                        (3, 3, _) => block::<S, 3, 3, false>(simd, steps, a, b, sums),
                        (3, 2, _) => block::<S, 3, 2, false>(simd, steps, a, b, sums),
                        (3, _, _) => block::<S, 3, 1, false>(simd, steps, a, b, sums),
                        (2, 4, _) => block::<S, 2, 4, false>(simd, steps, a, b, sums),
                        (2, 3, _) => block::<S, 2, 3, false>(simd, steps, a, b, sums),
                        (2, 2, _) => block::<S, 2, 2, false>(simd, steps, a, b, sums),
                        (2, _, _) => block::<S, 2, 1, false>(simd, steps, a, b, sums),
                        (_, 4, _) => block::<S, 1, 4, false>(simd, steps, a, b, sums),
                        (_, 3, _) => block::<S, 1, 3, false>(simd, steps, a, b, sums),
                        (_, 2, _) => block::<S, 1, 2, false>(simd, steps, a, b, sums),
                        _ => block::<S, 1, 1, false>(simd, steps, a, b, sums),
                    }
                }
            }
        }
    }
}

/// `f32` to `f64`, the last lanes filled up with zeros.
///
/// Plain loops here and below: closures may be compiled without the instructions that the caller was dispatched for.
#[inline(always)]
fn widen(values: &[f32], out: &mut [Lanes]) {
    let out = &mut out.as_flattened_mut()[..values.len().next_multiple_of(LANES)];
    let (whole, rest) = out.split_at_mut(values.len());
    for (out, value) in whole.iter_mut().zip(values) {
        *out = f64::from(*value);
    }
    rest.fill(0.0);
}

/// Adds the products of `A` rows with `B` rows to their lane sums, those below the diagonal left out where the rows are
/// the same. Registers narrower than [`LANES`] take several passes, each over its own lanes, which changes no sum.
#[inline(always)]
fn block<S: Simd, const A: usize, const B: usize, const SAME: bool>(
    simd: S,
    steps: usize,
    a: &Rows,
    b: &Rows,
    sums: &mut [Lanes],
) {
    let registers = LANES / S::F64_LANES;
    let steps = steps.min(TILE / LANES);
    for register in 0..registers {
        let mut acc = [[simd.splat_f64s(0.0); B]; A];
        for row in 0..A {
            for column in if SAME { row } else { 0 }..B {
                acc[row][column] = S::as_simd_f64s(&sums[row * PANEL + column]).0[register];
            }
        }
        for step in 0..steps {
            let mut right = [simd.splat_f64s(0.0); B];
            for column in 0..B {
                right[column] = S::as_simd_f64s(&b[column][step]).0[register];
            }
            for row in 0..A {
                let left = S::as_simd_f64s(&a[row][step]).0[register];
                for column in if SAME { row } else { 0 }..B {
                    acc[row][column] = multiply_add(simd, left, right[column], acc[row][column]);
                }
            }
        }
        for row in 0..A {
            for column in if SAME { row } else { 0 }..B {
                S::as_mut_simd_f64s(&mut sums[row * PANEL + column]).0[register] = acc[row][column];
            }
        }
    }
}

/// `a * b + c`. The product is exact here, so that fused and separate operations agree; the choice is one of speed, as
/// targets without the fused instruction would call a library function for it.
#[inline(always)]
fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
    if S::F64_LANES >= 4 { simd.mul_add_e_f64s(a, b, c) } else { simd.add_f64s(simd.mul_f64s(a, b), c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lane sums of 6 x 7 and of 6 x 6 rows, computed with the given instructions.
    fn lane_sums<S: Simd>(simd: S) -> Vec<u64> {
        let value = |row: usize, i: usize| ((row * 7919 + i * 104_729) % 10_007) as f32 * 1.1e-4 - 0.5;
        let rows: Vec<Vec<f32>> = (0..7).map(|row| (0..TILE + 45).map(|i| value(row, i)).collect()).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let mut found = Vec::new();
        for (right, same) in [(&rows[..], false), (&rows[..6], true)] {
            let mut scratch = Scratch::new();
            simd.vectorize(PanelProducts { left: &rows[..6], right, same, scratch: &mut scratch });
            found.extend(scratch.sums.as_flattened().iter().map(|sum| sum.to_bits()));
        }
        found
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let reference = lane_sums(pulp::Scalar);
        assert!(reference.iter().any(|bits| *bits != 0));
        #[cfg(target_arch = "x86_64")]
        {
            assert!(pulp::x86::V3::try_new().is_none_or(|simd| lane_sums(simd) == reference));
            assert!(pulp::x86::V4::try_new().is_none_or(|simd| lane_sums(simd) == reference));
        }
        #[cfg(target_arch = "aarch64")]
        assert!(pulp::aarch64::Neon::try_new().is_none_or(|simd| lane_sums(simd) == reference));
    }
}
