//! Training steps written by hand against burn's automatic differentiation: the same plan, data and order of samples, so
//! that a round's delta agrees to rounding.

use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::plan::Plan;
use synod_common::state::State;

use super::tests::{digits, plan, task};
use super::{Assignment, Trained, Trainer};
use crate::catalogue::Zoo;
use crate::data::{Dataset, Inputs, SiteData};
use crate::device::DeviceChoice;

const SAMPLES: u32 = 60;
const MLP: &str = "{ mlp = { hidden = [33, 17] } }";

fn train(trainer: &Trainer, task: &Assignment<'_>, site: &SiteData) -> (Trained, Vec<f32>) {
    let mut delta = vec![f32::NAN; task.model.len()];
    let trained = trainer.train(task, site, &mut delta, &mut |_| ControlFlow::Continue(())).unwrap();
    (trained, delta)
}

fn length(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
}

/// Trains by hand and by burn and returns how far the deltas are apart, in lengths of burn's.
fn apart_on(plan: &Plan, site: &SiteData, control: Option<&[f32]>, state: &State) -> f64 {
    let by_hand = Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap();
    let by_burn = Trainer::on_burn(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap();
    // Unlike first values, these have biases and weights of every layer.
    let shaken = |(i, v): (usize, &f32)| v + 0.05 * ((i as f32) * 0.37).sin();
    let global: Vec<f32> = by_hand.initial().iter().enumerate().map(shaken).collect();
    let task = Assignment { extra: control, state, ..task(&global) };
    let (hand, delta) = train(&by_hand, &task, site);
    let (burn, reference) = train(&by_burn, &task, site);
    assert!(length(reference.iter().copied()) > 1e-3, "nothing was trained");
    let (hand, burn) = (hand.train.get("loss").unwrap(), burn.train.get("loss").unwrap());
    assert!((hand - burn).abs() < 2e-5 * (1.0 + burn.abs()), "loss {hand} {burn}");
    let whole = by_hand.evaluate(&global, &site.train).unwrap();
    let other = by_burn.evaluate(&global, &site.train).unwrap();
    assert_eq!(whole.metrics.values.keys().collect::<Vec<_>>(), other.metrics.values.keys().collect::<Vec<_>>());
    for (name, value) in &other.metrics.values {
        assert!((whole.metrics.get(name).unwrap() - value).abs() < 1e-4 * (1.0 + value.abs()), "{name}");
    }
    length(delta.iter().zip(&reference).map(|(a, b)| a - b)) / length(reference.iter().copied())
}

fn assert_agrees(model: &str, options: &str) {
    let plan = plan(model, options);
    let apart = apart_on(&plan, &digits(&plan, SAMPLES), None, &State::default());
    assert!(apart < 1e-4, "{model}, {options}: {apart}");
    // Two engines that add in another order do not agree to the last bit: they are two.
    assert!(apart > 0.0 || model == "\"logistic\"", "{model} was trained by one engine twice");
}

#[test]
fn plain_steps_are_those_of_automatic_differentiation() {
    for model in ["\"logistic\"", MLP, "{ mlp = { hidden = [12], activation = \"tanh\" } }", "\"cnn\""] {
        assert_agrees(model, "epochs = 2\nbatch = 7\noptimiser = { sgd = { lr = 0.05 } }");
    }
}

#[test]
fn optimisers_and_clipping_are_burns() {
    for options in [
        "optimiser = { sgd = { lr = 0.05, momentum = 0.9 } }",
        "optimiser = { sgd = { lr = 0.05, weight_decay = 0.1 } }",
        "optimiser = { sgd = { lr = 0.05, momentum = 0.8, weight_decay = 0.1 } }\nclip_norm = 0.5",
        "optimiser = { adam = { lr = 0.003, weight_decay = 0.1, epsilon = 1e-4 } }",
        "optimiser = { adam_w = { lr = 0.003, weight_decay = 0.1, epsilon = 1e-4 } }",
        "optimiser = { sgd = { lr = 0.05 } }\nclip_norm = 0.2",
    ] {
        for model in [MLP, "\"cnn\""] {
            assert_agrees(model, &format!("epochs = 2\nbatch = 9\n{options}"));
        }
    }
}

#[test]
fn other_losses_and_margin_control_come_through_the_logits() {
    for options in [
        "margin_control = { lambda = 0.3 }",
        "margin_control = { lambda = 0.3, reduction = \"mean\" }",
        "loss = { focal = { gamma = 1.5 } }",
        "loss = { cross_entropy = { label_smoothing = 0.1 } }\nmargin_control = {}",
        "loss = { ldr_kl = {} }",
        "loss = { aldr_kl = {} }",
    ] {
        assert_agrees(MLP, &format!("epochs = 2\nbatch = 8\noptimiser = {{ sgd = {{ lr = 0.05 }} }}\n{options}"));
    }
}

#[test]
fn algorithms_that_change_gradients_change_them_alike() {
    for options in ["algorithm.fedprox = { mu = 0.5 }", "algorithm.scaffold = {}", "algorithm.feddyn = { alpha = 0.3 }"]
    {
        let plan = plan(MLP, &format!("epochs = 2\nbatch = 8\noptimiser = {{ sgd = {{ lr = 0.05 }} }}\n{options}"));
        let len = Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap().layout().len();
        let wave = |phase: f32| (0..len).map(|i| 0.02 * ((i as f32) * 0.11 + phase).sin()).collect::<Vec<f32>>();
        let (control, mut state) = (wave(0.0), State::default());
        for name in ["scaffold.control", "feddyn.gradient"] {
            state.set_vector(name, wave(1.0));
        }
        let control = plan.train.algorithm.scaffold.map(|_| &control[..]);
        let apart = apart_on(&plan, &digits(&plan, SAMPLES), control, &state);
        assert!(apart < 1e-4, "{options}: {apart}");
    }
}

#[test]
fn blocks_that_stay_as_they_are_do_so_here_too() {
    for personal in ["fedrep = { head_epochs = 1 }", "fedbabu = {}", "fedper = {}", "ditto = { lambda = 0.2 }"] {
        let text = format!(
            "model = \"cnn\"\nrounds = 2\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n\
             [train]\nepochs = 2\nbatch = 8\noptimiser = {{ sgd = {{ lr = 0.05, momentum = 0.5 }} }}\n[personal]\n{personal}\n"
        );
        let plan = Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}"));
        let apart = apart_on(&plan, &digits(&plan, SAMPLES), None, &State::default());
        assert!(apart < 1e-4, "{personal}: {apart}");
    }
}

