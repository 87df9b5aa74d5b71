//! `out = bias + a b`.

use pulp::{Simd, WithSimd};

use super::rows::Rows;
use super::tile::{self, tile};

/// Rows of `b` that are used for all rows of `a` before the next: 128 rows of 64 numbers take 32 KiB, which stay in the
/// first cache.
const BLOCK: usize = 128;

/// `out[i, j] = bias[j] + sum_k a[i, k] b[k, j]` for `a: [rows, k]`, `b: [k, width]`, `bias: [width]`, `out: [rows, width]`.
/// `width` is padded.
pub(crate) struct Product<'a> {
    pub(crate) a: Rows<'a>,
    pub(crate) b: &'a [f32],
    pub(crate) width: usize,
    /// All 0 where there is none.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, b, width, bias, out } = self;
        let vectors = width / S::F32_LANES;
        let (b, out) = (S::as_simd_f32s(b).0, S::as_mut_simd_f32s(&mut out[..a.len() * width]).0);
        match bias {
            Some(bias) => out.chunks_exact_mut(vectors).for_each(|row| row.copy_from_slice(S::as_simd_f32s(bias).0)),
            None => out.fill(simd.splat_f32s(0.0)),
        }
        // Whole runs where several fit into a block, parts of a run where one does not.
        let runs = (BLOCK / a.run.max(1)).clamp(1, a.runs.max(1));
        let part = a.run.div_ceil(a.run.div_ceil(BLOCK).max(1)).max(1);
        for at in (0..vectors).step_by(tile::panel::<S>()) {
            let n = (vectors - at).min(tile::panel::<S>());
            for first in (0..a.runs).step_by(runs) {
                for from in (0..a.run).step_by(part) {
                    let block =
                        Block { first, runs: runs.min(a.runs - first), from, len: part.min(a.run - from), at, vectors };
                    let mut row = 0;
                    while row < a.len() {
                        let r = tile::height::<S>(a.len() - row, n);
                        tile!((r, n), add(simd, &a, row, b, &block, out));
                        row += r;
                    }
                }
            }
        }
    }
}

/// A part of the sum over `k`, and a panel of columns.
struct Block {
    first: usize,
    runs: usize,
    from: usize,
    len: usize,
    at: usize,
    vectors: usize,
}

#[inline(always)]
fn add<S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: &Rows<'_>,
    row: usize,
    b: &[S::f32s],
    block: &Block,
    out: &mut [S::f32s],
) {
    let Block { first, runs, from, len, at, vectors } = *block;
    let mut sums = [[simd.splat_f32s(0.0); N]; R];
    for r in 0..R {
        sums[r].copy_from_slice(&out[(row + r) * vectors + at..][..N]);
    }
    let mut starts = [0; R];
    starts.copy_from_slice(&a.starts[row..row + R]);
    for run in first..first + runs {
        let values = starts.map(|start| &a.values[start + run * a.stride + from..][..len]);
        let b = &b[(run * a.run + from) * vectors..][..len * vectors];
        for k in 0..len {
            let b = &b[k * vectors + at..][..N];
            for r in 0..R {
                let x = simd.splat_f32s(values[r][k]);
                for n in 0..N {
                    sums[r][n] = simd.mul_add_e_f32s(x, b[n], sums[r][n]);
                }
            }
        }
    }
    for r in 0..R {
        out[(row + r) * vectors + at..][..N].copy_from_slice(&sums[r]);
    }
}
