//! The matrix of inner products.

use super::super::error::AggregateError;

/// A symmetric matrix of inner products, `[updates, updates]`, finite, with a non-negative diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    order: usize,
    values: Vec<f64>,
}

impl Gram {
    /// Takes a matrix given row by row.
    ///
    /// # Errors
    /// [`AggregateError::NotGram`] names the first entry that is not finite, negative on the diagonal or not symmetric,
    /// [`AggregateError::Count`] says that there are not `order * order` values.
    pub fn new(order: usize, values: Vec<f64>) -> Result<Self, AggregateError> {
        if order.checked_mul(order) != Some(values.len()) {
            let (found, expected) = (values.len(), order.saturating_mul(order));
            return Err(AggregateError::Count { what: "entries of a Gram matrix", found, expected });
        }
        let gram = Self { order, values };
        for row in 0..order {
            for column in 0..=row {
                let value = gram.at(row, column);
                let fine = value.is_finite() && value == gram.at(column, row) && (row != column || value >= 0.0);
                if !fine {
                    return Err(AggregateError::NotGram { row, column });
                }
            }
        }
        Ok(gram)
    }

    /// Takes the upper triangle of a matrix given row by row, `None` if a diagonal entry is not finite: as the square of a
    /// finite `f32` is far from the limits of `f64`, this happens exactly where an update is not finite.
    pub(super) fn from_upper(order: usize, mut values: Vec<f64>) -> Option<Self> {
        for row in 0..order {
            if !values[row * order + row].is_finite() {
                return None;
            }
            for column in 0..row {
                values[row * order + column] = values[column * order + row];
            }
        }
        Some(Self { order, values })
    }

    /// Number of updates.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// `<update row, update column>`.
    ///
    /// # Panics
    /// If either is not below [`order`](Self::order), like a slice.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.order..(row + 1) * self.order][column]
    }

    /// The norm of one update.
    #[must_use]
    pub fn norm(&self, update: usize) -> f64 {
        self.at(update, update).sqrt()
    }

    /// `|g_a - g_b|^2`, never below zero. Its error is about 1e-16 of `|g_a|^2 + |g_b|^2`, so that updates closer to each
    /// other than 1e-8 of their lengths count as equal.
    #[must_use]
    pub fn distance_squared(&self, a: usize, b: usize) -> f64 {
        (self.at(a, a) + self.at(b, b) - 2.0 * self.at(a, b)).max(0.0)
    }

    /// `<sum a_i g_i, sum b_i g_i>`: missing coefficients count as zero.
    #[must_use]
    pub fn inner(&self, a: &[f64], b: &[f64]) -> f64 {
        let row = |i: usize| b.iter().enumerate().map(|(j, b)| b * self.at(i, j)).sum::<f64>();
        a.iter().enumerate().filter(|(_, a)| **a != 0.0).map(|(i, a)| a * row(i)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_matrix_of_inner_products_is_refused() {
        let gram = Gram::new(2, vec![4.0, -1.0, -1.0, 9.0]).unwrap();
        assert_eq!((gram.norm(0), gram.at(0, 1), gram.inner(&[1.0, 1.0], &[1.0])), (2.0, -1.0, 3.0));
        assert_eq!((gram.distance_squared(0, 1), gram.distance_squared(1, 1)), (15.0, 0.0));
        assert!(matches!(Gram::new(2, vec![1.0; 3]), Err(AggregateError::Count { .. })));
        for bad in [[4.0, 1.0, 2.0, 9.0], [4.0, f64::NAN, f64::NAN, 9.0], [4.0, 0.0, 0.0, -1.0]] {
            assert!(matches!(Gram::new(2, bad.to_vec()), Err(AggregateError::NotGram { row: 1, .. })));
        }
    }
}
