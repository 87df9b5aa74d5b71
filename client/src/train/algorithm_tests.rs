//! Rounds with algorithms against a naive loop in f64 that knows only definitions: the objective is written out sample by
//! sample, its gradient is a difference quotient, and each algorithm is the line of its paper.

use std::ops::ControlFlow;
use std::sync::Arc;

use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::Plan;
use synod_common::random::{Purpose, stream};
use synod_common::state::State;

use super::order::Order;
use super::{Assignment, TrainError, Trained, Trainer};
use crate::catalogue::Zoo;
use crate::data::{Dataset, Inputs, SiteData};
use crate::device::DeviceChoice;

const CLIENT: ClientId = ClientId([7; 16]);
const ROUND: RoundId = RoundId(1);
const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const CLASSES: usize = 4;
const PARAMETERS: usize = INPUTS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES;
const SAMPLES: usize = 12;
const LR: f64 = 0.5;

fn plan(train: &str) -> Plan {
    let text = format!(
        "model = {{ mlp = {{ hidden = [{HIDDEN}], activation = \"tanh\" }} }}\n[task.classification]\nclasses = {CLASSES}\n\
         [data]\nholdout = 0.0\n[data.source.npz]\nfile = \"x.npz\"\nshape = [{INPUTS}]\n\
         [aggregate.strategy.fedavg]\nweighting = \"uniform\"\n\
         [train]\nsteps = 3\nbatch = 6\noptimiser = {{ sgd = {{ lr = {LR} }} }}\n{train}"
    );
    Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}"))
}

/// Waves with a phase of their own.
fn wave(length: usize, phase: f32, scale: f32) -> Vec<f32> {
    (0..length).map(|i| (i as f32 * 1.3 + phase).sin() * scale).collect()
}

/// Twelve samples of the classes 0, 1 and 2, in numbers 6, 4 and 2; class 3 is absent.
fn label(row: usize) -> usize {
    [0, 1, 0, 1, 0, 2][row % 6]
}

fn site(plan: &Plan) -> SiteData {
    let labels = (0..SAMPLES).map(|row| label(row) as u32).collect::<Vec<_>>();
    let dataset = Dataset::new(Inputs::F32(wave(SAMPLES * INPUTS, 0.4, 1.0)), labels, vec![INPUTS]).unwrap();
    SiteData::for_site(plan, CLIENT, Arc::new(dataset), (0..SAMPLES as u32).collect(), None, None).unwrap()
}

fn global() -> Vec<f32> {
    wave(PARAMETERS, 0.0, 0.6)
}

fn previous() -> Vec<f32> {
    wave(PARAMETERS, 2.0, 0.7)
}

/// One round with what the site may bring along.
fn train(train: &str, control: Option<&[f32]>, state: &State) -> (Trained, Vec<f32>) {
    let plan = plan(train);
    let trainer = Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap();
    let (model, mut delta) = (global(), vec![0.0; PARAMETERS]);
    let task = Assignment { round: ROUND, client: CLIENT, model: &model, extra: control, state };
    let trained = trainer.train(&task, &site(&plan), &mut delta, &mut |_| ControlFlow::Continue(())).unwrap();
    (trained, delta)
}

/// Features and logits of one sample.
fn forward(w: &[f64], x: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (w1, rest) = w.split_at(INPUTS * HIDDEN);
    let (b1, rest) = rest.split_at(HIDDEN);
    let (w2, b2) = rest.split_at(HIDDEN * CLASSES);
    let hidden = |h: usize| (b1[h] + (0..INPUTS).map(|i| f64::from(x[i]) * w1[i * HIDDEN + h]).sum::<f64>()).tanh();
    let features: Vec<f64> = (0..HIDDEN).map(hidden).collect();
    let logit = |c: usize| b2[c] + (0..HIDDEN).map(|h| features[h] * w2[h * CLASSES + c]).sum::<f64>();
    let logits = (0..CLASSES).map(logit).collect();
    (features, logits)
}

