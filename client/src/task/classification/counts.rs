//! Who was taken for whom: counts of true and predicted classes, and the metrics that follow from them.

/// Most classes for which whole confusion matrices are kept: 80 kB, and still a picture.
pub(super) const CONFUSION_CLASSES_MAX: usize = 100;

/// Counts of classes over samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Samples of each true class.
    truth: Vec<u64>,
    /// Samples taken for each class.
    predicted: Vec<u64>,
    /// Samples of each class taken for it.
    hits: Vec<u64>,
    /// `[true class][predicted class]`, where the classes are few.
    confusion: Option<Vec<Vec<u64>>>,
}

impl Counts {
    pub(super) fn new(classes: usize) -> Self {
        let zeros = vec![0; classes];
        Self {
            truth: zeros.clone(),
            predicted: zeros.clone(),
            hits: zeros.clone(),
            confusion: (classes <= CONFUSION_CLASSES_MAX).then(|| vec![zeros; classes]),
        }
    }

    /// Counts one sample; both classes are below the number of classes.
    pub(super) fn add(&mut self, truth: usize, predicted: usize) {
        self.truth[truth] += 1;
        self.predicted[predicted] += 1;
        self.hits[truth] += u64::from(truth == predicted);
        if let Some(confusion) = &mut self.confusion {
            confusion[truth][predicted] += 1;
        }
    }

    pub(super) fn into_confusion(self) -> Option<Vec<Vec<u64>>> {
        self.confusion
    }
}

/// Share of samples taken for their class. `None` without samples.
pub(super) fn accuracy(counts: &Counts) -> Option<f64> {
    ratio(counts.hits.iter().sum(), counts.truth.iter().sum())
}

/// Mean, over the classes that have samples, of the share of their samples taken for them.
pub(super) fn balanced_accuracy(counts: &Counts) -> Option<f64> {
    mean(counts.hits.iter().zip(&counts.truth).filter_map(|(hits, truth)| ratio(*hits, *truth)))
}

/// Mean of F1 = 2 hits / (true + predicted) over the classes that occur as true or as predicted class.
pub(super) fn macro_f1(counts: &Counts) -> Option<f64> {
    let seen = counts.truth.iter().zip(&counts.predicted).map(|(truth, predicted)| truth + predicted);
    mean(counts.hits.iter().zip(seen).filter_map(|(hits, seen)| ratio(2 * hits, seen)))
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(classes: usize, pairs: &[(usize, usize)]) -> Counts {
        let mut counts = Counts::new(classes);
        for (truth, predicted) in pairs {
            counts.add(*truth, *predicted);
        }
        counts
    }

    /// Classes 0, 0, 0, 1, 2 taken for 0, 0, 1, 1, 0; class 3 does not occur.
    #[test]
    fn hand_worked() {
        let counts = count(4, &[(0, 0), (0, 0), (0, 1), (1, 1), (2, 0)]);
        assert_eq!(accuracy(&counts), Some(3.0 / 5.0));
        assert_eq!(balanced_accuracy(&counts), Some((2.0 / 3.0 + 1.0 + 0.0) / 3.0));
        // F1: class 0 4/6, class 1 2/3, class 2 0/1.
        assert_eq!(macro_f1(&counts), Some((4.0 / 6.0 + 2.0 / 3.0 + 0.0) / 3.0));
        let confusion = counts.into_confusion().unwrap();
        assert_eq!(confusion, [[2, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]);
    }

    #[test]
    fn a_class_that_is_only_predicted_counts_for_f1_alone() {
        let counts = count(3, &[(0, 0), (0, 2)]);
        assert_eq!(balanced_accuracy(&counts), Some(0.5));
        assert_eq!(macro_f1(&counts), Some((2.0 / 3.0 + 0.0) / 2.0));
    }

    #[test]
    fn without_samples_nothing_is_defined_and_many_classes_have_no_matrix() {
        let counts = Counts::new(3);
        assert_eq!((accuracy(&counts), balanced_accuracy(&counts), macro_f1(&counts)), (None, None, None));
        assert_eq!(Counts::new(CONFUSION_CLASSES_MAX + 1).into_confusion(), None);
    }

    /// Precision and recall of each class by counting pairs.
    fn naive(classes: usize, pairs: &[(usize, usize)]) -> (f64, f64, f64) {
        let among = |f: &dyn Fn(usize, usize) -> bool| pairs.iter().filter(|(t, p)| f(*t, *p)).count() as f64;
        let hits = among(&|t, p| t == p);
        let (mut recalls, mut f1s) = (vec![], vec![]);
        for c in 0..classes {
            let both = among(&|t, p| t == c && p == c);
            let (truth, predicted) = (among(&|t, _| t == c), among(&|_, p| p == c));
            if truth > 0.0 {
                recalls.push(both / truth);
            }
            if truth + predicted > 0.0 {
                let (precision, recall) = (both / predicted.max(1.0), both / truth.max(1.0));
                f1s.push(if both > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 });
            }
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        (hits / pairs.len() as f64, mean(&recalls), mean(&f1s))
    }

    proptest! {
        #[test]
        fn equals_the_naive_way(pairs in prop::collection::vec((0..5_usize, 0..5_usize), 1..40)) {
            let counts = count(5, &pairs);
            let (a, b, f) = naive(5, &pairs);
            prop_assert!((accuracy(&counts).unwrap() - a).abs() < 1e-12);
            prop_assert!((balanced_accuracy(&counts).unwrap() - b).abs() < 1e-12);
            prop_assert!((macro_f1(&counts).unwrap() - f).abs() < 1e-12);
        }
    }
}
