//! Gathers what is needed for every metric while batches of predictions pass by.

use synod_losses::regression::per_sample;
use synod_losses::{LossConfig, LossError};

use super::moments::Moments;
use super::ranks::ranks;
use crate::task::evaluation::{Evaluation, OUTPUTS_KEPT_MAX};
use crate::task::loss::{MeanLoss, matrix};

/// Brings targets `[samples, outputs]` to the scale on which the model predicts.
pub(crate) fn standardise(targets: &mut [f32], mean: &[f64], std: &[f64]) {
    for row in targets.chunks_mut(mean.len().max(1)) {
        for ((target, mean), std) in row.iter_mut().zip(mean).zip(std) {
            *target = ((f64::from(*target) - mean) / std) as f32;
        }
    }
}

/// Gathers predictions and targets.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    loss: &'a LossConfig,
    mean: &'a [f64],
    std: &'a [f64],
    mean_loss: MeanLoss,
    outputs: Vec<Output>,
    /// Numbers that are kept; too many are not.
    kept: usize,
    samples: u64,
}

/// What is gathered of one output, in the unit of its targets.
#[derive(Clone, Debug, Default)]
struct Output {
    squares: f64,
    sizes: f64,
    moments: Moments,
    predictions: Vec<f64>,
    targets: Vec<f64>,
}

impl<'a> Tally<'a> {
    /// For a model that predicts `(target - mean) / std`, for each output.
    pub(crate) fn new(mean: &'a [f64], std: &'a [f64], loss: &'a LossConfig) -> Self {
        let outputs = vec![Output::default(); mean.len()];
        Self { loss, mean, std, mean_loss: MeanLoss::default(), outputs, kept: 0, samples: 0 }
    }

