//! Whole rounds of local training against arithmetic written out, and their independence from everything around them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{Optimiser, Plan, Task};
use synod_common::random::{Purpose, stream};
use synod_common::state::State;

use super::order::Order;
use super::{Assignment, StepReport, TrainError, Trained, Trainer};
use crate::catalogue::Zoo;
use crate::data::{self, Dataset, Inputs, Matrix, SiteData, Targets};
use crate::device::DeviceChoice;

const CLIENT: ClientId = ClientId([3; 16]);
const ROUND: RoundId = RoundId(1);

/// Training on `model` in the first round of a site that keeps nothing.
pub(super) fn task(model: &[f32]) -> Assignment<'_> {
    static NOTHING: LazyLock<State> = LazyLock::new(State::default);
    Assignment { round: ROUND, client: CLIENT, model, extra: None, state: &NOTHING }
}

pub(super) fn plan(model: &str, train: &str) -> Plan {
    let text = format!(
        "model = {model}\nrounds = 2\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[train]\n{train}"
    );
    Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn trainer(plan: &Plan) -> Trainer {
    Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap()
}

/// The first `samples` digits as one site's data.
pub(super) fn digits(plan: &Plan, samples: u32) -> SiteData {
    let loaded = data::load(plan, Path::new(".")).unwrap();
    SiteData::for_site(plan, CLIENT, loaded.train, (0..samples).collect(), None, None).unwrap()
}

fn train(trainer: &Trainer, site: &SiteData, global: &[f32]) -> (Trained, Vec<f32>) {
    let mut delta = vec![f32::NAN; global.len()];
    let trained = trainer.train(&task(global), site, &mut delta, &mut |_| ControlFlow::Continue(())).unwrap();
    (trained, delta)
}

#[test]
fn without_epochs_the_delta_is_zero_and_the_metrics_are_those_of_the_global_model() {
    let plan = plan("\"cnn\"", "epochs = 0");
    let (trainer, site) = (trainer(&plan), digits(&plan, 50));
    let (trained, delta) = train(&trainer, &site, &trainer.initial());
    assert!(delta.iter().all(|v| *v == 0.0));
    assert_eq!(trained.samples, site.train.len() as u64);
    assert_eq!(trained.train.get("loss"), None);
    assert!(trained.before.is_some());
    assert_eq!(trained.before, trained.after);
}

#[test]
fn training_lowers_the_loss_with_every_model() {
    for (model, train_options) in [
        ("\"logistic\"", "epochs = 3\noptimiser = { sgd = { lr = 0.5 } }"),
        ("{ mlp = { hidden = [32] } }", "epochs = 8\noptimiser = { adam = { lr = 0.01 } }"),
        ("\"cnn\"", "epochs = 5\noptimiser = { sgd = { lr = 0.05, momentum = 0.9 } }"),
        (
            "{ resnet8 = { width = 8 } }",
            "epochs = 3\nloss = { focal = {} }\noptimiser = { adam_w = { lr = 0.01 } }\nmargin_control = {}",
        ),
    ] {
        let plan = plan(model, train_options);
        let (trainer, site) = (trainer(&plan), digits(&plan, 400));
        let (trained, _) = train(&trainer, &site, &trainer.initial());
        let (before, after) = (trained.before.unwrap(), trained.after.unwrap());
        assert!(after.get("loss") < before.get("loss"), "{model}: {before:?} {after:?}");
        assert!(after.get("accuracy").unwrap() > 0.6, "{model}: {after:?}");
        assert!(trained.train.get("loss").unwrap() > 0.0);
    }
}

/// Three steps of plain SGD on softmax regression, in f64, from the same batches.
#[test]
fn sgd_on_the_logistic_model_equals_arithmetic_by_hand() {
    let plan = plan("\"logistic\"", "steps = 3\nbatch = 4\noptimiser = { sgd = { lr = 0.5 } }");
    let (trainer, site) = (trainer(&plan), digits(&plan, 40));
    let global: Vec<f32> = (0..650).map(|i| ((i as f32) * 0.7).sin() * 0.1).collect();
    let (trained, delta) = train(&trainer, &site, &global);

    let mut w: Vec<f64> = global.iter().map(|v| f64::from(*v)).collect();
    let mut order = Order::new(site.train.len() as u32, 4, stream(plan.seed, ROUND, CLIENT, Purpose::Shuffle));
    let (mut inputs, mut labels, mut losses) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..3 {
        site.train.gather(order.next_batch(), &mut inputs, &mut labels);
        let mut gradient = vec![0.0; 650];
        for (x, label) in inputs.chunks(64).zip(&labels) {
            let logit =
                |c: usize| w[640 + c] + x.iter().enumerate().map(|(i, x)| f64::from(*x) * w[i * 10 + c]).sum::<f64>();
            let exps: Vec<f64> = (0..10).map(|c| logit(c).exp()).collect();
            let sum: f64 = exps.iter().sum();
            losses -= (exps[*label as usize] / sum).ln() / 12.0;
            for c in 0..10 {
                let error = (exps[c] / sum - f64::from(u8::from(c == *label as usize))) / 4.0;
                gradient[640 + c] += error;
                for (i, x) in x.iter().enumerate() {
                    gradient[i * 10 + c] += error * f64::from(*x);
                }
            }
        }
        for (w, g) in w.iter_mut().zip(gradient) {
            *w -= 0.5 * g;
        }
    }
    for ((delta, global), w) in delta.iter().zip(&global).zip(w) {
        assert!((f64::from(*delta) - (w - f64::from(*global))).abs() < 1e-6, "{delta} {w}");
    }
    assert!((trained.train.get("loss").unwrap() - losses).abs() < 1e-6);
}

#[test]
fn clients_trained_side_by_side_get_the_bits_they_get_alone() {
    for model in ["{ mlp = { hidden = [16] } }", "\"cnn\"", "{ resnet8 = { width = 8 } }"] {
        let plan = plan(model, "epochs = 1\noptimiser = { sgd = { momentum = 0.9 } }");
        let (trainer, site) = (trainer(&plan), digits(&plan, 100));
        let global = trainer.initial();
        let run = |client: u8| {
            let mut delta = vec![0.0; global.len()];
            let watch = &mut |_| ControlFlow::Continue(());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let client = ClientId([client; 16]);
            let trained = pool
                .install(|| trainer.train(&Assignment { client, ..task(&global) }, &site, &mut delta, watch))
                .unwrap();
            (trained, delta.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        let alone = [run(1), run(2)];
        let run = &run;
        let together = std::thread::scope(|scope| {
            let threads = [1, 2].map(|client| scope.spawn(move || run(client)));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(alone == together, "{model}");
        assert!(alone[0].1 != alone[1].1, "clients have orders of their own");
    }
}

#[test]
fn progress_is_told_some_twenty_times_and_can_stop_the_training() {
    let plan = plan("\"logistic\"", "steps = 101");
    let (trainer, site) = (trainer(&plan), digits(&plan, 50));
    let global = trainer.initial();
    let mut delta = vec![0.0; global.len()];
    let mut reports: Vec<StepReport> = Vec::new();
    let trained = trainer.train(&task(&global), &site, &mut delta, &mut |report| {
        reports.push(report);
        ControlFlow::Continue(())
    });
    assert!(reports.len() <= 20, "{}", reports.len());
    let last = reports.last().unwrap();
    assert_eq!((last.step, last.steps), (101, 101));
    assert_eq!(Some(last.loss), trained.unwrap().train.get("loss"));
    let stopped = trainer.train(&task(&global), &site, &mut delta, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(TrainError::Stopped { step: 6, steps: 101 })), "{stopped:?}");
}

#[test]
fn divergence_is_an_error_that_says_what_to_do() {
    let mut plan = plan("{ mlp = { hidden = [8] } }", "steps = 3\noptimiser = { sgd = { lr = 0.25 } }");
    plan.evaluate.site_every = 0;
    let site = digits(&plan, 50);
    let fail = |plan: &Plan, global: &[f32]| {
        let mut delta = vec![0.0; global.len()];
        let watch = &mut |_| ControlFlow::Continue(());
        trainer(plan).train(&task(global), &site, &mut delta, watch).unwrap_err()
    };
    let sound = trainer(&plan).initial();
    let huge: Vec<f32> = sound.iter().map(|v| v * 1e25).collect();
    let text = fail(&plan, &huge).to_string();
    assert!(text.starts_with("training diverged in round 1: the loss of step 1 of 3 is NaN"), "{text}");
    assert!(text.contains("at the learning rate 0.25; lower train.optimiser.lr"), "{text}");
    // Finite losses, but the last step leaves what no model can hold.
    plan.train.steps = Some(1);
    plan.train.optimiser = Optimiser::Sgd { lr: 1e60, momentum: 0.0, weight_decay: 0.0 };
    assert!(matches!(fail(&plan, &sound), TrainError::NotFinite { steps: 1, .. }));
    let outputs = trainer(&plan).evaluate(&huge, &site.train);
    assert!(matches!(outputs, Err(TrainError::Outputs { .. })), "{outputs:?}");
}

#[test]
fn the_schedule_scales_the_step() {
    let options = "steps = 1\nbatch = 40\noptimiser = { sgd = { lr = 0.5 } }";
    let full = plan("\"logistic\"", options);
    let half = plan("\"logistic\"", &format!("{options}\nschedule = {{ warmup_rounds = 1 }}"));
    let site = digits(&full, 40);
    let deltas = [full, half].map(|plan| {
        let trainer = trainer(&plan);
        train(&trainer, &site, &trainer.initial()).1
    });
    assert!(deltas[0].iter().zip(&deltas[1]).all(|(full, half)| (full - 2.0 * half).abs() < 1e-6));
    assert!(deltas[0].iter().any(|v| *v != 0.0));
}

#[test]
fn metrics_do_not_depend_on_the_evaluation_batch() {
    let mut plan = plan("\"logistic\"", "steps = 5");
    let site = digits(&plan, 100);
    let model: Vec<f32> = (0..650).map(|i| ((i as f32) * 0.7).sin()).collect();
    let whole = trainer(&plan).evaluate(&model, &site.train).unwrap();
    plan.evaluate.batch = 7;
    let parts = trainer(&plan).evaluate(&model, &site.train).unwrap();
    assert_eq!(whole.confusion, parts.confusion);
    let names: BTreeSet<&str> = whole.metrics.values.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["accuracy", "auroc", "balanced_accuracy", "loss", "macro_f1"]));
    for (name, value) in &whole.metrics.values {
        assert!((value - parts.metrics.get(name).unwrap()).abs() < 1e-6, "{name}");
    }
}

#[test]
fn what_does_not_fit_the_plan_is_refused() {
    let plan = plan("\"logistic\"", "steps = 1");
    let trainer = trainer(&plan);
    let global = trainer.initial();
    let mut delta = vec![0.0; global.len()];
    let go = |global: &[f32], delta: &mut [f32], site: &SiteData| {
        trainer.train(&task(global), site, delta, &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    let site = digits(&plan, 20);
    assert!(matches!(go(&global[1..], &mut delta, &site), TrainError::Model(_)));
    assert!(matches!(go(&global, &mut delta[1..], &site), TrainError::Buffer { .. }));

    let dataset = |inputs: usize, label: u32| {
        let dataset = Dataset::new(Inputs::F32(vec![0.5; 20 * inputs]), vec![label; 20], vec![inputs]).unwrap();
        SiteData::for_site(&plan, CLIENT, Arc::new(dataset), (0..20).collect(), None, None).unwrap()
    };
    assert!(matches!(go(&global, &mut delta, &dataset(63, 1)), TrainError::Inputs { expected: 64, found: 63 }));
    assert!(matches!(go(&global, &mut delta, &dataset(64, 10)), TrainError::Label { label: 10, classes: 10 }));
    let numbers = Matrix::new(vec![0.5; 40], 2).unwrap();
    let numbers = Dataset::new(Inputs::F32(vec![0.5; 20 * 64]), Targets::Numbers(numbers), vec![64]).unwrap();
    let numbers = SiteData::for_site(&plan, CLIENT, Arc::new(numbers), (0..20).collect(), None, None).unwrap();
    assert!(matches!(go(&global, &mut delta, &numbers), TrainError::Targets { expected: 0, .. }));

    let mut other = plan.clone();
    other.task = Task::Classification { classes: 3 };
    other.train.loss.name = "no such loss".to_owned();
    assert!(matches!(Trainer::new(Arc::new(other), &DeviceChoice::Cpu), Err(TrainError::Loss(_))));
}

#[test]
fn steps_and_the_loss_before_training_are_told_where_the_plan_asks() {
    let asked = plan("\"logistic\"", "epochs = 2\nbatch = 16\nloss_before = true\nmargin_control = {}");
    let (ours, site) = (trainer(&asked), digits(&asked, 100));
    let (trained, _) = train(&ours, &site, &ours.initial());
    assert_eq!(trained.steps, 2 * (site.train.len() as u64).div_ceil(16));
    // All logits are equal at the start: ln 10, and margin control stays out of it.
    assert!((trained.loss_before.unwrap() - 10.0_f64.ln()).abs() < 1e-6, "{trained:?}");
    let not_asked = plan("\"logistic\"", "epochs = 0");
    let (trained, _) = train(&trainer(&not_asked), &digits(&not_asked, 100), &ours.initial());
    assert_eq!((trained.steps, trained.loss_before), (0, None));
}