/// Images of noise with a pattern of their class, `[channels, side, side + 1]`: sides that are not equal, and odd.
fn images(plan: &Plan, shape: [usize; 3]) -> SiteData {
    let values: usize = shape.iter().product();
    let value = |i: usize| ((i as f32) * 12.9898).sin() + ((i / values % 10 * (i % values)) as f32 * 0.05).cos();
    let inputs = Inputs::F32((0..SAMPLES as usize * values).map(value).collect());
    let labels = (0..SAMPLES).map(|i| i % 10).collect::<Vec<u32>>();
    let dataset = Dataset::new(inputs, labels, shape.to_vec()).unwrap();
    SiteData::for_site(
        plan,
        synod_common::ids::ClientId([3; 16]),
        Arc::new(dataset),
        (0..SAMPLES).collect(),
        None,
        None,
    )
    .unwrap()
}

#[test]
fn convolutions_of_every_shape_are_those_of_automatic_differentiation() {
    for (model, shape) in [
        ("lenet", [3, 32, 32]),
        ("lenet", [1, 17, 18]),
        ("lenet", [2, 19, 16]),
        ("cnn", [1, 28, 28]),
        ("cnn", [3, 7, 9]),
        ("cnn", [17, 6, 4]),
    ] {
        let text = format!(
            "model = \"{model}\"\nrounds = 2\n[task.classification]\nclasses = 10\n[data]\n[data.source.npz]\n\
             file = \"none.npz\"\nshape = {shape:?}\n[train]\nbatch = 16\noptimiser = {{ sgd = {{ lr = 0.02 }} }}\n"
        );
        let plan = Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}"));
        let apart = apart_on(&plan, &images(&plan, shape), None, &State::default());
        assert!(apart < 1e-4, "{model} {shape:?}: {apart}");
    }
}
