//! FLAT: divergences, positions and directions.

use burn::tensor::{DType, Device, Int, Tensor};
use synod_losses::LossError;
use synod_losses::unlearning::flat::{Answers, Config, Divergence, Positions, flat};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

const DIVERGENCES: [Divergence; 8] = [
    Divergence::TotalVariation,
    Divergence::Kl,
    Divergence::JensenShannon,
    Divergence::Pearson,
    Divergence::Jeffreys,
    Divergence::ReverseKl,
    Divergence::SquaredHellinger,
    Divergence::Neyman,
];

fn answers(logits: &[f64], labels: &[i64], [batch, positions]: [usize; 2]) -> Answers {
    let vocabulary = logits.len() / labels.len();
    let labels = Tensor::<1, Int>::from_data(labels, &Device::flex().autodiff()).reshape([batch, positions]);
    Answers { logits: leaf(logits, [batch, positions, vocabulary]), labels }
}

/// The loss for one sample of one position whose label has these probabilities.
fn at(p_template: f64, p_forget: f64, divergence: Divergence) -> f64 {
    let of = |p: f64| answers(&[p.ln(), (1.0 - p).ln()], &[0], [1, 1]);
    let config = Config::default().with_divergence(divergence);
    numbers(flat(of(p_template), of(p_forget), &config).expect("the inputs are valid").loss)[0]
}

/// The divergence's `f`, whose conjugate `sup_u (u t - f(u))` the loss must have at `t = g(v)`.
fn f(divergence: Divergence, u: f64) -> f64 {
    match divergence {
        Divergence::TotalVariation => 0.5 * (u - 1.0).abs(),
        Divergence::Kl => u * u.ln(),
        Divergence::JensenShannon => u * u.ln() - (u + 1.0) * ((u + 1.0) / 2.0).ln(),
        Divergence::Pearson => (u - 1.0).powi(2),
        Divergence::ReverseKl => -u.ln(),
        Divergence::SquaredHellinger => (u.sqrt() - 1.0).powi(2),
        Divergence::Neyman => (1.0 - u).powi(2) / u,
        Divergence::Jeffreys => unreachable!("it is a series"),
    }
}

#[test]
fn the_second_term_is_the_convex_conjugate_of_the_first() {
    // g(0) of each, so that differences of losses give g and the conjugate apart.
    let g = |divergence: Divergence, v: f64| match divergence {
        Divergence::TotalVariation => v.tanh() / 2.0,
        Divergence::Kl | Divergence::Pearson | Divergence::Jeffreys => v,
        Divergence::JensenShannon => 2f64.ln() - (-v).exp().ln_1p(),
        Divergence::ReverseKl => -(-v).exp(),
        Divergence::SquaredHellinger | Divergence::Neyman => 1.0 - (-v).exp(),
    };
    for divergence in DIVERGENCES {
        for v in [0.05, 0.3, 0.7, 0.95] {
            let conjugate = at(0.5, v, divergence) + g(divergence, 0.5);
            if divergence == Divergence::Jeffreys {
                assert_close("series", &[conjugate], &[v + v * v / 4.0 + v.powi(3) / 16.0], 1e-9);
                continue;
            }
            let t = g(divergence, v);
            // The grid is fine around where the suprema are, and reaches far.
            let grid = (1..400_000).map(|i| 1e-4 * f64::from(i));
            let supremum = grid.map(|u| u * t - f(divergence, u)).fold(f64::NEG_INFINITY, f64::max);
            assert_close(&format!("{divergence:?} at {v}"), &[conjugate], &[supremum], 1e-6);
            assert!(at(v, 0.5, divergence) < at(v - 0.01, 0.5, divergence), "the template's probability rises");
        }
    }
}

