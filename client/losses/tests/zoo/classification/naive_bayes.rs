//! The naive Bayes head: exact over sites, and Gaussian densities in disguise.

use burn::tensor::{DType, Device, Int, Tensor};
use synod_losses::classification::naive_bayes::{Config, Head, Statistics};
use synod_losses::{LossError, Objective};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const WIDTH: usize = 3;

fn statistics(values: &[f64], labels: &[i64], classes: usize) -> Result<Statistics, LossError> {
    let labels_on = Tensor::<1, Int>::from_data(labels, &Device::flex().autodiff());
    Statistics::new(&leaf(values, [labels.len(), values.len() / labels.len()]), &labels_on, classes)
}

fn head(values: &[f64], labels: &[i64], classes: usize, config: &Config) -> Head {
    statistics(values, labels, classes).expect("the inputs are valid").head(config).expect("the inputs are valid")
}

#[test]
fn any_split_in_any_order_gives_the_pooled_head() {
    let (values, labels) = (noise(36, 1), [0, 1, 2, 0, 1, 1, 0, 0, 2, 2, 1, 0]);
    let pooled = head(&values, &labels, 3, &Config::default());
    let site = |rows: std::ops::Range<usize>| {
        statistics(&values[rows.start * WIDTH..rows.end * WIDTH], &labels[rows], 3).unwrap()
    };
    for cuts in [[1, 2], [4, 9], [6, 11]] {
        let sites = [site(0..cuts[0]), site(cuts[0]..cuts[1]), site(cuts[1]..12)];
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let total = order.iter().try_fold(Statistics::empty(3, WIDTH).unwrap(), |total, &s| total.merge(&sites[s]));
            let split = total.unwrap().head(&Config::default()).unwrap();
            assert_eq!(split.counts, pooled.counts);
            for (split, pooled) in [(split.weight, &pooled.weight), (split.bias, &pooled.bias)] {
                assert_close("head", &split, pooled, 1e-12);
            }
        }
    }
}

/// Differences of scores are those of prior and density, and `logits` are the same up to a number of each row.
#[test]
fn scores_are_log_densities() {
    let (values, labels) = (noise(24, 2), [0, 1, 2, 0, 1, 2, 2, 2]);
    let head = head(&values, &labels, 3, &Config::default().with_prior_smoothing(0.5).with_var_eps(1e-3));
    let query = noise(2 * WIDTH, 3);
    let scores = numbers(head.scores(leaf(&query, [2, WIDTH])).unwrap());
    let logits = numbers(head.logits(leaf(&query, [2, WIDTH])).unwrap());
    for (row, x) in query.chunks(WIDTH).enumerate() {
        let density = |class: usize| {
            let squares = (0..WIDTH).map(|j| (x[j] - head.mean[class * WIDTH + j]).powi(2) / head.var[j]);
            head.prior[class].ln() - 0.5 * squares.sum::<f64>()
        };
        for values in [&scores, &logits] {
            let found: Vec<f64> = (1..3).map(|class| values[row * 3 + class] - values[row * 3]).collect();
            assert_close("difference", &found, &[density(1) - density(0), density(2) - density(0)], 1e-9);
        }
    }
    assert_gradient("query", &query, [2, WIDTH], 1e-6, |query| head.logits(query).unwrap().square().sum());
}

#[test]
fn large_means_keep_their_digits() {
    let (values, labels) = (noise(30, 4), [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let shifted: Vec<f64> = values.iter().map(|value| value + 1000.0).collect();
    let (near, far) = (head(&values, &labels, 2, &Config::default()), head(&shifted, &labels, 2, &Config::default()));
    assert_close("var", &far.var, &near.var, 1e-8);
    let single = |head: &Head, values: &[f64]| {
        let logits = numbers(head.logits(leaf(values, [10, WIDTH]).cast(DType::F32)).unwrap());
        logits.chunks(2).map(|row| row[1] - row[0]).collect::<Vec<_>>()
    };
    assert_close("logits in single precision", &single(&far, &shifted), &single(&near, &values), 1e-3);
}

#[test]
fn a_class_without_rows_is_never_predicted() {
    let config = Config::default().with_prior_smoothing(1.0);
    let head = head(&noise(12, 5), &[0, 2, 0, 2], 3, &config);
    assert_eq!((head.bias[1], &head.weight[3..6], &head.mean[3..6]), (-1e30, &[0.0; 3][..], &[0.0; 3][..]));
    assert_close("prior", &head.prior, &[3.0 / 7.0, 1.0 / 7.0, 3.0 / 7.0], 1e-12);
    let logits = numbers(head.logits(leaf(&[0.0; WIDTH], [1, WIDTH]).cast(DType::F32)).unwrap());
    assert!(logits[1] < -9e29 && logits.iter().all(|logit| logit.is_finite()));
}

#[test]
fn a_constant_feature_has_the_smallest_variance_and_no_say() {
    let values: Vec<f64> = noise(8, 6).chunks(2).flat_map(|row| [row[0], 7.0]).collect();
    let head = head(&values, &[0, 1, 0, 1], 2, &Config::default());
    assert_close("var", &head.var[1..], &[1e-9], 1e-12);
    let say = |constant: f64| {
        let logits = numbers(head.logits(leaf(&[0.3, constant], [1, 2]).cast(DType::F32)).unwrap());
        logits[1] - logits[0]
    };
    assert_close("say", &[say(7.5)], &[say(7.0)], 1e-6);
}

#[test]
fn tied_scores_predict_the_first_class() {
    let head = head(&[1.0, -1.0, 1.0, -1.0], &[0, 0, 1, 1], 2, &Config::default());
    let scores = head.scores(leaf(&[0.4], [1, 1])).unwrap();
    assert_eq!(numbers(scores.argmax(1).float()), [0.0]);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(matches!(statistics(&[1.0], &[3], 2), Err(LossError::Label { label: 3, .. })));
    assert!(matches!(statistics(&[f64::NAN], &[0], 2), Err(LossError::NotFinite { .. })));
    assert!(matches!(statistics(&[1.0], &[0], usize::MAX), Err(LossError::Shape { .. })));
    assert!(matches!(Statistics::empty(2, 1).unwrap().head(&Config::default()), Err(LossError::EmptyBatch { .. })));
    let one = statistics(&[1.0], &[0], 2).unwrap();
    assert!(matches!(one.clone().merge(&Statistics::empty(2, 2).unwrap()), Err(LossError::Shape { .. })));
    let head = one.head(&Config::default()).unwrap();
    for query in [head.scores(leaf(&[0.0; 2], [1, 2])), head.logits(leaf(&[0.0; 2], [1, 2]))] {
        assert!(matches!(query, Err(LossError::Shape { tensor: "query", .. })));
    }
    assert!(Config::default().with_var_eps(0.0).validate().is_err());
    assert!(Config::default().with_prior_smoothing(-1.0).validate().is_err());
}
