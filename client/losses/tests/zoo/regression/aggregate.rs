//! Answers of bags.

use synod_losses::LossError;
use synod_losses::regression::aggregate::aggregate_responses::{Config, Kind};
use synod_losses::regression::aggregate::{Bags, aggregate_responses, private_responses};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

/// Bags of 3, 1 and 2 samples, in no order.
const BAGS: [i64; 6] = [0, 2, 0, 1, 2, 0];

fn bags() -> Bags {
    Bags::new(BAGS.to_vec(), 3).expect("no bag is empty")
}

fn naive(predictions: &[f64], responses: &[f64], kind: Kind) -> (Vec<f64>, Vec<f64>) {
    let sigmoid = |f: f64| 1.0 / (1.0 + (-f).exp());
    let prediction = |f: f64| if kind == Kind::Squared { f } else { sigmoid(f) };
    let cost = |r: f64, p: f64| match kind {
        Kind::Squared => (p - r).powi(2),
        Kind::Logistic => -r * p.ln() - (1.0 - r) * (1.0 - p).ln(),
    };
    (0..3)
        .map(|bag| {
            let of_bag: Vec<f64> =
                BAGS.iter().zip(predictions).filter(|(b, _)| **b == bag as i64).map(|(_, f)| prediction(*f)).collect();
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let costs: Vec<f64> = of_bag.iter().map(|&p| cost(responses[bag], p)).collect();
            (cost(responses[bag], mean(&of_bag)), mean(&costs))
        })
        .unzip()
}

#[test]
fn bag_and_instance_losses_equal_naive_loops() {
    let (predictions, responses) = (noise(6, 1), [0.2, 0.9, 0.5]);
    for kind in [Kind::Squared, Kind::Logistic] {
        let config = Config::default().with_kind(kind).with_rho(0.3);
        let of = |f| aggregate_responses(f, leaf(&responses, [3]), &bags(), &config).unwrap();
        let (bag, instance) = naive(&predictions, &responses, kind);
        let values = of(leaf(&predictions, [6]));
        assert_close("bag", &numbers(values.bag), &bag, 1e-9);
        assert_close("instance", &numbers(values.instance), &instance, 1e-9);
        let total: Vec<f64> = bag.iter().zip(&instance).map(|(bag, instance)| 0.7 * bag + 0.3 * instance).collect();
        assert_close("total", &numbers(values.total), &total, 1e-9);
        assert!(bag.iter().zip(&instance).all(|(bag, instance)| *instance >= bag - 1e-12));
        assert_gradient("gradient", &predictions, [6], 1e-7, |f| of(f).total.mean());
    }
}

/// The gap between the two losses is the spread of predictions within the bag.
#[test]
fn instance_less_bag_is_half_the_mean_square_of_differences() {
    let predictions = noise(6, 2);
    let values =
        aggregate_responses(leaf(&predictions, [6]), leaf(&[0.0; 3], [3]), &bags(), &Config::default()).unwrap();
    let spread: Vec<f64> = (0..3)
        .map(|bag| {
            let of_bag: Vec<f64> = BAGS.iter().zip(&predictions).filter(|(b, _)| **b == bag).map(|(_, f)| *f).collect();
            let squares: f64 = of_bag.iter().flat_map(|a| of_bag.iter().map(move |b| (a - b).powi(2))).sum();
            squares / (2.0 * (of_bag.len() as f64).powi(2))
        })
        .collect();
    assert_close("gap", &numbers(values.instance - values.bag), &spread, 1e-9);
}

#[test]
fn extremes_stay_finite_and_broken_bags_are_refused() {
    let config = Config::default().with_kind(Kind::Logistic);
    let far = leaf(&[1e3, -1e3, 1e3, -1e3, 1e3, 1e3], [6]).cast(burn::tensor::DType::F32);
    let live = far.clone();
    let values =
        aggregate_responses(live, leaf(&[0.0, 1.0, 1.0], [3]).cast(burn::tensor::DType::F32), &bags(), &config);
    let values = values.unwrap();
    // A bag at the bound of single precision costs what the bound says.
    assert_close("bag", &numbers(values.bag)[..2], &[-(1e-7f64).ln(); 2], 1e-5);
    assert!(numbers(values.total).iter().all(|value| value.is_finite()));
    for (of_sample, bags) in [(vec![0, 3], 2), (vec![0, -1], 2), (vec![0, 0], 2), (vec![], 1), (vec![0], usize::MAX)] {
        assert!(matches!(Bags::new(of_sample, bags), Err(LossError::Value { .. })));
    }
    let short = aggregate_responses(leaf(&[0.0], [1]), leaf(&[0.0; 3], [3]), &bags(), &config);
    assert!(matches!(short, Err(LossError::Shape { .. })));
    let none = aggregate_responses(leaf(&[], [0]), leaf(&[], [0]), &Bags::new(vec![], 0).unwrap(), &config);
    assert!(matches!(none, Err(LossError::EmptyBatch { .. })));
}

#[test]
fn private_means_are_clipped_and_noisy() {
    let config = private_responses::Config::default().with_clip(1.5).with_epsilon(0.5);
    let responses = [3.0, 0.5, -1.0, -9.0, 1.0, 0.25];
    let released = private_responses(&responses, &bags(), &[1.0, 0.0, -2.0], &config).unwrap();
    assert_close("scale", &released.noise_scale, &[2.0, 6.0, 3.0], 1e-12);
    assert_close("means", &released.responses, &[0.25 + 2.0, -1.5, 0.75 - 6.0], 1e-12);
    assert!(matches!(private_responses(&responses, &bags(), &[1.0], &config), Err(LossError::Shape { .. })));
    let broken = private_responses(&responses, &bags(), &[f64::NAN, 0.0, 0.0], &config);
    assert!(matches!(broken, Err(LossError::NotFinite { .. })));
}
