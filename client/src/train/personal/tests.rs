//! Personal models against a network written out in f64, and the identities between methods.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use synod_common::extra::ClassStatistics;
use synod_common::ids::{ClientId, RoundId};
use synod_common::metrics::Metrics;
use synod_common::plan::Plan;
use synod_common::random::{Purpose, stream};
use synod_common::state::State;

use super::super::order::Order;
use super::super::{Assignment, TrainError, Trained, Trainer};
use crate::catalogue::Zoo;
use crate::data::{self, SiteData};
use crate::device::DeviceChoice;

const CLIENT: ClientId = ClientId([5; 16]);
const LR: f64 = 0.2;
/// A network of 64 inputs, 5 tanh units and 10 classes, and where its head begins in the flat model.
const MLP: &str = "{ mlp = { hidden = [5], activation = \"tanh\" } }";
const HEAD: usize = 64 * 5 + 5;
const ALL: usize = HEAD + 5 * 10 + 10;

fn plan(model: &str, personal: &str, train: &str) -> Plan {
    let text = format!(
        "model = {model}\nrounds = 3\n{personal}\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n\
         holdout = 0.3\n[train]\nbatch = 8\n{train}"
    );
    Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}"))
}

/// A site's view of a plan.
struct Site {
    plan: Plan,
    trainer: Trainer,
    data: SiteData,
}

impl Site {
    fn new(model: &str, personal: &str, train: &str) -> Self {
        let plan = plan(model, personal, train);
        let loaded = data::load(&plan, Path::new(".")).unwrap();
        let data = SiteData::for_site(&plan, CLIENT, loaded.train, (0..40).collect(), None, None).unwrap();
        let trainer = Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap();
        Self { plan, trainer, data }
    }

    /// The network above with plain steps.
    fn small(personal: &str, train: &str) -> Self {
        Self::new(MLP, personal, &format!("optimiser = {{ sgd = {{ lr = {LR} }} }}\n{train}"))
    }

    fn task<'a>(round: u64, model: &'a [f32], state: &'a State) -> Assignment<'a> {
        Assignment { round: RoundId(round), client: CLIENT, model, extra: None, state }
    }

    fn train(&self, round: u64, model: &[f32], state: &State) -> (Trained, Vec<f32>) {
        let mut delta = vec![f32::NAN; model.len()];
        let mut watch = |_| ControlFlow::Continue(());
        let trained = self.trainer.train(&Self::task(round, model, state), &self.data, &mut delta, &mut watch).unwrap();
        (trained, delta)
    }

    fn answer(&self, round: u64, model: &[f32], state: &State) -> Metrics {
        self.trainer.evaluate_at_site(&Self::task(round, model, state), &self.data).unwrap().unwrap()
    }

    fn metrics(&self, model: &[f32]) -> Metrics {
        self.trainer.evaluate(model, self.data.holdout.as_ref().unwrap()).unwrap().metrics
    }

    /// The batches of `steps` steps of a round.
    fn batches(&self, round: u64, purpose: Purpose, steps: usize) -> Vec<(Vec<f32>, Vec<i64>)> {
        let rng = stream(self.plan.seed, RoundId(round), CLIENT, purpose);
        let mut order = Order::new(self.data.train.len() as u32, 8, rng);
        let batch = |_| {
            let (mut inputs, mut labels) = (Vec::new(), Vec::new());
            self.data.train.gather(order.next_batch(), &mut inputs, &mut labels);
            (inputs, labels)
        };
        (0..steps).map(batch).collect()
    }

    /// Steps of a pass.
    fn pass(&self) -> usize {
        self.data.train.len().div_ceil(8)
    }
}

