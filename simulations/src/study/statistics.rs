//! Mean, spread, and Student's paired test.

/// Mean and standard deviation (n-1; `None` for one value). `None` without values.
pub(super) fn mean_and_deviation(values: &[f64]) -> Option<(f64, Option<f64>)> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt())))
}

/// Two-sided p value of Student's t-test that paired differences have the mean 0 (Student 1908). `None` below two
/// differences or where all are 0; 0 where all are one other number.
pub(super) fn paired_test(differences: &[f64]) -> Option<f64> {
    let (mean, deviation) = mean_and_deviation(differences)?;
    let deviation = deviation?;
    if deviation == 0.0 {
        return (mean != 0.0).then_some(0.0);
    }
    let count = differences.len() as f64;
    let t = mean / (deviation / count.sqrt());
    let freedom = count - 1.0;
    Some(incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t)))
}

/// The regularised incomplete beta function I_x(a, b) for a, b > 0, by its continued fraction (Lentz's method; DLMF 8.17.22).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast on this side only; the other is its reflection.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    // Keeps divisors of Lentz's method from being 0.
    const TINY: f64 = 1e-300;
    let guard = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d, mut fraction) = (1.0, 1.0 / guard(1.0 - (a + b) * x / (a + 1.0)), 1.0);
    fraction *= d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / guard(1.0 + term * d);
            c = guard(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() <= 1e-15 * fraction.abs() {
            break;
        }
    }
    front * fraction
}

/// ln of the gamma function for x > 0 (Lanczos 1964, g = 7).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let base = x + 7.5;
    let series: f64 = (1_u32..).zip(&TERMS[1..]).map(|(i, term)| term / (x + f64::from(i))).sum();
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * base.ln() - base + (TERMS[0] + series).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-10 * (1.0 + expected.abs()), "{found} instead of {expected}");
    }

    #[test]
    fn mean_and_deviation_are_those_of_a_sample() {
        assert_eq!(mean_and_deviation(&[1.0, 2.0, 6.0]), Some((3.0, Some(7_f64.sqrt()))));
        assert_eq!(mean_and_deviation(&[5.0]), Some((5.0, None)));
        assert_eq!(mean_and_deviation(&[]), None);
    }

    #[test]
    fn the_gamma_function_at_known_places() {
        close(ln_gamma(5.0), 24_f64.ln());
        close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln());
        close(ln_gamma(0.25), 3.625_609_908_221_908_f64.ln());
    }

    /// With one and with two degrees of freedom the distribution has a closed form.
    #[test]
    fn p_values_equal_closed_forms() {
        for t in [0.1, 1.0, 3.0, 40.0_f64] {
            let one = 1.0 - 2.0 / std::f64::consts::PI * t.atan();
            close(incomplete_beta(0.5, 0.5, 1.0 / (1.0 + t * t)), one);
            let two = 1.0 - t / (2.0 + t * t).sqrt();
            close(incomplete_beta(1.0, 0.5, 2.0 / (2.0 + t * t)), two);
        }
    }

    #[test]
    fn the_paired_test_by_hand_and_at_the_edges() {
        // Mean 2, deviation 1, three pairs: t = 2 sqrt(3) with two degrees of freedom.
        let t = 12_f64.sqrt();
        close(paired_test(&[1.0, 2.0, 3.0]).unwrap(), 1.0 - t / (2.0 + t * t).sqrt());
        assert_eq!(paired_test(&[-1.0, 1.0]), Some(1.0));
        assert_eq!(paired_test(&[0.5, 0.5]), Some(0.0));
        assert_eq!((paired_test(&[0.0, 0.0]), paired_test(&[1.0])), (None, None));
    }
}
