//! Inner products of one chunk: widen a tile of each row to `f64`, then multiply blocks of 4 x 4 rows in registers. What
//! limits it is memory for few rows and arithmetic for many, so that both, and widening, are made to overlap.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Parameters summed before their sum joins the total. Part of the definition of an inner product.
pub(in super::super) const CHUNK: usize = 32_768;
/// Partial sums inside a chunk. Part of the definition of an inner product.
pub(in super::super) const LANES: usize = 8;

/// Parameters widened at a time. Speed only: a tile of 10 rows takes 20 KiB, and while one is worked on the next is fetched.
const TILE: usize = 256;
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

/// Working memory of one thread: 192 KiB.
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
            let next = range.end..length.min(range.end + TILE);
            let steps = range.len().div_ceil(LANES);
            let mut coming = right.iter().chain(if same { &[] } else { left });
            if !same {
                for (row, values) in left.iter().enumerate() {
                    widen(&values[range.clone()], &mut left_tile[row / BLOCK][row % BLOCK]);
                }
            }
            for j in (0..right.len()).step_by(BLOCK) {
                prefetch(&mut coming, next.clone());
                let (done, b) = right_tile.split_at_mut(j / BLOCK);
                let b = &mut b[0];
                let rows = &right[j..right.len().min(j + BLOCK)];
                if same {
                    let sums = &mut sums[j * PANEL + j..];
                    match rows {
                        [_, _, _, _] => diagonal::<S, 4>(simd, rows, range.clone(), b, sums),
                        [_, _, _] => diagonal::<S, 3>(simd, rows, range.clone(), b, sums),
                        [_, _] => diagonal::<S, 2>(simd, rows, range.clone(), b, sums),
                        _ => diagonal::<S, 1>(simd, rows, range.clone(), b, sums),
                    }
                } else {
                    for (row, values) in rows.iter().enumerate() {
                        widen(&values[range.clone()], &mut b[row]);
                    }
                }
                let (a, b): (&[Rows], &Rows) = (if same { done } else { left_tile }, b);
                for i in (0..if same { j } else { left.len() }).step_by(BLOCK) {
                    prefetch(&mut coming, next.clone());
                    let (a, sums) = (&a[i / BLOCK], &mut sums[i * PANEL + j..]);
                    match ((left.len() - i).min(BLOCK), rows.len()) {
                        (4, 4) => block::<S, 4, 4, false>(simd, steps, a, b, sums),
                        (4, 3) => block::<S, 4, 3, false>(simd, steps, a, b, sums),
                        (4, 2) => block::<S, 4, 2, false>(simd, steps, a, b, sums),
                        (4, _) => block::<S, 4, 1, false>(simd, steps, a, b, sums),
                        (3, 4) => block::<S, 3, 4, false>(simd, steps, a, b, sums),
                        (3, 3) => block::<S, 3, 3, false>(simd, steps, a, b, sums),
                        (3, 2) => block::<S, 3, 2, false>(simd, steps, a, b, sums),
                        (3, _) => block::<S, 3, 1, false>(simd, steps, a, b, sums),
                        (2, 4) => block::<S, 2, 4, false>(simd, steps, a, b, sums),
                        (2, 3) => block::<S, 2, 3, false>(simd, steps, a, b, sums),
                        (2, 2) => block::<S, 2, 2, false>(simd, steps, a, b, sums),
                        (2, _) => block::<S, 2, 1, false>(simd, steps, a, b, sums),
                        (_, 4) => block::<S, 1, 4, false>(simd, steps, a, b, sums),
                        (_, 3) => block::<S, 1, 3, false>(simd, steps, a, b, sums),
                        (_, 2) => block::<S, 1, 2, false>(simd, steps, a, b, sums),
                        _ => block::<S, 1, 1, false>(simd, steps, a, b, sums),
                    }
                }
            }
        }
    }
}

/// Asks for the cache lines of the next two rows' next tile without waiting for them: what a processor foresees by itself
/// ends with each of the many pages that rows begin. Spread over the work as it is here, memory and arithmetic overlap.
#[inline(always)]
fn prefetch<'a>(rows: &mut impl Iterator<Item = &'a &'a [f32]>, range: Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        for row in rows.take(2) {
            for line in row[range.clone()].chunks(16) {
                sse._mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast());
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

/// [`widen`] and [`block`] of rows with themselves; in one where registers are as wide as [`LANES`], so that conversions and
/// stores run beside the multiplications, which other units do.
#[inline(always)]
fn diagonal<S: Simd, const A: usize>(
    simd: S,
    rows: &[&[f32]],
    range: Range<usize>,
    tile: &mut Rows,
    sums: &mut [Lanes],
) {
    if S::F64_LANES != LANES {
        for row in 0..A {
            widen(&rows[row][range.clone()], &mut tile[row]);
        }
        return block::<S, A, A, true>(simd, range.len().div_ceil(LANES), tile, tile, sums);
    }
    let mut acc = [[simd.splat_f64s(0.0); A]; A];
    let mut whole: [&[[f32; LANES]]; A] = [&[]; A];
    let mut last = [[0.0f32; LANES]; A];
    for row in 0..A {
        let (chunks, rest) = rows[row][range.clone()].as_chunks::<LANES>();
        whole[row] = chunks;
        last[row][..rest.len()].copy_from_slice(rest);
        for column in row..A {
            acc[row][column] = S::as_simd_f64s(&sums[row * PANEL + column]).0[0];
        }
    }
    let steps = whole[0].len();
    for (step, first) in whole[0].iter().enumerate() {
        let mut narrow = [*first; A];
        for row in 1..A {
            narrow[row] = whole[row][step];
        }
        diagonal_step::<S, A>(simd, &narrow, step, tile, &mut acc);
    }
    if steps * LANES < range.len() {
        diagonal_step::<S, A>(simd, &last, steps, tile, &mut acc);
    }
    for row in 0..A {
        for column in row..A {
            S::as_mut_simd_f64s(&mut sums[row * PANEL + column]).0[0] = acc[row][column];
        }
    }
}

#[inline(always)]
fn diagonal_step<S: Simd, const A: usize>(
    simd: S,
    narrow: &[[f32; LANES]; A],
    step: usize,
    tile: &mut Rows,
    acc: &mut [[S::f64s; A]; A],
) {
    let mut wide = [[0.0f64; LANES]; A];
    for row in 0..A {
        for lane in 0..LANES {
            wide[row][lane] = f64::from(narrow[row][lane]);
        }
        tile[row][step] = wide[row];
    }
    for row in 0..A {
        let left = S::as_simd_f64s(&wide[row]).0[0];
        for column in row..A {
            let right = S::as_simd_f64s(&wide[column]).0[0];
            acc[row][column] = multiply_add(simd, left, right, acc[row][column]);
        }
    }
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
