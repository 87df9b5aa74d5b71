//! How the inputs of a simulated site look: the same samples as everybody's, seen through another instrument.

use rand::RngExt;
use rand_distr::StandardNormal;
use synod_common::ids::{ClientId, RoundId};
use synod_common::random::{Purpose, stream};

/// Changes normalised inputs of a sample as they are read, in the order of the fields. Nothing is stored: the noise of a
/// sample is drawn anew each time from the stream of (seed, site, row), and is always the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Degrees counter-clockwise by which images are turned about their middle; what was outside is the nearest edge.
    pub degrees: f64,
    /// Factor on the distance from the mean of the sample.
    pub contrast: f64,
    /// Factor on every value.
    pub gain: f64,
    /// Added to every value then.
    pub bias: f64,
    /// Standard deviation of the noise.
    pub noise: f64,
    /// The seed of the run.
    pub seed: u64,
    /// Whose inputs they are.
    pub client: ClientId,
}

impl Look {
    /// The look that changes nothing.
    #[must_use]
    pub fn plain(seed: u64, client: ClientId) -> Self {
        Self { degrees: 0.0, contrast: 1.0, gain: 1.0, bias: 0.0, noise: 0.0, seed, client }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::plain(self.seed, self.client)
    }

    /// A look between none, at 0, and this one, at 1.
    #[must_use]
    pub fn scaled(&self, share: f64) -> Self {
        let toward_one = |factor: f64| 1.0 + (factor - 1.0) * share;
        Self {
            degrees: self.degrees * share,
            contrast: toward_one(self.contrast),
            gain: toward_one(self.gain),
            bias: self.bias * share,
            noise: self.noise * share,
            ..self.clone()
        }
    }

    /// Changes the values of the sample `row`, which has the shape `[…, height, width]` where it is an image.
    pub(super) fn apply(&self, row: u32, shape: &[usize], values: &mut [f32]) {
        if self.degrees != 0.0
            && let [.., height, width] = shape
        {
            turn(self.degrees, *height, *width, values);
        }
        if self.contrast != 1.0 {
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64;
            each(values, |value| mean + (value - mean) * self.contrast);
        }
        if self.gain != 1.0 || self.bias != 0.0 {
            each(values, |value| value * self.gain + self.bias);
        }
        if self.noise != 0.0 {
            // From 1: the stream of 0 is for draws about the whole site.
            let mut rng = stream(self.seed, RoundId(u64::from(row) + 1), self.client, Purpose::Shift);
            each(values, |value| {
                let drawn: f64 = rng.sample(StandardNormal);
                value + drawn * self.noise
            });
        }
    }
}

fn each(values: &mut [f32], mut change: impl FnMut(f64) -> f64) {
    for value in values {
        *value = change(f64::from(*value)) as f32;
    }
}

/// Turns each plane `[height, width]` of an image, bilinearly.
fn turn(degrees: f64, height: usize, width: usize, values: &mut [f32]) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_y, middle_x) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    // The place nearest to `at` among `count`, and the share of its neighbour.
    let near = |at: f64, count: usize| {
        let at = at.clamp(0.0, count as f64 - 1.0);
        let low = at.floor();
        (low as usize, (low as usize + 1).min(count - 1), at - low)
    };
    for plane in values.chunks_exact_mut((height * width).max(1)) {
        let old = plane.to_vec();
        for y in 0..height {
            for x in 0..width {
                // Rows count downwards, so that this turns counter-clockwise for the eye.
                let (right, down) = (x as f64 - middle_x, y as f64 - middle_y);
                let (left, next_x, share_x) = near(middle_x + cos * right - sin * down, width);
                let (top, next_y, share_y) = near(middle_y + sin * right + cos * down, height);
                let value = |y: usize, x: usize| f64::from(old[y * width + x]);
                let above = value(top, left) * (1.0 - share_x) + value(top, next_x) * share_x;
                let below = value(next_y, left) * (1.0 - share_x) + value(next_y, next_x) * share_x;
                plane[y * width + x] = (above * (1.0 - share_y) + below * share_y) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Look {
        Look::plain(3, ClientId([1; 16]))
    }

    fn seen(look: &Look, row: u32) -> Vec<f32> {
        let mut values = vec![1.0, 2.0, 3.0, 4.0];
        look.apply(row, &[1, 2, 2], &mut values);
        values
    }

    #[test]
    fn a_quarter_turn_moves_the_right_column_to_the_top() {
        // 1 2      2 4
        // 3 4  ->  1 3
        let turned = seen(&Look { degrees: 90.0, ..plain() }, 0);
        assert!(turned.iter().zip([2.0, 4.0, 1.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{turned:?}");
        let whole = seen(&Look { degrees: 360.0, ..plain() }, 0);
        assert!(whole.iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{whole:?}");
    }

    #[test]
    fn contrast_keeps_the_mean_and_a_scanner_moves_it() {
        assert_eq!(seen(&Look { contrast: 0.5, ..plain() }, 0), [1.75, 2.25, 2.75, 3.25]);
        assert_eq!(seen(&Look { gain: 2.0, bias: -1.0, ..plain() }, 0), [1.0, 3.0, 5.0, 7.0]);
        assert_eq!(seen(&plain(), 0), [1.0, 2.0, 3.0, 4.0]);
        assert!(plain().is_plain() && !Look { bias: 1.0, ..plain() }.is_plain());
    }

    #[test]
    fn noise_is_a_sample_s_own_and_stays_the_same() {
        let noisy = Look { noise: 0.5, ..plain() };
        assert_eq!(seen(&noisy, 7), seen(&noisy, 7));
        assert_ne!(seen(&noisy, 7), seen(&noisy, 8));
        let mut many = vec![0.0; 10_000];
        noisy.apply(0, &[10_000], &mut many);
        let square = many.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 10_000.0;
        assert!((square.sqrt() / 0.5 - 1.0).abs() < 0.05, "{square}");
    }

    #[test]
    fn half_a_look_is_half_of_each_effect() {
        let look = Look { degrees: 40.0, contrast: 0.5, gain: 1.2, bias: 2.0, noise: 1.0, ..plain() };
        let half = Look { degrees: 20.0, contrast: 0.75, gain: 1.1, bias: 1.0, noise: 0.5, ..plain() };
        assert_eq!(look.scaled(0.5), half);
        assert!(look.scaled(0.0).is_plain());
    }
}
