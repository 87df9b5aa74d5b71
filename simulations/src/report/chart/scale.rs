//! From values to places: domains with round ticks.

/// The range of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Domain {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) step: f64,
}

impl Domain {
    /// The smallest range between round ticks that holds all finite `values`, with about `ticks` steps.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>, ticks: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|v| v.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // Values beyond half the range of f64 would overflow the differences below.
        let (low, mut high) = (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300));
        if high - low <= high.abs() * 1e-9 {
            high = low + if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        }
        let step = round_step((high - low) / ticks);
        Self { low: (low / step + 1e-9).floor() * step, high: (high / step - 1e-9).ceil() * step, step }
    }

    /// The share of the way from low to high.
    pub(crate) fn at(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The ticks, low to high.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round().clamp(1.0, 50.0) as usize;
        (0..=count).map(|i| self.low + i as f64 * self.step).collect()
    }

    /// A tick as text, with as many digits as the step needs.
    pub(crate) fn label(&self, tick: f64) -> String {
        let size = self.high.abs().max(self.low.abs());
        if size >= 1e6 || self.step < 1e-5 {
            return if tick == 0.0 { "0".to_owned() } else { format!("{tick:.1e}") };
        }
        let digits = (-self.step.log10()).ceil().clamp(0.0, 6.0) as usize;
        let tick = if tick.abs() < self.step / 2.0 { 0.0 } else { tick };
        format!("{tick:.digits$}")
    }
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|s| *s >= step * 0.999).unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_round_ends_and_hold_their_values() {
        let domain = Domain::around([0.13, 0.94, f64::NAN], 5.0);
        assert_eq!((domain.label(domain.low), domain.label(domain.high)), ("0.0".to_owned(), "1.0".to_owned()));
        assert_eq!(domain.ticks().len(), 6);
        assert_eq!(
            Domain::around([3.0, 20.0], 5.0).ticks().iter().map(|t| *t as i32).collect::<Vec<_>>(),
            [0, 5, 10, 15, 20]
        );
    }

    #[test]
    fn odd_values_make_a_domain_too() {
        for values in [vec![], vec![0.0], vec![7.0, 7.0], vec![-3.0], vec![f64::MAX, f64::MIN], vec![1e-300, 2e-300]] {
            let domain = Domain::around(values.iter().copied(), 5.0);
            assert!(domain.low < domain.high && domain.step > 0.0, "{values:?}: {domain:?}");
            assert!(domain.ticks().len() <= 51);
        }
    }
}