/// A model whose values follow no pattern.
fn numbers(phase: f32) -> Vec<f32> {
    (0..ALL).map(|i| ((i as f32) * 12.9898 + phase).sin() * 0.3).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// The gradient of the mean cross-entropy of the small network, value by value.
fn gradient(w: &[f64], (inputs, labels): &(Vec<f32>, Vec<i64>)) -> Vec<f64> {
    let (first, second) = (|i: usize, h: usize| i * 5 + h, |h: usize, c: usize| HEAD + h * 10 + c);
    let mut gradient = vec![0.0; ALL];
    let share = 1.0 / labels.len() as f64;
    for (x, label) in inputs.chunks(64).zip(labels) {
        let hidden: Vec<f64> = (0..5)
            .map(|h| ((0..64).map(|i| f64::from(x[i]) * w[first(i, h)]).sum::<f64>() + w[320 + h]).tanh())
            .collect();
        let logits: Vec<f64> =
            (0..10).map(|c| (0..5).map(|h| hidden[h] * w[second(h, c)]).sum::<f64>() + w[HEAD + 50 + c]).collect();
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        for c in 0..10 {
            let error = share * (logits[c].exp() / total - f64::from(u8::from(c as i64 == *label)));
            gradient[HEAD + 50 + c] += error;
            for h in 0..5 {
                gradient[second(h, c)] += error * hidden[h];
                let back = error * w[second(h, c)] * (1.0 - hidden[h] * hidden[h]);
                gradient[320 + h] += back;
                for i in 0..64 {
                    gradient[first(i, h)] += back * f64::from(x[i]);
                }
            }
        }
    }
    gradient
}

fn assert_near(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() < 5e-6, "{what}: value {at}: {found} {expected}");
    }
}

fn moved(model: &[f32], delta: &[f32]) -> Vec<f32> {
    model.iter().zip(delta).map(|(model, delta)| model + delta).collect()
}

#[test]
fn fedrep_trains_the_head_first_and_the_body_after_it() {
    let site = Site::small("personal = { fedrep = { head_epochs = 2 } }", "steps = 3");
    let mut state = State::default();
    let mut head: Option<Vec<f64>> = None;
    for round in [1, 2] {
        let model = numbers(round as f32);
        let mut w = wide(&model);
        if let Some(head) = &head {
            w[HEAD..].copy_from_slice(head);
        }
        let head_steps = 2 * site.pass();
        for (step, batch) in site.batches(round, Purpose::Shuffle, head_steps + 3).iter().enumerate() {
            let moves = if step < head_steps { HEAD..ALL } else { 0..HEAD };
            let gradient = gradient(&w, batch);
            moves.for_each(|i| w[i] -= LR * gradient[i]);
        }
        let (trained, delta) = site.train(round, &model, &state);
        let body: Vec<f64> = w.iter().zip(&model).map(|(w, m)| w - f64::from(*m)).take(HEAD).collect();
        assert_near(&delta[..HEAD], &body, "body");
        assert!(delta[HEAD..].iter().all(|v| v.to_bits() == 0), "nothing of the head leaves the site");
        assert_near(trained.state.vector("personal.blocks").unwrap(), &w[HEAD..], "head");
        assert_eq!(trained.steps, 3, "steps of the shared part");
        let all: Vec<f32> = w.iter().map(|w| *w as f32).collect();
        let (found, expected) = (trained.after.unwrap().get("loss").unwrap(), site.metrics(&all).get("loss").unwrap());
        assert!((found - expected).abs() < 1e-5, "the site measures body and head together");
        head = Some(w[HEAD..].to_vec());
        state = trained.state;
    }
}

