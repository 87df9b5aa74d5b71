//! `c = keep c + scale a^T d`.

use pulp::{Simd, WithSimd};

use super::rows::Rows;
use super::tile::{self, tile};

/// `c[k, j] = keep c[k, j] + scale sum_i a[i, k] d[i, j]` for `a: [rows, k]`, `d: [rows, width]`, `c: [k, width]`. `width`
/// is padded; row `i` of `d` begins at `starts[i]`, a multiple of the padding.
///
/// With `keep = 1`, `scale = 1` it adds a gradient, with `scale = -lr` it takes the step itself.
pub(crate) struct Outer<'a> {
    pub(crate) a: Rows<'a>,
    pub(crate) d: &'a [f32],
    pub(crate) starts: &'a [usize],
    pub(crate) width: usize,
    pub(crate) keep: f32,
    pub(crate) scale: f32,
    pub(crate) c: &'a mut [f32],
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, d, starts, width, keep, scale, c } = self;
        let vectors = width / S::F32_LANES;
        let (d, c) = (S::as_simd_f32s(d).0, S::as_mut_simd_f32s(c).0);
        let factors = (simd.splat_f32s(keep), simd.splat_f32s(scale));
        for run in 0..a.runs {
            // Rows of `c` are written from the first to the last: the widest tile sets the height.
            let mut from = 0;
            while from < a.run {
                let r = tile::height::<S>(a.run - from, vectors.min(tile::panel::<S>()));
                for at in (0..vectors).step_by(tile::panel::<S>()) {
                    let n = (vectors - at).min(tile::panel::<S>());
                    let place = Place { shift: run * a.stride + from, row: run * a.run + from, at, vectors };
                    tile!((r, n), add(simd, &a, d, starts, &place, factors, c));
                }
                from += r;
            }
        }
    }
}

/// Where a tile of `c` is, and where its columns of `a` are in each row.
struct Place {
    shift: usize,
    row: usize,
    at: usize,
    vectors: usize,
}

#[inline(always)]
fn add<S: Simd, const R: usize, const N: usize>(
    simd: S,
    a: &Rows<'_>,
    d: &[S::f32s],
    starts: &[usize],
    place: &Place,
    (keep, scale): (S::f32s, S::f32s),
    c: &mut [S::f32s],
) {
    let Place { shift, row, at, vectors } = *place;
    let mut sums = [[simd.splat_f32s(0.0); N]; R];
    for (a_start, d_start) in a.starts.iter().zip(starts) {
        let x = &a.values[a_start + shift..][..R];
        let d = &d[d_start / S::F32_LANES + at..][..N];
        for r in 0..R {
            let x = simd.splat_f32s(x[r]);
            for n in 0..N {
                sums[r][n] = simd.mul_add_e_f32s(x, d[n], sums[r][n]);
            }
        }
    }
    for r in 0..R {
        let c = &mut c[(row + r) * vectors + at..][..N];
        for n in 0..N {
            c[n] = simd.mul_add_e_f32s(scale, sums[r][n], simd.mul_f32s(keep, c[n]));
        }
    }
}
