//! `out = d w^T`.

use pulp::{Simd, WithSimd};

/// `out[i, k] = sum_j d[i, j] w[k, j]` for `d: [rows, width]`, `w: [columns, width]`, `out: [rows, stride]`, of which the first
/// `columns` of each row are written. `width` is padded.
pub(crate) struct Inner<'a> {
    pub(crate) d: &'a [f32],
    pub(crate) w: &'a [f32],
    pub(crate) width: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) out: &'a mut [f32],
}

/// Rows and columns of a tile.
const TILE: [usize; 2] = [5, 4];
const SMALL: [usize; 2] = [3, 2];

impl WithSimd for Inner<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { d, w, width, columns, stride, rows, out } = self;
        let vectors = width / S::F32_LANES;
        let (d, w) = (S::as_simd_f32s(d).0, S::as_simd_f32s(w).0);
        let [high, wide] = if S::REGISTER_COUNT >= 32 { TILE } else { SMALL };
        let mut column = 0;
        while column < columns {
            let n = if columns - column < wide { 1 } else { wide };
            let mut row = 0;
            while row < rows {
                let r = if rows - row < high { 1 } else { high };
                let place = Place { row, column, vectors, stride };
                match (r, n) {
                    (5, 4) => dots::<S, 5, 4>(simd, d, w, &place, out),
                    (5, _) => dots::<S, 5, 1>(simd, d, w, &place, out),
                    (3, 2) => dots::<S, 3, 2>(simd, d, w, &place, out),
                    (3, _) => dots::<S, 3, 1>(simd, d, w, &place, out),
                    (_, 4) => dots::<S, 1, 4>(simd, d, w, &place, out),
                    (_, 2) => dots::<S, 1, 2>(simd, d, w, &place, out),
                    _ => dots::<S, 1, 1>(simd, d, w, &place, out),
                }
                row += r;
            }
            column += n;
        }
    }
}

struct Place {
    row: usize,
    column: usize,
    vectors: usize,
    stride: usize,
}

#[inline(always)]
fn dots<S: Simd, const R: usize, const N: usize>(
    simd: S,
    d: &[S::f32s],
    w: &[S::f32s],
    place: &Place,
    out: &mut [f32],
) {
    let Place { row, column, vectors, stride } = *place;
    let mut sums = [[simd.splat_f32s(0.0); N]; R];
    let d: [&[S::f32s]; R] = std::array::from_fn(|r| &d[(row + r) * vectors..][..vectors]);
    let w: [&[S::f32s]; N] = std::array::from_fn(|n| &w[(column + n) * vectors..][..vectors]);
    for j in 0..vectors {
        for r in 0..R {
            for n in 0..N {
                sums[r][n] = simd.mul_add_e_f32s(d[r][j], w[n][j], sums[r][n]);
            }
        }
    }
    for r in 0..R {
        let out = &mut out[(row + r) * stride + column..][..N];
        for n in 0..N {
            out[n] = simd.reduce_sum_f32s(sums[r][n]);
        }
    }
}
