//! Gathers what is needed for every metric while batches of logits pass by.

use synod_losses::multilabel::per_sample;
use synod_losses::{LossConfig, LossError};

use super::precision::average_precision;
use super::ranking::{order, precision_at, ranking_loss};
use crate::task::evaluation::{Evaluation, OUTPUTS_KEPT_MAX};
use crate::task::loss::{MeanLoss, matrix};

/// The `k` of `precision@k`, where there are so many classes.
const TOP: [(usize, &str); 3] = [(1, "precision@1"), (3, "precision@3"), (5, "precision@5")];

/// Gathers logits and targets.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    loss: &'a LossConfig,
    mean: MeanLoss,
    /// For each class: samples that have it, that are predicted to, and both.
    counts: Vec<Counts>,
    /// Sums over samples, in the order of [`TOP`].
    top: [f64; TOP.len()],
    wrong_pairs: f64,
    /// Logit and target of every class, sample by sample; `None` once there are too many.
    scored: Option<Vec<(f32, bool)>>,
    samples: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    truth: u64,
    predicted: u64,
    hits: u64,
}

impl Counts {
    /// `None` where the class neither occurs nor is predicted.
    fn f1(self) -> Option<f64> {
        let seen = self.truth + self.predicted;
        (seen > 0).then(|| 2.0 * self.hits as f64 / seen as f64)
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn new(classes: usize, loss: &'a LossConfig) -> Self {
        Self {
            loss,
            mean: MeanLoss::default(),
            counts: vec![Counts::default(); classes],
            top: [0.0; TOP.len()],
            wrong_pairs: 0.0,
            scored: Some(Vec::new()),
            samples: 0,
        }
    }

    /// Adds samples: finite `logits: [samples, classes]` and `targets` of the same shape, each 0 or 1.
    pub(crate) fn add(&mut self, logits: &[f32], targets: &[f32]) -> Result<(), LossError> {
        let classes = self.counts.len();
        let rows = targets.len() / classes;
        let [x, y] = [logits, targets].map(|values| matrix(values.iter().map(|value| f64::from(*value)), rows));
        self.mean.add(&per_sample(x, y, self.loss)?, None)?;
        for (logits, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
            let order = order(logits);
            for (sum, (k, _)) in self.top.iter_mut().zip(TOP) {
                *sum += precision_at(k, &order, targets);
            }
            self.wrong_pairs += ranking_loss(logits, &order, targets);
            for ((counts, logit), target) in self.counts.iter_mut().zip(logits).zip(targets) {
                let (truth, predicted) = (*target != 0.0, *logit > 0.0);
                counts.truth += u64::from(truth);
                counts.predicted += u64::from(predicted);
                counts.hits += u64::from(truth && predicted);
            }
        }
        self.samples += rows as u64;
        match &mut self.scored {
            Some(kept) if kept.len() + logits.len() <= OUTPUTS_KEPT_MAX => {
                kept.extend(logits.iter().zip(targets).map(|(logit, target)| (*logit, *target != 0.0)));
            }
            _ => self.scored = None,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Evaluation {
        let classes = self.counts.len();
        let of_samples = |sum: f64| (self.samples > 0).then(|| sum / self.samples as f64);
        let all = self.counts.iter().fold(Counts::default(), |all, one| Counts {
            truth: all.truth + one.truth,
            predicted: all.predicted + one.predicted,
            hits: all.hits + one.hits,
        });
        let map = self.scored.and_then(|scored| {
            let mut of_class = Vec::new();
            mean((0..classes).filter_map(|class| {
                of_class.clear();
                let column = scored.iter().skip(class).step_by(classes);
                of_class.extend(column.map(|(logit, has)| (f64::from(*logit), *has)));
                average_precision(&mut of_class)
            }))
        });
        let mut named = vec![
            ("loss", self.mean.mean()),
            ("map", map),
            ("micro_f1", all.f1()),
            ("macro_f1", mean(self.counts.iter().filter_map(|counts| counts.f1()))),
            ("ranking_loss", of_samples(self.wrong_pairs)),
        ];
        let top = TOP.into_iter().zip(self.top).filter(|((k, _), _)| *k <= classes);
        named.extend(top.map(|((_, name), sum)| (name, of_samples(sum))));
        Evaluation::new(self.samples, named, None)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::metrics::Metrics;
    use synod_losses::multilabel::bce;

    fn loss() -> LossConfig {
        LossConfig::BinaryCrossEntropy(bce::Config::default())
    }

    /// Three samples of three classes; class 2 never occurs and is predicted once.
    const LOGITS: [f32; 9] = [2.0, -1.0, -3.0, 0.5, 1.0, -2.0, -1.0, 3.0, 0.5];
    const TARGETS: [f32; 9] = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

    #[test]
    fn hand_worked() {
        let loss = loss();
        let mut tally = Tally::new(3, &loss);
        tally.add(&LOGITS, &TARGETS).unwrap();
        let metrics = tally.finish().metrics;
        let get = |name: &str| metrics.get(name).unwrap();
        // Class 0: its two samples come first; class 1: its sample comes first.
        assert_eq!(get("map"), 1.0);
        // Class 0: 2 true, 2 predicted, 2 hits; class 1: 1, 2, 1; class 2: 0, 1, 0.
        assert_eq!(get("micro_f1"), 2.0 * 3.0 / (3.0 + 5.0));
        assert!((get("macro_f1") - (1.0 + 2.0 / 3.0 + 0.0) / 3.0).abs() < 1e-15);
        // The second sample's best class is 1, which it has not.
        assert_eq!(get("precision@1"), 2.0 / 3.0);
        assert_eq!(get("precision@3"), (1.0 + 1.0 + 1.0) / 9.0);
        assert_eq!(metrics.get("precision@5"), None);
        assert_eq!(get("ranking_loss"), 0.5 / 3.0);
        let softplus = |x: f64| x.exp().ln_1p();
        let terms = LOGITS.iter().zip(TARGETS).map(|(x, y)| softplus(f64::from(if y == 1.0 { -x } else { *x })));
        assert!((get("loss") - terms.sum::<f64>() / 9.0).abs() < 1e-12);
        assert!(metrics.is_sound() && metrics.samples == 3);
    }

    #[test]
    fn batches_do_not_matter_and_nothing_gives_nothing() {
        let loss = loss();
        let (mut once, mut twice) = (Tally::new(3, &loss), Tally::new(3, &loss));
        once.add(&LOGITS, &TARGETS).unwrap();
        twice.add(&LOGITS[..3], &TARGETS[..3]).unwrap();
        twice.add(&LOGITS[3..], &TARGETS[3..]).unwrap();
        let (once, twice) = (once.finish().metrics, twice.finish().metrics);
        assert!(once.values.iter().all(|(name, value)| (value - twice.values[name]).abs() < 1e-15));
        assert_eq!(Tally::new(3, &loss).finish().metrics, Metrics::default());
    }
}
