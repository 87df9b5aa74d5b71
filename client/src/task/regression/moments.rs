//! Means, squared deviations and their products of pairs of numbers, in one pass.

/// Of pairs of a prediction and a target (Welford 1962, Chan, Golub and LeVeque 1983).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pairs: f64,
    mean: [f64; 2],
    /// Sums of squared deviations from the means.
    squares: [f64; 2],
    /// Sum of the products of deviations.
    product: f64,
}

impl Moments {
    pub(super) fn add(&mut self, prediction: f64, target: f64) {
        self.pairs += 1.0;
        let before = [prediction - self.mean[0], target - self.mean[1]];
        self.mean[0] += before[0] / self.pairs;
        self.mean[1] += before[1] / self.pairs;
        let after = [prediction - self.mean[0], target - self.mean[1]];
        self.squares[0] += before[0] * after[0];
        self.squares[1] += before[1] * after[1];
        self.product += before[0] * after[1];
    }

    /// Squared deviations of the targets from their mean; `None` where all are alike.
    pub(super) fn target_squares(&self) -> Option<f64> {
        Some(self.squares[1]).filter(|squares| *squares > 0.0)
    }

    /// Pearson's correlation; `None` where one side is constant.
    pub(super) fn correlation(&self) -> Option<f64> {
        let scale = self.squares[0].sqrt() * self.squares[1].sqrt();
        (scale > 0.0).then(|| (self.product / scale).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moments(pairs: &[(f64, f64)]) -> Moments {
        let mut moments = Moments::default();
        pairs.iter().for_each(|(x, y)| moments.add(*x, *y));
        moments
    }

    #[test]
    fn hand_worked() {
        // Deviations (-1, -2), (0, 1), (1, 1): products 2 + 0 + 1, squares 2 and 6.
        let found = moments(&[(1.0, 0.0), (2.0, 3.0), (3.0, 3.0)]);
        assert!((found.correlation().unwrap() - 3.0 / 12_f64.sqrt()).abs() < 1e-15);
        assert!((found.target_squares().unwrap() - 6.0).abs() < 1e-14);
        assert_eq!(moments(&[(1.0, 2.0), (1.0, 3.0)]).correlation(), None);
        assert_eq!(moments(&[(1.0, 2.0), (5.0, 2.0)]).target_squares(), None);
    }

    proptest! {
        /// Also far from zero, where sums of raw squares lose their digits.
        #[test]
        fn equals_two_passes(pairs in prop::collection::vec((-9.0..9.0_f64, -9.0..9.0_f64), 2..40), shift in 0.0..1e6_f64) {
            let pairs: Vec<_> = pairs.iter().map(|(x, y)| (x + shift, y - shift)).collect();
            let n = pairs.len() as f64;
            let (mx, my) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
            let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - mx, p.1 - my)).sum::<f64>();
            let expected = sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
            prop_assert!((moments(&pairs).correlation().unwrap() - expected).abs() < 1e-8);
        }
    }
}