/// The oracle is a plain trainer that gets the site's blocks put in by hand.
#[test]
fn blocks_that_stay_are_trained_by_the_site_and_never_sent() {
    let norm = "{ resnet8 = { width = 8 } }";
    let cases = [
        (norm, "personal = \"fedbn\"", "norm"),
        (norm, "personal = { blocks = { keep = [\"*.norm.*\"] } }", "norm"),
        (MLP, "personal = \"fedper\"", "layers.1"),
        (MLP, "personal = { blocks = { keep = [\"layers.0.bias\"] } }", "layers.0.bias"),
    ];
    for (model, personal, part) in cases {
        let options = "steps = 2\noptimiser = { adam_w = { lr = 0.01 } }\nalgorithm = { fedprox = { mu = 0.1 } }";
        let (site, plain) = (Site::new(model, personal, options), Site::new(model, "", options));
        let layout = site.trainer.layout().clone();
        let local: Vec<bool> = layout
            .ranges()
            .flat_map(|(block, range)| range.map(|_| block.name.contains(part)).collect::<Vec<_>>())
            .collect();
        assert!(local.contains(&true) && local.contains(&false));
        let (mut state, mut own) = (State::default(), site.trainer.initial());
        for round in [1, 2] {
            let mut model = site.trainer.initial();
            model.iter_mut().enumerate().for_each(|(i, v)| *v += (round as f32 * i as f32).sin() * 0.01);
            let choose = |a: &[f32], b: &[f32]| -> Vec<f32> {
                local.iter().enumerate().map(|(i, local)| if *local { a[i] } else { b[i] }).collect()
            };
            let start = if round == 1 { model.clone() } else { choose(&own, &model) };
            let (trained, delta) = site.train(round, &model, &state);
            let (expected, expected_delta) = plain.train(round, &start, &State::default());
            assert_eq!(delta, choose(&vec![0.0; delta.len()], &expected_delta), "{personal}, round {round}");
            assert_eq!((&trained.before, &trained.after), (&expected.before, &expected.after), "{personal}");
            let kept = trained.state.vector("personal.blocks").unwrap();
            let mut values = kept.iter();
            own = local.iter().map(|local| if *local { *values.next().unwrap() } else { f32::NAN }).collect();
            let by_hand = moved(&start, &expected_delta);
            let by_hand: Vec<f32> = by_hand.iter().zip(&local).filter_map(|(v, local)| local.then_some(*v)).collect();
            assert_near(kept, &wide(&by_hand), personal);
            assert_eq!(site.answer(round, &model, &trained.state), plain.metrics(&choose(&own, &model)), "{personal}");
            state = trained.state;
        }
    }
}

#[test]
fn fedbabu_leaves_the_head_alone_and_fine_tunes_before_it_measures() {
    let optimiser = "optimiser = { sgd = { lr = 0.1, momentum = 0.9, weight_decay = 0.1 } }\nsteps = 4";
    let (_, delta) = Site::new(MLP, "personal = \"fedbabu\"", optimiser).train(1, &numbers(1.0), &State::default());
    assert!(delta[HEAD..].iter().all(|v| *v == 0.0), "neither momentum nor weight decay moves it");
    assert!(delta[..HEAD].iter().all(|v| *v != 0.0));

    let model = numbers(2.0);
    for (method, moves, range) in [("fedbabu", "head", HEAD..ALL), ("fine_tune", "all", 0..ALL)] {
        let personal = format!("personal = {{ {method} = {{ epochs = 2, moves = \"{moves}\" }} }}");
        let site = Site::small(&personal, "steps = 3");
        let mut w = wide(&model);
        for batch in site.batches(2, Purpose::Personal, 2 * site.pass()) {
            let gradient = gradient(&w, &batch);
            range.clone().for_each(|i| w[i] -= LR * gradient[i]);
        }
        let tuned: Vec<f32> = w.iter().map(|w| *w as f32).collect();
        let (found, expected) = (site.answer(2, &model, &State::default()), site.metrics(&tuned));
        assert!((found.get("loss").unwrap() - expected.get("loss").unwrap()).abs() < 1e-5, "{method}");
        assert_eq!(site.train(2, &model, &State::default()).0.before, Some(found));
    }
}

#[test]
fn fine_tuning_changes_no_update_and_none_is_the_received_model() {
    let (model, empty) = (numbers(1.0), State::default());
    let plain = Site::small("", "steps = 3").train(1, &model, &empty);
    let tuned = Site::small("personal = { fine_tune = { epochs = 3 } }", "steps = 3").train(1, &model, &empty);
    assert_eq!(tuned.1, plain.1);
    assert_ne!(tuned.0.before, plain.0.before);
    let none = Site::small("personal = { fine_tune = { epochs = 0 } }", "steps = 3").train(1, &model, &empty);
    assert_eq!((none.0.before, none.0.after, none.1), (plain.0.before, plain.0.after, plain.1));
}

