//! Gaussian naive Bayes with one variance per input: the formulas are in
//! [`synod_losses::classification::naive_bayes`].

use synod_common::blocks::BlockSpec;
use synod_losses::classification::naive_bayes::{Config, Head, Statistics};

use super::super::error::ModelError;
use super::{Target, block};

/// Sums: `counts: [classes]`, `sums: [inputs, classes]`, `squares: [inputs]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NaiveBayes {
    pub(crate) inputs: usize,
    pub(crate) classes: usize,
    pub(crate) var_eps: f64,
    pub(crate) prior_smoothing: f64,
}

impl NaiveBayes {
    pub(super) fn blocks(&self) -> Vec<BlockSpec> {
        let (inputs, classes) = (self.inputs, self.classes);
        vec![block("counts", &[classes]), block("sums", &[inputs, classes]), block("squares", &[inputs])]
    }

    pub(super) fn add(&self, totals: &mut [f64], inputs: &[f32], target: Target<'_>) {
        // A plan of naive Bayes has classes.
        let Target::Class(class) = target else { return };
        let (counts, rest) = totals.split_at_mut(self.classes);
        let (sums, squares) = rest.split_at_mut(self.inputs * self.classes);
        counts[class] += 1.0;
        for ((sums, square), input) in sums.chunks_exact_mut(self.classes).zip(squares).zip(inputs) {
            let input = f64::from(*input);
            sums[class] += input;
            *square += input * input;
        }
    }

    pub(super) fn linear(&self, totals: &[f32]) -> Result<Vec<f32>, ModelError> {
        let (inputs, classes) = (self.inputs, self.classes);
        let refuse = |error: synod_losses::LossError| ModelError::Fit {
            model: "naive_bayes",
            reason: error.to_string(),
            help: "choose fewer classes or samples with fewer values",
        };
        let (counts, rest) = totals.split_at(classes);
        let (sums, squares) = rest.split_at(inputs * classes);
        if counts.iter().all(|count| *count < 0.5) {
            return Ok(vec![0.0; (inputs + 1) * classes]);
        }
        let mut statistics = Statistics::empty(classes, inputs).map_err(refuse)?;
        statistics.counts = counts.iter().map(|count| count.round() as u64).collect();
        statistics.squares = squares.iter().map(|square| f64::from(*square)).collect();
        for (input, sums) in sums.chunks_exact(classes).enumerate() {
            for (class, sum) in sums.iter().enumerate() {
                statistics.sums[class * inputs + input] = f64::from(*sum);
            }
        }
        let config = Config::default().with_var_eps(self.var_eps).with_prior_smoothing(self.prior_smoothing);
        Ok(self.centred(&statistics.head(&config).map_err(refuse)?))
    }

    /// Weights and biases of `head` minus their means over the classes that there are: the same probabilities, and values
    /// that single precision holds better.
    fn centred(&self, head: &Head) -> Vec<f32> {
        let (inputs, classes) = (self.inputs, self.classes);
        let present: Vec<usize> = (0..classes).filter(|class| head.counts[*class] > 0).collect();
        let row = |of: &dyn Fn(usize) -> f64| {
            let mean = present.iter().map(|class| of(*class)).sum::<f64>() / present.len() as f64;
            (0..classes).map(|class| (of(class) - mean) as f32).collect::<Vec<f32>>()
        };
        let weights = (0..inputs).flat_map(|input| row(&|class| head.weight[class * inputs + input]));
        let mut layer: Vec<f32> = weights.collect();
        layer.extend(row(&|class| head.bias[class]));
        layer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: NaiveBayes = NaiveBayes { inputs: 2, classes: 3, var_eps: 1e-9, prior_smoothing: 0.0 };
    const SAMPLES: [([f32; 2], usize); 6] =
        [([0.0, 2.0], 0), ([1.0, 4.0], 0), ([5.0, 1.0], 1), ([6.0, 0.0], 1), ([7.0, 2.0], 1), ([4.0, 3.0], 0)];

    fn sums(samples: &[([f32; 2], usize)]) -> Vec<f32> {
        let mut sums = vec![0.0; 3 + 6 + 2];
        samples.iter().for_each(|(x, class)| MODEL.add(&mut sums, x, Target::Class(*class)));
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    #[test]
    fn sums_are_those_worked_out_by_hand() {
        let expected = [3.0, 3.0, 0.0, 5.0, 18.0, 0.0, 9.0, 3.0, 0.0, 127.0, 34.0];
        assert_eq!(sums(&SAMPLES), expected);
    }

    /// Differences of the layer's outputs are those of log prior and Gaussian log-densities.
    #[test]
    fn the_layer_answers_as_the_densities_do() {
        let layer = MODEL.linear(&sums(&SAMPLES)).unwrap();
        let means = [[5.0 / 3.0, 3.0], [6.0, 1.0]];
        // Sums of squares about the class means over 6 samples.
        let var = [(26.0 / 3.0 + 2.0) / 6.0 + 1e-9, (2.0 + 2.0) / 6.0 + 1e-9];
        let density = |x: [f64; 2], class: usize| -> f64 {
            0.5_f64.ln() - (0..2).map(|j| (x[j] - means[class][j]).powi(2) / (2.0 * var[j])).sum::<f64>()
        };
        for x in [[0.0, 0.0], [3.0, 2.0], [9.0, -4.0]] {
            let out = |class: usize| {
                f64::from(layer[6 + class]) + (0..2).map(|j| x[j] * f64::from(layer[j * 3 + class])).sum::<f64>()
            };
            let (found, expected) = (out(0) - out(1), density(x, 0) - density(x, 1));
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
            assert!(out(2) < -1e29, "a class without samples is never predicted");
        }
    }

    #[test]
    fn without_samples_every_class_is_as_good() {
        assert_eq!(MODEL.linear(&[0.0; 11]).unwrap(), [0.0; 9]);
    }
}
