//! Gathers what is needed for every metric while batches of logits pass by.

use synod_losses::{LossConfig, LossError};

use super::auroc::auroc;
use super::counts::{Counts, accuracy, balanced_accuracy, macro_f1};
use super::loss::ClassLoss;
use crate::task::evaluation::{Evaluation, OUTPUTS_KEPT_MAX};

/// Gathers logits and labels.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    classes: usize,
    counts: Counts,
    loss: ClassLoss<'a>,
    labels: Vec<u32>,
    /// `None` once there are too many.
    logits: Option<Vec<f32>>,
    samples: u64,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(classes: usize, loss: &'a LossConfig) -> Self {
        Self {
            classes,
            counts: Counts::new(classes),
            loss: ClassLoss::new(loss),
            labels: Vec::new(),
            logits: Some(Vec::new()),
            samples: 0,
        }
    }

    /// Adds samples: finite `logits: [labels.len(), classes]`, labels in `0..classes`, both checked by the caller.
    pub(crate) fn add(&mut self, logits: &[f32], labels: &[i64]) -> Result<(), LossError> {
        self.loss.add(logits, labels)?;
        for (row, label) in logits.chunks_exact(self.classes).zip(labels) {
            self.counts.add(*label as usize, largest(row));
        }
        self.samples += labels.len() as u64;
        match &mut self.logits {
            Some(kept) if kept.len() + logits.len() <= OUTPUTS_KEPT_MAX => {
                kept.extend_from_slice(logits);
                self.labels.extend(labels.iter().map(|label| *label as u32));
            }
            _ => self.logits = None,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Evaluation {
        let auroc = self.logits.and_then(|logits| area(&logits, &self.labels, self.classes));
        let named = [
            ("loss", self.loss.mean()),
            ("accuracy", accuracy(&self.counts)),
            ("balanced_accuracy", balanced_accuracy(&self.counts)),
            ("macro_f1", macro_f1(&self.counts)),
            ("auroc", auroc),
        ];
        Evaluation::new(self.samples, named, self.counts.into_confusion())
    }
}

/// The first of the largest.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in row.iter().enumerate() {
        if *logit > row[best] {
            best = class;
        }
    }
    best
}

/// AUROC by the probability of class 1; with more classes, the mean over one class against the rest, for each class
/// that has both.
fn area(logits: &[f32], labels: &[u32], classes: usize) -> Option<f64> {
    let spreads: Vec<Spread> = logits.chunks_exact(classes).map(Spread::new).collect();
    let mut scored = Vec::with_capacity(labels.len());
    let mut of_class = |class: usize| {
        scored.clear();
        let rows = logits.chunks_exact(classes).zip(&spreads).zip(labels);
        scored.extend(rows.map(|((row, spread), label)| (spread.log_prob(row[class]), *label as usize == class)));
        auroc(&mut scored)
    };
    if classes == 2 {
        return of_class(1);
    }
    let (sum, count) = (0..classes).filter_map(of_class).fold((0.0, 0_u32), |(s, n), area| (s + area, n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// What turns the logits of one sample into logarithms of probabilities. Those order samples as probabilities do, and
/// do not run together near 1.
struct Spread {
    largest: f64,
    /// ln of the sum of exp(logit - largest), precise however small the other terms are.
    log_sum: f64,
}

impl Spread {
    fn new(row: &[f32]) -> Self {
        let top = largest(row);
        let largest = f64::from(row[top]);
        let others = row.iter().enumerate().filter(|(class, _)| *class != top);
        let rest: f64 = others.map(|(_, logit)| (f64::from(*logit) - largest).exp()).sum();
        Self { largest, log_sum: rest.ln_1p() }
    }

    fn log_prob(&self, logit: f32) -> f64 {
        (f64::from(logit) - self.largest) - self.log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::metrics::Metrics;

    fn evaluate(logits: &[f32], labels: &[i64], classes: usize) -> Evaluation {
        let loss = LossConfig::default();
        let mut tally = Tally::new(classes, &loss);
        tally.add(logits, labels).unwrap();
        tally.finish()
    }

    #[test]
    fn binary_hand_worked() {
        // Differences in favour of class 1: -1, 3, 1, -2.
        let logits = [1.0, 0.0, 0.0, 3.0, 0.0, 1.0, 2.0, 0.0];
        let evaluation = evaluate(&logits, &[0, 1, 0, 1], 2);
        let metrics = &evaluation.metrics;
        assert_eq!(metrics.samples, 4);
        assert_eq!(metrics.get("accuracy"), Some(0.5));
        assert_eq!(metrics.get("balanced_accuracy"), Some(0.5));
        // Positives 3 and -2, negatives -1 and 1: two of four pairs.
        assert_eq!(metrics.get("auroc"), Some(0.5));
        let expected: f64 = [1.0, 3.0, -1.0, -2.0].iter().map(|d: &f64| (-d).exp().ln_1p()).sum::<f64>() / 4.0;
        assert!((metrics.get("loss").unwrap() - expected).abs() < 1e-12);
        assert_eq!(evaluation.confusion.unwrap(), [[1, 1], [1, 1]]);
        assert!(metrics.is_sound());
    }

    #[test]
    fn certain_predictions_still_have_an_order() {
        // Probabilities of class 1 that are 1 in f64, in the right order.
        let logits = [0.0, 60.0, 0.0, 50.0];
        assert_eq!(evaluate(&logits, &[1, 0], 2).metrics.get("auroc"), Some(1.0));
    }

    #[test]
    fn multiclass_area_is_the_mean_over_classes_that_have_both_kinds() {
        // Class 2 does not occur. Class 0: its sample scores above the others; class 1: one of its two below.
        let logits = [4.0, 1.0, 0.0, 0.0, 3.0, 0.0, 2.0, 0.0, 5.0];
        let metrics = evaluate(&logits, &[0, 1, 1], 3).metrics;
        // Class 0: p = .94 against .05 and .05 - 4, 0 and 2 over their rows; class 1: pairs (row 1 > row 0), (row 2 < row 0).
        assert_eq!(metrics.get("auroc"), Some((1.0 + 0.5) / 2.0));
        let one_class = evaluate(&logits, &[1, 1, 1], 3).metrics;
        assert_eq!(one_class.get("auroc"), None);
    }

    #[test]
    fn nothing_in_nothing_out() {
        let loss = LossConfig::default();
        let evaluation = Tally::new(3, &loss).finish();
        assert_eq!(evaluation.metrics, Metrics::default());
    }
}