#[test]
fn probabilities_equal_naive_loops_and_gradients_equal_finite_differences() {
    let (template, forget) = (noise(24, 1), noise(36, 2));
    let (template_labels, forget_labels) = ([1, -100, 2, 0, 3, -100], [0, 3, -100, -100, -100, -100, 1, 1, 2]);
    let naive = |logits: &[f64], labels: &[i64]| -> Vec<f64> {
        let probability = |(row, &label): (&[f64], &i64)| match label {
            -100 => 0.0,
            label => row[label as usize].exp() / row.iter().map(|logit| logit.exp()).sum::<f64>(),
        };
        logits.chunks(4).zip(labels).map(probability).collect()
    };
    let (of_template, of_forget) = (naive(&template, &template_labels), naive(&forget, &forget_labels));
    for divergence in DIVERGENCES {
        for reduction in [Positions::AllPositions, Positions::PerSample] {
            let config = Config::default().with_divergence(divergence).with_reduction(reduction);
            let template_at = || answers(&template, &template_labels, [2, 3]);
            let forget_at = || answers(&forget, &forget_labels, [3, 3]);
            let parts = flat(template_at(), forget_at(), &config).unwrap();
            let (p_template, p_forget) = match reduction {
                Positions::AllPositions => {
                    (vec![of_template.iter().sum::<f64>() / 6.0], vec![of_forget.iter().sum::<f64>() / 9.0])
                }
                Positions::PerSample => {
                    let sums = |values: &[f64]| values.chunks(3).map(|row| row.iter().sum::<f64>()).collect::<Vec<_>>();
                    let (t, f) = (sums(&of_template), sums(&of_forget));
                    (vec![t[0] / 2.0, t[1] / 2.0], vec![f[0] / 2.0, 0.0, f[2] / 3.0])
                }
            };
            assert_close("template", &numbers(parts.p_template), &p_template, 1e-10);
            assert_close("forget", &numbers(parts.p_forget), &p_forget, 1e-10);
            assert_gradient("template", &template, [2, 3, 4], 1e-6, |logits| {
                flat(Answers { logits, labels: template_at().labels }, forget_at(), &config).unwrap().loss
            });
            assert_gradient("forget", &forget, [3, 3, 4], 1e-6, |logits| {
                flat(template_at(), Answers { logits, labels: forget_at().labels }, &config).unwrap().loss
            });
        }
    }
}

#[test]
fn total_variation_of_the_same_answers_is_nothing_and_ignored_positions_scale_down() {
    let logits = noise(12, 3);
    let same = || answers(&logits, &[1, 0, 2, 1], [2, 2]);
    assert_eq!(numbers(flat(same(), same(), &Config::default()).unwrap().loss), [0.0]);
    let longer: Vec<f64> = logits.chunks(6).flat_map(|row| [row, &row[..6]].concat()).collect();
    let padded = || answers(&longer, &[1, 0, -100, -100, 2, 1, -100, -100], [2, 4]);
    let config = Config::default().with_reduction(Positions::AllPositions);
    let (short, long) = (flat(same(), same(), &config).unwrap(), flat(padded(), padded(), &config).unwrap());
    assert_close("halved", &numbers(long.p_forget), &[numbers(short.p_forget)[0] / 2.0], 1e-12);
}

#[test]
fn extremes_stay_finite_and_misfits_are_refused() {
    for divergence in DIVERGENCES {
        for labels in [[0, 1], [-100, -100]] {
            let logits = leaf(&[1e3, -1e3, -1e3, 1e3], [2, 1, 2]).cast(DType::F32).detach().require_grad();
            let of = |logits: Tensor<3>| Answers { logits, labels: answers(&[0.0; 4], &labels, [2, 1]).labels };
            let config = Config::default().with_divergence(divergence);
            let loss = flat(of(logits.clone()), of(logits.clone() * 0.5), &config).unwrap().loss;
            let slopes = numbers(logits.grad(&loss.backward()).unwrap());
            assert!(numbers(loss)[0].is_finite() && slopes.iter().all(|slope| slope.is_finite()), "{divergence:?}");
        }
    }
    let good = || answers(&[0.0; 4], &[0, 1], [2, 1]);
    let config = Config::default();
    let wrong = Answers { labels: good().labels.slice([0..1, 0..1]), ..good() };
    assert!(matches!(flat(good(), wrong, &config), Err(LossError::Shape { tensor: "forget_labels", .. })));
    let empty = Answers { logits: good().logits.slice([0..0, 0..1, 0..2]), labels: good().labels.slice([0..0, 0..1]) };
    assert!(matches!(flat(empty, good(), &config), Err(LossError::EmptyBatch { .. })));
}
