//! The three products against sums written as loops, for shapes that fill tiles and such that do not.

use pulp::Arch;

use super::{Inner, Outer, Product, Rows};
use crate::aligned::Aligned;

fn wave(len: usize, phase: f32) -> Aligned {
    let mut values = Aligned::zeros(len);
    values.iter_mut().enumerate().for_each(|(i, v)| *v = ((i as f32) * 0.73 + phase).sin());
    values
}

fn assert_close(found: f32, sum: impl Iterator<Item = f64>, what: &str) {
    let (value, size) = sum.fold((0.0, 1.0), |(value, size), term| (value + term, size + f64::abs(term)));
    assert!((f64::from(found) - value).abs() < 1e-5 * size, "{what}: {found} {value}");
}

fn times(a: f32, b: f32) -> f64 {
    f64::from(a) * f64::from(b)
}

/// Rows, columns of `a`, and padded widths.
const SHAPES: [(usize, usize, usize); 6] =
    [(1, 1, 16), (5, 7, 16), (10, 784, 32), (12, 129, 64), (33, 40, 80), (3, 300, 208)];

#[test]
fn a_product_is_its_sum_with_a_bias_and_without() {
    for (rows, k, width) in SHAPES {
        let (a, b, bias) = (wave(rows * k, 0.1), wave(k * width, 0.2), wave(width, 0.3));
        let starts: Vec<usize> = (0..rows).map(|row| row * k).collect();
        for bias in [None, Some(&bias[..])] {
            let mut out = wave(rows * width, 0.4);
            let a_rows = Rows::plain(&a, &starts, k);
            Arch::new().dispatch(Product { a: a_rows, b: &b, width, bias, out: &mut out });
            for (i, j) in (0..rows).flat_map(|i| (0..width).map(move |j| (i, j))) {
                let sum = (0..k).map(|k_at| times(a[i * k + k_at], b[k_at * width + j]));
                let sum = sum.chain(bias.map(|bias| f64::from(bias[j])));
                assert_close(out[i * width + j], sum, &format!("{rows} {k} {width} at {i} {j}"));
            }
        }
    }
}

#[test]
fn rows_of_several_runs_are_read_where_they_lie() {
    // A kernel of 3 lines of 5 numbers in an image of lines of 11: overlapping rows.
    let (runs, run, stride, width) = (3, 5, 11, 32);
    let (values, b, starts) = (wave(80, 0.5), wave(runs * run * width, 0.6), [0, 1, 4, 13, 22, 33]);
    let rows = Rows { values: &values, starts: &starts, runs, stride, run };
    let mut out = wave(starts.len() * width, 0.0);
    Arch::new().dispatch(Product { a: rows, b: &b, width, bias: None, out: &mut out });
    let at = |row: usize, k: usize| values[starts[row] + k / run * stride + k % run];
    for (i, j) in (0..starts.len()).flat_map(|i| (0..width).map(move |j| (i, j))) {
        let sum = (0..runs * run).map(|k| times(at(i, k), b[k * width + j]));
        assert_close(out[i * width + j], sum, &format!("at {i} {j}"));
    }
}

#[test]
fn the_gradient_of_an_input_is_a_product_with_the_transposed_weights() {
    for (rows, columns, width) in SHAPES {
        let (d, w, stride) = (wave(rows * width, 0.1), wave(columns * width, 0.2), columns + 3);
        let mut out = vec![f32::NAN; rows * stride];
        Arch::new().dispatch(Inner { d: &d, w: &w, width, columns, stride, rows, out: &mut out });
        for (i, k) in (0..rows).flat_map(|i| (0..columns).map(move |k| (i, k))) {
            let sum = (0..width).map(|j| times(d[i * width + j], w[k * width + j]));
            assert_close(out[i * stride + k], sum, &format!("{rows} {columns} {width} at {i} {k}"));
        }
        assert!((0..rows).all(|i| out[i * stride + columns..][..3].iter().all(|v| v.is_nan())), "written too far");
    }
}

#[test]
fn the_gradient_of_weights_is_folded_into_what_was_there() {
    for (rows, k, width) in SHAPES {
        let (a, d, before) = (wave(rows * k, 0.1), wave(rows * width, 0.2), wave(k * width, 0.3));
        let starts: Vec<usize> = (0..rows).map(|row| row * k).collect();
        let d_starts: Vec<usize> = (0..rows).map(|row| row * width).collect();
        for (keep, scale) in [(0.0, 1.0), (1.0, 1.0), (0.9, -0.05)] {
            let mut c = wave(k * width, 0.3);
            let a_rows = Rows::plain(&a, &starts, k);
            Arch::new().dispatch(Outer { a: a_rows, d: &d, starts: &d_starts, width, keep, scale, c: &mut c });
            for (k_at, j) in (0..k).flat_map(|k| (0..width).map(move |j| (k, j))) {
                let sum = (0..rows).map(|i| times(a[i * k + k_at], d[i * width + j]) * f64::from(scale));
                let sum = sum.chain(std::iter::once(times(keep, before[k_at * width + j])));
                assert_close(c[k_at * width + j], sum, &format!("{rows} {k} {width} at {k_at} {j}"));
            }
        }
    }
}