fn softmax(logits: impl Iterator<Item = f64>) -> Vec<f64> {
    let exps: Vec<f64> = logits.map(f64::exp).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// What the oracle is to add to cross-entropy.
#[derive(Clone, Copy, Default)]
struct Added {
    margin: f64,
    fedlc: f64,
    fedntd: f64,
    feddecorr: f64,
    moon: f64,
    rho: f64,
    pull: f64,
    clip: Option<f64>,
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn objective(w: &[f64], batch: &[(Vec<f32>, usize)], added: &Added) -> f64 {
    let n = batch.len() as f64;
    let counts: [f64; CLASSES] = [6.0, 4.0, 2.0, 1e-8];
    let (mut loss, mut squares) = (0.0, 0.0);
    let mut all_features = Vec::new();
    for (x, y) in batch {
        let (features, logits) = forward(w, x);
        let p = softmax((0..CLASSES).map(|c| logits[c] - added.fedlc * counts[c].powf(-0.25)));
        loss -= p[*y].ln() / n;
        squares += p.iter().map(|p| p * p).sum::<f64>();
        let not_true = |logits: &[f64]| softmax((0..CLASSES).filter(|c| c != y).map(|c| logits[c] / 2.0));
        let (global_features, global_logits) = forward(&widen(&global()), x);
        let kl = not_true(&global_logits).iter().zip(not_true(&logits)).map(|(g, l)| g * (g / l).ln()).sum::<f64>();
        loss += added.fedntd * 4.0 * kl / n;
        let near = |other: &[f64]| (cosine(&features, other) / 0.5).exp();
        let (g, p) = (near(&global_features), near(&forward(&widen(&previous()), x).0));
        loss -= added.moon * (g / (g + p)).ln() / n;
        all_features.push(features);
    }
    loss += added.margin * (1.0 + squares).ln();
    let mean = |f: &dyn Fn(&Vec<f64>) -> f64| all_features.iter().map(f).sum::<f64>() / n;
    let means: Vec<f64> = (0..HIDDEN).map(|i| mean(&|f| f[i])).collect();
    let covariance = |i: usize, j: usize| mean(&|f| (f[i] - means[i]) * (f[j] - means[j]));
    for i in 0..HIDDEN {
        for j in 0..HIDDEN {
            let k = covariance(i, j).powi(2) / ((covariance(i, i) + 1e-8) * (covariance(j, j) + 1e-8));
            loss += added.feddecorr * k / (HIDDEN * HIDDEN) as f64;
        }
    }
    loss
}

fn gradient(w: &[f64], batch: &[(Vec<f32>, usize)], added: &Added) -> Vec<f64> {
    let at = |i: usize, by: f64| {
        let mut moved = w.to_vec();
        moved[i] += by;
        objective(&moved, batch, added)
    };
    (0..PARAMETERS).map(|i| (at(i, 1e-5) - at(i, -1e-5)) / 2e-5).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Three steps; the delta.
fn oracle(added: &Added, offset: &[f64]) -> Vec<f64> {
    let plan = plan("");
    let site = site(&plan);
    let start = widen(&global());
    let mut w = start.clone();
    let mut order = Order::new(SAMPLES as u32, 6, stream(plan.seed, ROUND, CLIENT, Purpose::Shuffle));
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        site.train.gather(order.next_batch(), &mut inputs, &mut labels);
        let batch: Vec<_> =
            inputs.chunks(INPUTS).map(<[f32]>::to_vec).zip(labels.iter().map(|y| *y as usize)).collect();
        let mut g = gradient(&w, &batch, added);
        if added.rho > 0.0 {
            let length = norm(&g);
            let worst: Vec<f64> = w.iter().zip(&g).map(|(w, g)| w + added.rho * g / length).collect();
            g = gradient(&worst, &batch, added);
        }
        for (i, g) in g.iter_mut().enumerate() {
            *g += offset[i] + added.pull * (w[i] - start[i]);
        }
        let shorter = added.clip.map_or(1.0, |clip| (clip / norm(&g)).min(1.0));
        for (w, g) in w.iter_mut().zip(g) {
            *w -= LR * shorter * g;
        }
    }
    w.iter().zip(start).map(|(w, start)| w - start).collect()
}

fn assert_near(what: &str, found: &[f32], expected: &[f64]) {
    assert!(norm(expected) > 0.1, "{what}: something was learned");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() < 2e-5, "{what}, parameter {i}: {found} {expected}");
    }
}

const NONE: [f64; PARAMETERS] = [0.0; PARAMETERS];

#[test]
fn each_algorithm_and_all_together_equal_the_naive_loop() {
    let mut kept = State::default();
    kept.set_vector("moon.previous", previous());
    let plain = Added::default();
    let cases = [
        ("fedavg", "", plain),
        ("fedprox", "algorithm = { fedprox = { mu = 0.8 } }", Added { pull: 0.8, ..plain }),
        ("clip", "clip_norm = 0.3", Added { clip: Some(0.3), ..plain }),
        ("fedlc", "algorithm = { fedlc = { tau = 0.7 } }", Added { fedlc: 0.7, ..plain }),
        ("fedntd", "algorithm = { fedntd = { beta = 0.6, tau = 2.0 } }", Added { fedntd: 0.6, ..plain }),
        ("fedsam", "algorithm = { fedsam = { rho = 0.4 } }", Added { rho: 0.4, ..plain }),
        ("feddecorr", "algorithm = { feddecorr = { beta = 0.9 } }", Added { feddecorr: 0.9, ..plain }),
        ("moon", "algorithm = { moon = { mu = 0.8, tau = 0.5 } }", Added { moon: 0.8, ..plain }),
        (
            "all",
            "clip_norm = 0.9\nmargin_control = { lambda = 0.2 }\nalgorithm = { fedprox = { mu = 0.3 }, fedlc = { tau = 0.5 }, \
             fedntd = { beta = 0.4, tau = 2.0 }, fedsam = { rho = 0.1 }, feddecorr = { beta = 0.2 }, moon = { mu = 0.3 } }",
            Added {
                margin: 0.2,
                fedlc: 0.5,
                fedntd: 0.4,
                feddecorr: 0.2,
                moon: 0.3,
                rho: 0.1,
                pull: 0.3,
                clip: Some(0.9),
            },
        ),
    ];
    let (_, fedavg) = train("", None, &State::default());
    for (name, options, added) in cases {
        let (_, delta) = train(options, None, &kept);
        assert_near(name, &delta, &oracle(&added, &NONE));
        assert_eq!(name == "fedavg", delta == fedavg, "{name} changes something");
    }
}

