//! Ridge regression: coefficients `W` with the smallest `sum_i |y_i - W^T (x_i, 1)|^2 + lambda |W'|^2`, where `W'` is `W`
//! without the intercept (Hoerl and Kennard, Ridge Regression, Technometrics 1970, equation 2.1). With `Z` the rows
//! `(x_i, 1)`, `(Z^T Z + lambda J) W = Z^T Y`, `J` the identity with a 0 for the intercept.
//!
//! The targets of a classification are 1 for the class of a sample and 0 for the others.

use synod_common::blocks::BlockSpec;

use super::super::error::ModelError;
use super::{Target, block};

/// Sums: `gram: [inputs + 1, inputs + 1]` is `Z^T Z`, `cross: [inputs + 1, outputs]` is `Z^T Y`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ridge {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) lambda: f64,
}

impl Ridge {
    fn side(&self) -> usize {
        self.inputs + 1
    }

    pub(super) fn blocks(&self) -> Vec<BlockSpec> {
        vec![block("gram", &[self.side(), self.side()]), block("cross", &[self.side(), self.outputs])]
    }

    pub(super) fn add(&self, sums: &mut [f64], inputs: &[f32], target: Target<'_>) {
        let (gram, cross) = sums.split_at_mut(self.side() * self.side());
        let row: Vec<f64> = inputs.iter().map(|input| f64::from(*input)).chain([1.0]).collect();
        for ((gram, cross), z) in gram.chunks_exact_mut(self.side()).zip(cross.chunks_exact_mut(self.outputs)).zip(&row)
        {
            gram.iter_mut().zip(&row).for_each(|(sum, other)| *sum += z * other);
            match target {
                Target::Class(class) => cross[class] += z,
                Target::Numbers(y) => cross.iter_mut().zip(y).for_each(|(sum, y)| *sum += z * f64::from(*y)),
            }
        }
    }

    pub(super) fn linear(&self, sums: &[f32]) -> Result<Vec<f32>, ModelError> {
        let side = self.side();
        let (gram, cross) = sums.split_at(side * side);
        if gram[side * side - 1] < 0.5 {
            return Ok(vec![0.0; side * self.outputs]);
        }
        let mut gram: Vec<f64> = gram.iter().map(|value| f64::from(*value)).collect();
        (0..self.inputs).for_each(|i| gram[i * side + i] += self.lambda);
        factorise(&mut gram, side).map_err(|pivot| ModelError::Fit {
            model: "ridge",
            reason: format!("its sums have no positive pivot at input {pivot}"),
            help: "raise model.ridge.lambda, and normalise the inputs",
        })?;
        let mut coefficients: Vec<f64> = cross.iter().map(|value| f64::from(*value)).collect();
        solve(&gram, &mut coefficients, self.outputs);
        Ok(coefficients.into_iter().map(|value| value as f32).collect())
    }
}

/// The Cholesky factor `L` of the symmetric matrix `a: [side, side]`, in its lower half.
///
/// # Errors
/// The row at which `a` is not positive definite.
fn factorise(a: &mut [f64], side: usize) -> Result<(), usize> {
    for i in 0..side {
        let (above, from) = a.split_at_mut(i * side);
        let row = &mut from[..side];
        for j in 0..i {
            let other = &above[j * side..];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= 0.0 {
            return Err(i);
        }
        row[i] = pivot.sqrt();
    }
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves `L L^T X = B` in place, `b: [side, columns]`.
fn solve(factor: &[f64], b: &mut [f64], columns: usize) {
    let side = b.len() / columns;
    let l = |i: usize, j: usize| factor[i * side + j];
    // Takes `scale` times row `from` from row `to`.
    let eliminate = |b: &mut [f64], to: usize, from: usize, scale: f64| {
        (0..columns).for_each(|column| b[to * columns + column] -= scale * b[from * columns + column]);
    };
    let divide = |b: &mut [f64], row: usize| {
        b[row * columns..(row + 1) * columns].iter_mut().for_each(|value| *value /= l(row, row));
    };
    for i in 0..side {
        (0..i).for_each(|j| eliminate(b, i, j, l(i, j)));
        divide(b, i);
    }
    for i in (0..side).rev() {
        (i + 1..side).for_each(|j| eliminate(b, i, j, l(j, i)));
        divide(b, i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(model: &Ridge, samples: &[(&[f32], &[f32])]) -> Vec<f32> {
        let mut sums = vec![0.0; model.side() * (model.side() + model.outputs)];
        samples.iter().for_each(|(x, y)| model.add(&mut sums, x, Target::Numbers(y)));
        let sums: Vec<f32> = sums.into_iter().map(|sum| sum as f32).collect();
        model.linear(&sums).unwrap()
    }

    /// One input: the slope is `sum (x - m)(y - n) / (sum (x - m)^2 + lambda)`, the line goes through the means.
    #[test]
    fn a_line_through_four_points_is_the_one_worked_out_by_hand() {
        let samples: [(&[f32], &[f32]); 4] = [(&[0.0], &[1.0]), (&[1.0], &[2.0]), (&[2.0], &[4.0]), (&[3.0], &[5.0])];
        for (lambda, slope) in [(1e-6, 1.4), (5.0, 0.7)] {
            let line = fit(&Ridge { inputs: 1, outputs: 1, lambda }, &samples);
            assert!((line[0] - slope).abs() < 1e-6 && (line[1] - (3.0 - 1.5 * slope)).abs() < 1e-6, "{line:?}");
        }
    }

    /// At the smallest value of the penalised sum of squares its gradient is zero, sample by sample.
    #[test]
    fn the_gradient_of_the_penalised_errors_is_zero_at_the_solution() {
        let (inputs, outputs, lambda) = (5, 2, 0.3);
        let wave =
            |length: usize, phase: f32| -> Vec<f32> { (0..length).map(|i| (i as f32 * 1.7 + phase).sin()).collect() };
        let (x, y) = (wave(40 * inputs, 0.3), wave(40 * outputs, 1.1));
        let samples: Vec<(&[f32], &[f32])> = x.chunks(inputs).zip(y.chunks(outputs)).collect();
        let w = fit(&Ridge { inputs, outputs, lambda }, &samples);
        for output in 0..outputs {
            for i in 0..=inputs {
                let mut gradient = if i < inputs { lambda * f64::from(w[i * outputs + output]) } else { 0.0 };
                for (x, y) in &samples {
                    let z = |i: usize| if i < inputs { f64::from(x[i]) } else { 1.0 };
                    let answer: f64 = (0..=inputs).map(|i| z(i) * f64::from(w[i * outputs + output])).sum();
                    gradient += (answer - f64::from(y[output])) * z(i);
                }
                assert!(gradient.abs() < 1e-4, "{gradient}");
            }
        }
    }

    #[test]
    fn sums_of_no_samples_and_sums_that_are_none_are_told_apart() {
        let model = Ridge { inputs: 1, outputs: 1, lambda: 1.0 };
        assert_eq!(model.linear(&[0.0; 6]).unwrap(), [0.0; 2]);
        for sums in [[1.0, 9.0, 9.0, 2.0, 0.0, 0.0], [f32::NAN, 0.0, 0.0, 2.0, 0.0, 0.0]] {
            let error = model.linear(&sums).unwrap_err().to_string();
            assert!(error.contains("raise model.ridge.lambda"), "{error}");
        }
    }
}