#[test]
fn ditto_trains_a_second_model_that_is_pulled_to_the_received_one() {
    let lambda = 0.7;
    let site = Site::small("personal = { ditto = { lambda = 0.7, epochs = 2 } }", "steps = 3");
    let plain = Site::small("", "steps = 3");
    let mut state = State::default();
    let mut v = wide(&numbers(1.0));
    for round in [1, 2] {
        let model = numbers(round as f32);
        let (trained, delta) = site.train(round, &model, &state);
        assert_eq!(delta, plain.train(round, &model, &State::default()).1, "the shared model does not notice");
        for batch in site.batches(round, Purpose::Personal, 2 * site.pass()) {
            let gradient = gradient(&v, &batch);
            for ((v, g), w) in v.iter_mut().zip(gradient).zip(&model) {
                *v -= LR * (g + lambda * (*v - f64::from(*w)));
            }
        }
        let own = trained.state.vector("personal.model").unwrap();
        assert_near(own, &v, "v");
        assert_eq!(trained.after.unwrap(), site.metrics(own));
        assert_eq!(site.answer(round, &model, &trained.state), site.metrics(own));
        state = trained.state;
    }
}

#[test]
fn apfl_trains_its_model_as_a_part_of_the_mixture_and_moves_alpha_once_a_round() {
    for adapt in [false, true] {
        let personal = format!("personal = {{ apfl = {{ alpha = 0.3, adapt = {adapt} }} }}");
        let (site, plain) = (Site::small(&personal, "steps = 3"), Site::small("", "steps = 3"));
        let mut state = State::default();
        let (mut v, mut alpha) = (wide(&numbers(1.0)), 0.3);
        for round in [1, 2] {
            let model = numbers(round as f32);
            let mut w = wide(&model);
            for (step, batch) in site.batches(round, Purpose::Shuffle, 3).iter().enumerate() {
                let mix: Vec<f64> = v.iter().zip(&w).map(|(v, w)| alpha * v + (1.0 - alpha) * w).collect();
                let (of_mix, of_w) = (gradient(&mix, batch), gradient(&w, batch));
                let slope: f64 = v.iter().zip(&w).zip(&of_mix).map(|((v, w), g)| (v - w) * g).sum();
                for i in 0..ALL {
                    v[i] -= LR * alpha * of_mix[i];
                    w[i] -= LR * of_w[i];
                }
                if adapt && step == 0 {
                    alpha = (alpha - LR * slope).clamp(0.0, 1.0);
                }
            }
            let (trained, delta) = site.train(round, &model, &state);
            assert_eq!(delta, plain.train(round, &model, &State::default()).1, "the shared model does not notice");
            assert_near(trained.state.vector("personal.model").unwrap(), &v, "v");
            let found = trained.state.number("personal.alpha");
            assert_eq!(found.is_some(), adapt);
            assert!((found.unwrap_or(0.3) - alpha).abs() < 1e-6, "{found:?} {alpha}");
            let mix: Vec<f32> = v.iter().zip(&w).map(|(v, w)| (alpha * v + (1.0 - alpha) * w) as f32).collect();
            let (after, expected) = (trained.after.unwrap(), site.metrics(&mix));
            assert!((after.get("loss").unwrap() - expected.get("loss").unwrap()).abs() < 1e-5);
            state = trained.state;
        }
        assert!(!adapt || (alpha - 0.3).abs() > 1e-4, "alpha has moved: {alpha}");
    }
}

#[test]
fn the_ends_of_apfl_are_the_shared_model_and_training_alone() {
    let train = "steps = 3\noptimiser = { sgd = { lr = 0.1, momentum = 0.9 } }";
    let plain = Site::new(MLP, "", train);
    let shared = Site::new(MLP, "personal = { apfl = { alpha = 0.0 } }", train);
    let alone = Site::new(MLP, "personal = { apfl = { alpha = 1.0 } }", train);
    let (model, other) = (numbers(1.0), numbers(2.0));
    let first = alone.train(1, &model, &State::default()).0.state;
    let by_hand = moved(&model, &plain.train(1, &model, &State::default()).1);
    assert_near(first.vector("personal.model").unwrap(), &wide(&by_hand), "first round");
    // What the others did to the shared model does not reach it.
    let second = alone.train(2, &other, &first).0.state;
    let by_hand = moved(&by_hand, &plain.train(2, &by_hand, &State::default()).1);
    assert_near(second.vector("personal.model").unwrap(), &wide(&by_hand), "second round");
    let kept = shared.train(1, &model, &State::default()).0.state;
    assert_eq!(shared.answer(2, &other, &kept), plain.metrics(&other));
}