    /// Adds samples: finite `predictions: [samples, columns]`, the point predictions in the first columns, on the model's
    /// scale; `targets: [samples, outputs]` in their own unit.
    pub(crate) fn add(&mut self, predictions: &[f32], targets: &[f32]) -> Result<(), LossError> {
        let outputs = self.outputs.len();
        let rows = targets.len() / outputs;
        let mut scaled = targets.to_vec();
        standardise(&mut scaled, self.mean, self.std);
        let [x, y] = [predictions, &scaled].map(|values| matrix(values.iter().map(|value| f64::from(*value)), rows));
        self.mean_loss.add(&per_sample(x, y, self.loss)?, None)?;
        let columns = predictions.len() / rows.max(1);
        self.kept += 2 * targets.len();
        for (prediction, target) in predictions.chunks_exact(columns).zip(targets.chunks_exact(outputs)) {
            for (place, output) in self.outputs.iter_mut().enumerate() {
                let predicted = f64::from(prediction[place]) * self.std[place] + self.mean[place];
                output.add(predicted, f64::from(target[place]));
                if self.kept <= OUTPUTS_KEPT_MAX {
                    output.predictions.push(predicted);
                    output.targets.push(f64::from(target[place]));
                }
            }
        }
        self.samples += rows as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> Evaluation {
        let numbers = self.samples as f64 * self.outputs.len() as f64;
        let of_numbers =
            |part: fn(&Output) -> f64| (numbers > 0.0).then(|| self.outputs.iter().map(part).sum::<f64>() / numbers);
        let of_outputs = |part: &dyn Fn(&Output) -> Option<f64>| {
            let values: Vec<f64> = self.outputs.iter().filter_map(part).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let all_kept = self.kept <= OUTPUTS_KEPT_MAX;
        let named = [
            ("loss", self.mean_loss.mean()),
            ("rmse", of_numbers(|output| output.squares).map(f64::sqrt)),
            ("mae", of_numbers(|output| output.sizes)),
            ("r2", of_outputs(&|output| output.moments.target_squares().map(|all| 1.0 - output.squares / all))),
            ("pearson", of_outputs(&|output| output.moments.correlation())),
            ("spearman", of_outputs(&|output| all_kept.then(|| output.rank_correlation()).flatten())),
        ];
        Evaluation::new(self.samples, named, None)
    }
}

impl Output {
    fn add(&mut self, prediction: f64, target: f64) {
        let error = prediction - target;
        self.squares += error * error;
        self.sizes += error.abs();
        self.moments.add(prediction, target);
    }

    fn rank_correlation(&self) -> Option<f64> {
        let mut moments = Moments::default();
        ranks(&self.predictions).into_iter().zip(ranks(&self.targets)).for_each(|(x, y)| moments.add(x, y));
        moments.correlation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::metrics::Metrics;
    use synod_losses::regression::{gaussian_nll, mse};

    fn evaluate(mean: &[f64], std: &[f64], loss: &LossConfig, predictions: &[f32], targets: &[f32]) -> Metrics {
        let mut tally = Tally::new(mean, std, loss);
        tally.add(predictions, targets).unwrap();
        tally.finish().metrics
    }

    #[test]
    fn hand_worked_in_the_unit_of_the_targets() {
        let loss = LossConfig::Mse(mse::Config::default());
        // The model's -1, 0, 1, 3 are 8, 10, 12, 16; errors -2, 2, -2, 2.
        let metrics = evaluate(&[10.0], &[2.0], &loss, &[-1.0, 0.0, 1.0, 3.0], &[10.0, 8.0, 14.0, 14.0]);
        let get = |name: &str| metrics.get(name).unwrap();
        assert_eq!((get("rmse"), get("mae"), get("loss")), (2.0, 2.0, 1.0));
        // Targets deviate from 11.5 by -1.5, -3.5, 2.5, 2.5, squares 27; predictions from 11.5 by -3.5, -1.5, 0.5, 4.5,
        // squares 35, products 5.25 + 5.25 + 1.25 + 11.25.
        assert!((get("r2") - (1.0 - 16.0 / 27.0)).abs() < 1e-12);
        assert!((get("pearson") - 23.0 / (27.0 * 35_f64).sqrt()).abs() < 1e-12);
        // Ranks 1, 2, 3, 4 and 2, 1, 3.5, 3.5: products of deviations 0.75 + 0.75 + 0.5 + 1.5; squares 5 and 4.5.
        assert!((get("spearman") - 3.5 / 22.5_f64.sqrt()).abs() < 1e-12);
        assert!(metrics.is_sound() && metrics.samples == 4);
    }

    #[test]
    fn several_outputs_and_more_columns_than_outputs() {
        let loss = LossConfig::GaussianNll(gaussian_nll::Config::default());
        // Means 1, 2 then log variances 0, 0: the errors of the two outputs are 0 and 1, then 0 and -1.
        let predictions = [1.0, 2.0, 0.0, 0.0, 3.0, 5.0, 0.0, 0.0];
        let metrics = evaluate(&[0.0; 2], &[1.0; 2], &loss, &predictions, &[1.0, 1.0, 3.0, 6.0]);
        assert_eq!(metrics.get("mae"), Some(0.5));
        assert_eq!(metrics.get("rmse"), Some(0.5_f64.sqrt()));
        assert!((metrics.get("r2").unwrap() - (1.0 + (1.0 - 2.0 / 12.5)) / 2.0).abs() < 1e-12);
        assert_eq!(metrics.get("loss"), Some(0.25));
    }

    #[test]
    fn what_is_constant_has_no_correlation_and_nothing_gives_nothing() {
        let loss = LossConfig::Mse(mse::Config::default());
        let metrics = evaluate(&[0.0], &[1.0], &loss, &[1.0, 1.0], &[0.0, 2.0]);
        assert_eq!((metrics.get("r2"), metrics.get("pearson"), metrics.get("spearman")), (Some(0.0), None, None));
        assert_eq!(Tally::new(&[0.0], &[1.0], &loss).finish().metrics, Metrics::default());
    }

    #[test]
    fn targets_are_brought_to_the_model_s_scale() {
        let mut targets = [10.0, 1.0, 14.0, -1.0];
        standardise(&mut targets, &[10.0, 0.0], &[2.0, 0.5]);
        assert_eq!(targets, [0.0, 2.0, 2.0, -2.0]);
    }
}
