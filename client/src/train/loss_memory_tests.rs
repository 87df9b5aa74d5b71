//! What a loss remembers of a site, from one round's training to the next.

use std::ops::ControlFlow;

use synod_common::ids::RoundId;
use synod_common::state::State;

use super::tests::{digits, plan, task, trainer};
use super::{Assignment, TrainError, Trained};

const LAMBDA: &str = "loss.lambda";

/// Temperatures without a step: the learning rate is 0, so that every round sees the same model.
const STILL: &str =
    "epochs = 1\nbatch = 8\nloss = { aldr_kl = { normalise = \"none\" } }\noptimiser = { sgd = { lr = 0.0 } }";

fn model() -> Vec<f32> {
    (0..650).map(|i| ((i as f32) * 0.7).sin()).collect()
}

fn round(train: &str, samples: u32, state: &State) -> Result<Trained, TrainError> {
    let plan = plan("\"logistic\"", train);
    let (trainer, site, model) = (trainer(&plan), digits(&plan, samples), model());
    assert!(trainer.keeps_state());
    let assignment = Assignment { round: RoundId(2), state, ..task(&model) };
    trainer.train(&assignment, &site, &mut vec![0.0; model.len()], &mut |_| ControlFlow::Continue(()))
}

/// The next temperature of each training sample by its definition: `1 - KL(q || uniform) / (2 ln 10)`, with the floor
/// 1e-5 under `q = softmax(logits / temperature)`.
fn temperatures(samples: u32, before: &[f32]) -> Vec<f64> {
    let plan = plan("\"logistic\"", STILL);
    let (site, model) = (digits(&plan, samples), model());
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    let positions: Vec<u32> = (0..site.train.len() as u32).collect();
    site.train.gather(&positions, &mut inputs, &mut labels);
    let of = |(x, before): (&[f32], &f32)| {
        let logit = |c: usize| {
            let sum: f64 = x.iter().enumerate().map(|(i, x)| f64::from(*x) * f64::from(model[i * 10 + c])).sum();
            (sum + f64::from(model[640 + c])) / f64::from(*before)
        };
        let exps: Vec<f64> = (0..10).map(|c| logit(c).exp()).collect();
        let sum: f64 = exps.iter().sum();
        let floored: Vec<f64> = exps.iter().map(|e| e / sum + 1e-5).collect();
        let total: f64 = floored.iter().sum();
        let kl: f64 = floored.iter().map(|q| q / total * (10.0 * q / total).ln()).sum();
        1.0 - kl / (2.0 * 10f64.ln())
    };
    inputs.chunks(64).zip(before).map(of).collect()
}

fn agree(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
    }
}

#[test]
fn each_sample_goes_on_from_its_own_temperature_of_the_round_before() {
    let first = round(STILL, 40, &State::default()).unwrap().state;
    let of_first = first.vector(LAMBDA).expect("the state has the loss's column").to_vec();
    agree(&of_first, &temperatures(40, &vec![1.0; of_first.len()]));
    let second = round(STILL, 40, &first).unwrap().state;
    let of_second = second.vector(LAMBDA).unwrap();
    agree(of_second, &temperatures(40, &of_first));
    let moved = of_first.iter().zip(of_second).fold(0.0, |most: f32, (a, b)| (a - b).abs().max(most));
    assert!(moved > 0.01, "the rounds can be told apart: {moved}");
}

#[test]
fn a_round_without_steps_hands_it_on() {
    let first = round(STILL, 40, &State::default()).unwrap().state;
    let idle = round(&STILL.replace("epochs = 1", "epochs = 0"), 40, &first).unwrap();
    assert_eq!((idle.steps, &idle.state), (0, &first));
}

#[test]
fn what_was_kept_of_other_data_is_refused() {
    let first = round(STILL, 40, &State::default()).unwrap().state;
    let error = round(STILL, 30, &first).unwrap_err();
    assert!(matches!(error, TrainError::Loss(_)), "{error:?}");
    assert!(error.to_string().contains("was stored for other data"), "{error}");
}