#[test]
fn scaffold_equals_algorithm_1() {
    let (c, own) = (wave(PARAMETERS, 0.9, 0.05), wave(PARAMETERS, 1.7, 0.04));
    let mut kept = State::default();
    kept.set_vector("scaffold.control", own.clone());
    let (trained, delta) = train("algorithm = { scaffold = {} }", Some(&c), &kept);
    let offset: Vec<f64> = c.iter().zip(&own).map(|(c, own)| f64::from(*c) - f64::from(*own)).collect();
    let expected = oracle(&Added::default(), &offset);
    assert_near("scaffold", &delta, &expected);
    let (change, after) = (trained.extra.unwrap(), trained.state);
    for i in 0..PARAMETERS {
        // c_i - c + (x - y) / (K eta), less c_i.
        let moved = -f64::from(c[i]) - expected[i] / (3.0 * LR);
        assert!((f64::from(change[i]) - moved).abs() < 2e-5, "{i}");
        let found = f64::from(after.vector("scaffold.control").unwrap()[i]);
        assert!((found - (f64::from(own[i]) + moved)).abs() < 2e-5, "{i}");
    }
}

#[test]
fn feddyn_equals_algorithm_1() {
    let before = wave(PARAMETERS, 0.3, 0.05);
    let mut kept = State::default();
    kept.set_vector("feddyn.gradient", before.clone());
    let (trained, delta) = train("algorithm = { feddyn = { alpha = 0.2 } }", None, &kept);
    let offset: Vec<f64> = before.iter().map(|g| -f64::from(*g)).collect();
    let expected = oracle(&Added { pull: 0.2, ..Added::default() }, &offset);
    assert_near("feddyn", &delta, &expected);
    let after = trained.state;
    for (i, found) in after.vector("feddyn.gradient").unwrap().iter().enumerate() {
        assert!((f64::from(*found) - (f64::from(before[i]) - 0.2 * expected[i])).abs() < 2e-5, "{i}");
    }
    assert!(trained.extra.is_none(), "the coordinator has all it needs in the delta");
}

/// A strength of 0, a first round and a norm that nothing reaches are FedAvg to the bit.
#[test]
fn what_adds_nothing_changes_no_bit() {
    let bits = |(_, delta): (Trained, Vec<f32>)| delta.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let nothing = State::default();
    let fedavg = bits(train("", None, &nothing));
    for options in [
        "algorithm = { fedprox = { mu = 0.0 } }",
        "algorithm = { fedlc = { tau = 0.0 } }",
        "algorithm = { fedntd = { beta = 0.0 } }",
        "algorithm = { fedsam = { rho = 0.0 } }",
        "algorithm = { feddecorr = { beta = 0.0 } }",
        "algorithm = { moon = { mu = 0.0 } }",
        "clip_norm = 1000.0",
    ] {
        assert_eq!(bits(train(options, None, &nothing)), fedavg, "{options}");
    }
    let zero = vec![0.0; PARAMETERS];
    assert_eq!(bits(train("algorithm = { scaffold = {} }", Some(&zero), &nothing)), fedavg, "the first round");
    // FedDyn's first round at a site is FedProx with the same strength.
    let fedprox = bits(train("algorithm = { fedprox = { mu = 0.2 } }", None, &nothing));
    assert_eq!(bits(train("algorithm = { feddyn = { alpha = 0.2 } }", None, &nothing)), fedprox);
}

#[test]
fn scaffold_without_its_control_variate_is_an_error() {
    let plan = plan("algorithm = { scaffold = {} }");
    let trainer = Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap();
    let (model, state, mut delta) = (global(), State::default(), vec![0.0; PARAMETERS]);
    let task = Assignment { round: ROUND, client: CLIENT, model: &model, extra: None, state: &state };
    let result = trainer.train(&task, &site(&plan), &mut delta, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(result, Err(TrainError::State { name: "control", found: 0, .. })), "{result:?}");
}
