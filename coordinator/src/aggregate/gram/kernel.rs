//! Inner products of one chunk: widen a tile of each row to `f64`, then multiply blocks of 4 x 4 rows in registers.

use pulp::{Arch, Simd, WithSimd};

/// Parameters summed before their sum joins the total. Part of the definition of an inner product.
pub(in super::super) const CHUNK: usize = 32_768;
/// Partial sums inside a chunk. Part of the definition of an inner product.
pub(in super::super) const LANES: usize = 8;

/// Parameters widened at a time. Speed only: 32 + 32 rows of it (256 KiB) lie in a core's second-level cache.
const TILE: usize = 128;
/// Rows on each side of one pass. Speed only.
const PANEL: usize = 32;
/// Rows on each side of a register block: 16 sums and 8 operands of the 32 registers of AVX-512. Speed only.
const BLOCK: usize = 4;

type Lanes = [f64; LANES];

/// The fixed tree in which lanes are added.
#[inline(always)]
pub(in super::super) fn add_lanes(l: Lanes) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

/// Working memory of one thread: 320 KiB.
pub(super) struct Scratch {
    left: Vec<Lanes>,
    right: Vec<Lanes>,
    sums: Vec<Lanes>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let tile = || vec![[0.0; LANES]; PANEL * TILE / LANES];
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
        sums.fill([0.0; LANES]);
        let length = left[0].len();
        for start in (0..length).step_by(TILE) {
            let range = start..length.min(start + TILE);
            let groups = range.len().div_ceil(LANES);
            for (row, values) in right.iter().enumerate() {
                widen(&values[range.clone()], &mut right_tile[row * groups..(row + 1) * groups]);
            }
            if !same {
                for (row, values) in left.iter().enumerate() {
                    widen(&values[range.clone()], &mut left_tile[row * groups..(row + 1) * groups]);
                }
            }
            let a = Tile { values: if same { right_tile } else { left_tile }, groups };
            let b = Tile { values: right_tile, groups };
            for i in (0..left.len()).step_by(BLOCK) {
                for j in (if same { i } else { 0 }..right.len()).step_by(BLOCK) {
                    match ((left.len() - i).min(BLOCK), (right.len() - j).min(BLOCK)) {
                        (4, 4) => block::<S, 4, 4>(simd, a, b, i, j, sums),
                        (4, 3) => block::<S, 4, 3>(simd, a, b, i, j, sums),
                        (4, 2) => block::<S, 4, 2>(simd, a, b, i, j, sums),
                        (4, _) => block::<S, 4, 1>(simd, a, b, i, j, sums),
                        (3, 4) => block::<S, 3, 4>(simd, a, b, i, j, sums),
                        (3, 3) => block::<S, 3, 3>(simd, a, b, i, j, sums),
                        (3, 2) => block::<S, 3, 2>(simd, a, b, i, j, sums),
                        (3, _) => block::<S, 3, 1>(simd, a, b, i, j, sums),
                        (2, 4) => block::<S, 2, 4>(simd, a, b, i, j, sums),
                        (2, 3) => block::<S, 2, 3>(simd, a, b, i, j, sums),
                        (2, 2) => block::<S, 2, 2>(simd, a, b, i, j, sums),
                        (2, _) => block::<S, 2, 1>(simd, a, b, i, j, sums),
                        (_, 4) => block::<S, 1, 4>(simd, a, b, i, j, sums),
                        (_, 3) => block::<S, 1, 3>(simd, a, b, i, j, sums),
                        (_, 2) => block::<S, 1, 2>(simd, a, b, i, j, sums),
                        _ => block::<S, 1, 1>(simd, a, b, i, j, sums),
                    }
                }
            }
        }
    }
}

/// Widened rows of `groups` lane groups each.
#[derive(Clone, Copy)]
struct Tile<'a> {
    values: &'a [Lanes],
    groups: usize,
}

impl<'a> Tile<'a> {
    #[inline(always)]
    fn row<S: Simd>(self, row: usize) -> &'a [S::f64s] {
        S::as_simd_f64s(self.values[row * self.groups..(row + 1) * self.groups].as_flattened()).0
    }
}

/// `f32` to `f64`, the last group filled up with zeros.
#[inline(always)]
fn widen(values: &[f32], out: &mut [Lanes]) {
    // Plain loops: closures may be compiled without the instructions that the caller was dispatched for.
    let out = out.as_flattened_mut();
    let (whole, rest) = out.split_at_mut(values.len());
    for (out, value) in whole.iter_mut().zip(values) {
        *out = f64::from(*value);
    }
    rest.fill(0.0);
}

/// Adds the products of `A` rows with `B` rows to their lane sums. Registers narrower than [`LANES`] take several passes,
/// each over its own lanes, which changes no sum.
#[inline(always)]
fn block<S: Simd, const A: usize, const B: usize>(
    simd: S,
    a: Tile<'_>,
    b: Tile<'_>,
    i: usize,
    j: usize,
    sums: &mut [Lanes],
) {
    let registers = LANES / S::F64_LANES;
    let length = a.groups * registers;
    let a: [&[S::f64s]; A] = std::array::from_fn(|row| &a.row::<S>(i + row)[..length]);
    let b: [&[S::f64s]; B] = std::array::from_fn(|row| &b.row::<S>(j + row)[..length]);
    for register in 0..registers {
        let mut acc = [[simd.splat_f64s(0.0); B]; A];
        for row in 0..A {
            for column in 0..B {
                acc[row][column] = S::as_simd_f64s(&sums[(i + row) * PANEL + j + column]).0[register];
            }
        }
        let mut at = register;
        while at < length {
            let mut right = [simd.splat_f64s(0.0); B];
            for column in 0..B {
                right[column] = b[column][at];
            }
            for row in 0..A {
                let left = a[row][at];
                for column in 0..B {
                    acc[row][column] = multiply_add(simd, left, right[column], acc[row][column]);
                }
            }
            at += registers;
        }
        for row in 0..A {
            for column in 0..B {
                S::as_mut_simd_f64s(&mut sums[(i + row) * PANEL + j + column]).0[register] = acc[row][column];
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
