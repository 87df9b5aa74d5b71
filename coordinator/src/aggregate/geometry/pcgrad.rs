//! PCGrad: gradient surgery.
//!
//! Source: Yu, Kumar, Gupta, Levine, Hausman, Finn, "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1.

use super::super::error::AggregateError;
use super::super::gram::Gram;
use super::super::shares::Shares;

/// The coefficients of PCGrad: each `g_i` is projected onto the normal plane of every other `g_j` that what is left of it
/// goes against, one after the other, and the results are averaged by shares:
///
/// ```text
/// p_i = g_i;   for each j:   if <p_i, g_j> < 0:   p_i = p_i - <p_i, g_j> / |g_j|^2 g_j;      result = sum_i q_i p_i
/// ```
///
/// **The order of `j`** decides where more than one conflicts. The paper draws it at random; here it is the order of
/// `cos(g_i, g_j)`, the strongest conflict first, of equals the first update: one of the orders that the paper may draw,
/// with no random number and the same for every order of the updates. The paper adds the `p_i` up; by shares it becomes the
/// mean where nothing conflicts. There is no option.
///
/// Cost: the [`combine`](super::super::combine()) of its coefficients, which are at most `m^3` multiply-adds.
///
/// # Errors
/// [`AggregateError::Empty`], [`AggregateError::Count`] if there is not one share per update.
pub fn pcgrad_coefficients(gram: &Gram, shares: &Shares) -> Result<Vec<f64>, AggregateError> {
    let m = gram.order();
    shares.check(m)?;
    let mut coefficients = vec![0.0; m];
    for (i, share) in shares.as_slice().iter().enumerate() {
        let cosine = |j: usize| gram.at(i, j) / gram.norm(j);
        let mut others: Vec<usize> = (0..m).filter(|j| *j != i && gram.at(*j, *j) > 0.0).collect();
        others.sort_by(|a, b| cosine(*a).total_cmp(&cosine(*b)));
        // <p_i, g_k> for every k.
        let mut products: Vec<f64> = (0..m).map(|k| gram.at(i, k)).collect();
        coefficients[i] += share;
        for j in others {
            if products[j] < 0.0 {
                let along = products[j] / gram.at(j, j);
                coefficients[j] -= share * along;
                products.iter_mut().enumerate().for_each(|(k, product)| *product -= along * gram.at(j, k));
            }
        }
    }
    Ok(coefficients)
}

#[cfg(test)]
mod tests {
    use super::super::super::gram::gram;
    use super::*;

    fn of(updates: &[&[f32]]) -> Vec<f64> {
        let gram = gram(updates, 0..updates[0].len()).unwrap();
        pcgrad_coefficients(&gram, &Shares::uniform(updates.len()).unwrap()).unwrap()
    }

    #[test]
    fn a_conflicting_pair_by_hand() {
        // (1, 0) becomes (1/2, 1/2) and (-1, 1) becomes (0, 1): the mean (1/4, 3/4) is c_1 (1, 0) + c_2 (-1, 1).
        assert_eq!(of(&[&[1.0, 0.0], &[-1.0, 1.0]]), [1.0, 0.75]);
        assert_eq!(of(&[&[1.0, 0.0], &[0.0, 1.0]]), [0.5, 0.5]);
    }

    #[test]
    fn the_strongest_conflict_comes_first() {
        // g_1 = (1, 0) against (-1, 2) and (-1, 1): the second, with cosine -0.71, comes first and leaves (1/2, 1/2), which
        // conflicts no more. (-1, 2) and (-1, 1) lose what is along (1, 0): (0, 2) and (0, 1).
        let c = of(&[&[1.0, 0.0], &[-1.0, 2.0], &[-1.0, 1.0]]);
        let point = [c[0] - c[1] - c[2], 2.0 * c[1] + c[2]];
        assert!((point[0] - 0.5 / 3.0).abs() < 1e-15 && (point[1] - 3.5 / 3.0).abs() < 1e-15, "{point:?}");
    }

    #[test]
    fn zero_and_opposite_updates_bring_no_nan() {
        assert_eq!(of(&[&[1.0, 2.0], &[0.0, 0.0]]), [0.5, 0.5]);
        // Each takes all of the other.
        let c = of(&[&[1.0, 2.0], &[-1.0, -2.0]]);
        assert_eq!(c[0] - c[1], 0.0);
    }
}