#[test]
fn what_is_kept_survives_a_round_without_training_and_its_form_on_disk() {
    for personal in ["personal = \"fedper\"", "personal = \"ditto\"", "personal = { apfl = { adapt = true } }"] {
        let (site, model) = (Site::small(personal, "epochs = 1"), numbers(1.0));
        let kept = site.train(1, &model, &State::default()).0.state;
        assert!(site.trainer.keeps_state());
        let read = State::from_bytes(&kept.to_bytes(), ALL).unwrap();
        assert_eq!(read, kept);
        let empty = personal.replace("\"ditto\"", "{ ditto = { epochs = 0 } }");
        let idle = Site::small(&empty, "epochs = 0").train(2, &numbers(2.0), &read);
        assert!(idle.1.iter().all(|v| *v == 0.0));
        assert_eq!(idle.0.state.vectors().collect::<Vec<_>>(), kept.vectors().collect::<Vec<_>>(), "{personal}");
    }
}

#[test]
fn what_belongs_to_another_model_is_refused() {
    let mut state = State::default();
    state.set_vector("personal.model", vec![0.0; 3]);
    state.set_vector("personal.blocks", vec![0.0; 3]);
    let model = numbers(1.0);
    for personal in ["\"fedper\"", "\"ditto\"", "\"apfl\""] {
        let site = Site::small(&format!("personal = {personal}"), "steps = 1");
        let task = Site::task(1, &model, &state);
        let mut delta = vec![0.0; ALL];
        let result = site.trainer.train(&task, &site.data, &mut delta, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(result, Err(TrainError::State { found: 3, .. })), "{personal}");
        assert!(matches!(site.trainer.evaluate_at_site(&task, &site.data), Err(TrainError::State { found: 3, .. })));
    }
    let plan = plan(MLP, "personal = { blocks = { keep = [\"fc.*\"] } }", "");
    let refused = Trainer::new(Arc::new(plan), &DeviceChoice::Cpu);
    assert!(matches!(refused, Err(TrainError::NoBlock { names }) if names.contains("layers.1.bias")));
}

/// A guide: the head of `model`, all centroids known and as `numbers` go.
fn guide(model: &[f32]) -> Vec<f32> {
    let mut guide = model[HEAD..].to_vec();
    guide.extend([1.0; 10]);
    guide.extend(numbers(4.0).into_iter().take(50));
    guide
}

/// A round of FedPAC that began with `model` and `extra`.
fn guided(site: &Site, model: &[f32], extra: &[f32]) -> (Trained, Vec<f32>) {
    let (nothing, mut delta) = (State::default(), vec![f32::NAN; ALL]);
    let task = Assignment { extra: Some(extra), ..Site::task(1, model, &nothing) };
    let trained = site.trainer.train(&task, &site.data, &mut delta, &mut |_| ControlFlow::Continue(())).unwrap();
    (trained, delta)
}

