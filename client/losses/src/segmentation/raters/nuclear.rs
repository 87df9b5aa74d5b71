//! The sum of a small matrix' singular values, and its gradient.

/// Squares of singular values below this share of the largest count as 0 in the gradient.
const SQUARE_SHARE_MIN: f64 = 1e-10;
/// Sweeps after which rows are orthogonal as far as double precision goes; a dozen are usual.
const SWEEPS_MAX: usize = 60;

/// Sum of the singular values of a matrix of `columns` columns, row after row, and the gradient `U V^T`, in which singular
/// values near 0 have no part.
///
/// Pairs of rows are turned until all are orthogonal (one-sided Jacobi); then their lengths are the singular values.
pub(super) fn nuclear_norm(matrix: &[f64], columns: usize) -> (f64, Vec<f64>) {
    let rows = matrix.len() / columns;
    let mut turned: Vec<Vec<f64>> = matrix.chunks(columns).map(<[f64]>::to_vec).collect();
    let mut turns: Vec<Vec<f64>> =
        (0..rows).map(|row| (0..rows).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    for _ in 0..SWEEPS_MAX {
        let mut largest: f64 = 0.0;
        for i in 0..rows {
            for j in i + 1..rows {
                let (a, b, c) = (dot(&turned[i], &turned[i]), dot(&turned[j], &turned[j]), dot(&turned[i], &turned[j]));
                let size = (a * b).sqrt();
                if c == 0.0 || c.abs() <= f64::EPSILON * size {
                    continue;
                }
                largest = largest.max(c.abs() / size);
                let zeta = (b - a) / (2.0 * c);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                turn(&mut turned, i, j, cosine, cosine * tangent);
                turn(&mut turns, i, j, cosine, cosine * tangent);
            }
        }
        if largest <= f64::EPSILON {
            break;
        }
    }
    let values: Vec<f64> = turned.iter().map(|row| dot(row, row).sqrt()).collect();
    let smallest = values.iter().copied().fold(0.0, f64::max) * SQUARE_SHARE_MIN.sqrt();
    let mut gradient = vec![0.0; matrix.len()];
    for ((row, turn), value) in turned.iter().zip(&turns).zip(&values).filter(|(_, value)| **value > smallest) {
        for (share, line) in turn.iter().zip(gradient.chunks_mut(columns)) {
            line.iter_mut().zip(row).for_each(|(entry, x)| *entry += share * x / value);
        }
    }
    (values.iter().sum(), gradient)
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Turns row `i` and the later row `j` in their plane.
fn turn(rows: &mut [Vec<f64>], i: usize, j: usize, cosine: f64, sine: f64) {
    let (before, from) = rows.split_at_mut(j);
    for (x, y) in before[i].iter_mut().zip(&mut from[0]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_matrices_have_their_singular_values() {
        let (norm, gradient) = nuclear_norm(&[3.0, 0.0, 0.0, 0.0, -4.0, 0.0], 3);
        assert!((norm - 7.0).abs() < 1e-14);
        assert_eq!(gradient, [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        // Rank one: the sum is the Frobenius norm, and the rest has no gradient.
        let (norm, gradient) = nuclear_norm(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], 2);
        assert!((norm - 70f64.sqrt()).abs() < 1e-13);
        assert!(gradient.iter().zip([1.0, 2.0, 2.0, 4.0, 3.0, 6.0]).all(|(g, x)| (g - x / 70f64.sqrt()).abs() < 1e-13));
        assert_eq!(nuclear_norm(&[0.0; 4], 2), (0.0, vec![0.0; 4]));
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let matrix: Vec<f64> = (0..12).map(|index| f64::from(index * 7 % 11).sin()).collect();
        let (_, gradient) = nuclear_norm(&matrix, 3);
        for (index, slope) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = matrix.clone();
                moved[index] += step;
                nuclear_norm(&moved, 3).0
            };
            assert!(((at(1e-6) - at(-1e-6)) / 2e-6 - slope).abs() < 1e-7);
        }
    }
}