#[test]
fn fedpac_trains_the_head_then_the_aligned_body() {
    let site = Site::small("personal = { fedpac = { lambda = 2.0, head_epochs = 1 } }", "epochs = 1");
    let (received, own) = (numbers(0.0), numbers(1.0));
    let extra = guide(&own);
    let (trained, delta) = guided(&site, &received, &extra);
    let mut w = wide(&received);
    w[HEAD..].copy_from_slice(&wide(&own[HEAD..]));
    let centroids = wide(&extra[ALL - HEAD + 10..]);
    let pass = site.pass();
    for (step, batch) in site.batches(1, Purpose::Shuffle, 2 * pass).iter().enumerate() {
        let of_head = step < pass;
        let mut slope = gradient(&w, batch);
        if !of_head {
            // 2 lambda / (n d) (f - c), through tanh.
            for (x, label) in batch.0.chunks(64).zip(&batch.1) {
                for h in 0..5 {
                    let sum: f64 = (0..64).map(|i| f64::from(x[i]) * w[i * 5 + h]).sum();
                    let f = (sum + w[320 + h]).tanh();
                    let apart = f - centroids[*label as usize * 5 + h];
                    let back = 2.0 * 2.0 / (batch.1.len() * 5) as f64 * apart * (1.0 - f * f);
                    slope[320 + h] += back;
                    (0..64).for_each(|i| slope[i * 5 + h] += back * f64::from(x[i]));
                }
            }
        }
        let moved = if of_head { HEAD..ALL } else { 0..HEAD };
        moved.for_each(|at| w[at] -= LR * slope[at]);
    }
    for (at, delta) in delta.iter().enumerate() {
        let expected = w[at] - f64::from(received[at]);
        assert!((f64::from(*delta) - expected).abs() < 2e-5, "{at}: {delta} {expected}");
    }
    assert_eq!(trained.steps, pass as u64, "steps of the shared body");
    assert!(trained.state.is_empty(), "nothing stays at the site");
    let head = site.trainer.layout().head().unwrap();
    let values = trained.extra.unwrap();
    let told = ClassStatistics::read(&values, &head).unwrap();
    let counts = site.data.train.class_counts(10);
    let share = |class: usize| counts[class] as f32 / site.data.train.len() as f32;
    assert!((0..10).all(|class| (told.shares[class] - share(class)).abs() < 1e-6));
    assert!(told.variance > 0.0);
}

#[test]
fn fedpac_answers_with_its_own_head_and_needs_its_guide() {
    let site = Site::small("personal = \"fedpac\"", "epochs = 1");
    let (received, own, nothing) = (numbers(0.0), numbers(1.0), State::default());
    let extra = guide(&own);
    let mut mine = received.clone();
    mine[HEAD..].copy_from_slice(&own[HEAD..]);
    let task = Assignment { extra: Some(&extra), ..Site::task(1, &received, &nothing) };
    assert_eq!(site.trainer.evaluate_at_site(&task, &site.data).unwrap(), Some(site.metrics(&mine)));
    let (trained, delta) = guided(&site, &received, &extra);
    assert_eq!(trained.before, Some(site.metrics(&mine)));
    let after: Vec<f32> = received.iter().zip(&delta).map(|(received, delta)| received + delta).collect();
    let (found, expected) = (trained.after.unwrap(), site.metrics(&after));
    assert!((found.get("loss").unwrap() - expected.get("loss").unwrap()).abs() < 1e-5);
    for bad in [None, Some(&extra[1..])] {
        let task = Assignment { extra: bad, ..task };
        let refused = site.trainer.train(&task, &site.data, &mut vec![0.0; ALL], &mut |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(TrainError::State { name: "guide", .. })), "{refused:?}");
    }
}

#[test]
fn fedpac_without_alignment_is_fedrep_from_the_head_it_was_given() {
    let (received, own) = (numbers(0.0), numbers(1.0));
    let pac = Site::small("personal = { fedpac = { lambda = 0.0, head_epochs = 2 } }", "epochs = 1");
    let rep = Site::small("personal = { fedrep = { head_epochs = 2 } }", "epochs = 1");
    let mut kept = State::default();
    kept.set_vector("personal.blocks", own[HEAD..].to_vec());
    let (of_rep, body) = rep.train(1, &received, &kept);
    let (_, delta) = guided(&pac, &received, &guide(&own));
    assert_eq!(delta[..HEAD], body[..HEAD], "to the bit");
    let head = of_rep.state.vector("personal.blocks").unwrap();
    let difference: Vec<f32> = head.iter().zip(&received[HEAD..]).map(|(head, received)| head - received).collect();
    assert_eq!(delta[HEAD..], difference);
    // No centroid is known in the first round: nothing to align with.
    let aligned = Site::small("personal = { fedpac = { lambda = 3.0, head_epochs = 2 } }", "epochs = 1");
    let mut first = guide(&own);
    first[ALL - HEAD..][..10].fill(0.0);
    assert_eq!(guided(&aligned, &received, &first).1, delta);
    assert_ne!(guided(&aligned, &received, &guide(&own)).1, delta);
}
