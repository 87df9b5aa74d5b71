//! A training that goes on after any of its steps ends with the bits of one that was never stopped.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::Plan;
use synod_common::state::State;

use super::{Assignment, KeepProgress, StepReport, Trained, Trainer, Watch};
use crate::catalogue::Zoo;
use crate::data::{self, SiteData};
use crate::device::DeviceChoice;

const CLIENT: ClientId = ClientId([3; 16]);
const SAMPLES: u32 = 36;
/// Three passes of three batches, the last of which is smaller.
const TRAIN: &str = "epochs = 3\nbatch = 16";
const STEPS: usize = 9;
const MLP: &str = "{ mlp = { hidden = [5] } }";
const MOMENTUM: &str = "optimiser = { sgd = { lr = 0.1, momentum = 0.9 } }";
const ADAM: &str = "optimiser = { adam = { lr = 0.01 } }";

/// Keeps every progress, or goes on from one.
#[derive(Default)]
struct Keep {
    earlier: Option<State>,
    kept: Vec<State>,
    went_on: Option<(StepReport, u64)>,
}

impl KeepProgress for Keep {
    fn earlier(&mut self) -> Option<State> {
        self.earlier.take()
    }

    fn goes_on(&mut self, at: StepReport, epoch: u64) {
        self.went_on = Some((at, epoch));
    }

    fn is_due(&mut self, _ends_pass: bool) -> bool {
        true
    }

    fn keep(&mut self, progress: State) {
        // As it comes back from the disk.
        self.kept.push(State::from_bytes(&progress.to_bytes(), 1 << 20).unwrap());
    }
}

struct Site {
    trainer: Trainer,
    data: SiteData,
    model: Vec<f32>,
    control: Option<Vec<f32>>,
}

impl Site {
    fn new(model: &str, personal: &str, train: &str) -> Self {
        let text = format!(
            "model = {model}\nrounds = 3\n{personal}\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n\
             holdout = 0.0\n[aggregate.strategy.fedavg]\nweighting = \"uniform\"\n[train]\n{TRAIN}\n{train}"
        );
        let plan = Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}"));
        let loaded = data::load(&plan, Path::new(".")).unwrap();
        let data = SiteData::for_site(&plan, CLIENT, loaded.train, (0..SAMPLES).collect(), None, None).unwrap();
        let trainer = Trainer::new(Arc::new(plan.clone()), &DeviceChoice::Cpu).unwrap();
        let model = trainer.initial();
        let control = plan.train.algorithm.scaffold.is_some().then(|| model.iter().map(|v| v * 0.01).collect());
        Self { trainer, data, model, control }
    }

    fn train(&self, round: u64, state: &State, keep: &mut Keep) -> (Trained, Vec<f32>) {
        let control = self.control.as_deref();
        let task = Assignment { round: RoundId(round), client: CLIENT, model: &self.model, extra: control, state };
        let mut delta = vec![f32::NAN; self.model.len()];
        let mut report = |_| ControlFlow::Continue(());
        let mut watch = Watch { report: &mut report, progress: Some(keep) };
        let trained = self.trainer.train_keeping(&task, &self.data, &mut delta, &mut watch).unwrap();
        (trained, delta)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Trains the second round of a site without and with a stop after each step; `steps` in all.
fn goes_on_to_the_same_bits(name: &str, model: &str, personal: &str, train: &str, steps: usize) {
    let site = Site::new(model, personal, train);
    // What a first round leaves: MOON's last model, SCAFFOLD's variate, a model of the site's own.
    let (first, _) = site.train(1, &State::default(), &mut Keep::default());
    let quiet = {
        let task = Assignment {
            round: RoundId(2),
            client: CLIENT,
            model: &site.model,
            extra: site.control.as_deref(),
            state: &first.state,
        };
        let mut delta = vec![f32::NAN; site.model.len()];
        let trained = site.trainer.train(&task, &site.data, &mut delta, &mut |_| ControlFlow::Continue(())).unwrap();
        (trained, delta)
    };
    let mut watched = Keep::default();
    let kept = site.train(2, &first.state, &mut watched);
    assert_eq!((bits(&kept.1), &kept.0), (bits(&quiet.1), &quiet.0), "{name}: keeping changes nothing");
    assert_eq!(watched.kept.len(), steps - 1, "{name}");
    for (done, progress) in (1..).zip(watched.kept) {
        let mut again = Keep { earlier: Some(progress), ..Keep::default() };
        let went_on = site.train(2, &first.state, &mut again);
        let (at, epoch) = again.went_on.unwrap_or_else(|| panic!("{name} begins anew"));
        assert_eq!((at.step, at.steps, epoch), (done, steps as u64, done / 3), "{name}");
        assert_eq!(again.kept.len(), steps - 1 - done as usize, "{name} trains only the rest");
        assert_eq!((bits(&went_on.1), &went_on.0), (bits(&quiet.1), &quiet.0), "{name} after step {done}");
    }
}

#[test]
fn with_every_optimiser_and_model() {
    let cases = [
        ("plain sgd", MLP, "optimiser = { sgd = { lr = 0.1 } }"),
        ("momentum", MLP, MOMENTUM),
        ("momentum and decay", MLP, "optimiser = { sgd = { lr = 0.1, momentum = 0.9, weight_decay = 0.01 } }"),
        ("adam", MLP, ADAM),
        ("adamw", MLP, "optimiser = { adam_w = { lr = 0.01 } }"),
        ("clipped", MLP, "clip_norm = 0.5\noptimiser = { sgd = { lr = 0.1, momentum = 0.9 } }"),
        ("logistic", "\"logistic\"", ADAM),
        ("cnn", "\"cnn\"", MOMENTUM),
    ];
    for (name, model, train) in cases {
        goes_on_to_the_same_bits(name, model, "", train, STEPS);
    }
}

#[test]
fn with_every_kind_of_algorithm() {
    let algorithms = [
        "fedprox = { mu = 0.5 }",
        "scaffold = {}",
        "feddyn = { alpha = 0.1 }",
        "moon = { mu = 0.8, tau = 0.5 }",
        "fedsam = { rho = 0.1 }",
        "fedntd = { beta = 0.6, tau = 2.0 }",
        "isogclr = { weight = 0.5 }",
    ];
    for algorithm in algorithms {
        // SCAFFOLD takes plain steps.
        let optimiser = if algorithm.starts_with("scaffold") { "optimiser = { sgd = { lr = 0.1 } }" } else { MOMENTUM };
        let train = format!("{optimiser}\nalgorithm = {{ {algorithm} }}");
        goes_on_to_the_same_bits(algorithm, MLP, "", &train, STEPS);
    }
}

#[test]
fn with_models_of_the_sites_own_and_a_loss_that_remembers() {
    let apfl = "personal = { apfl = { alpha = 0.3, adapt = true } }";
    goes_on_to_the_same_bits("apfl", MLP, apfl, ADAM, STEPS);
    goes_on_to_the_same_bits("fedper", MLP, "personal = \"fedper\"", MOMENTUM, STEPS);
    // A pass over the head before the others.
    goes_on_to_the_same_bits("fedrep", MLP, "personal = { fedrep = { head_epochs = 1 } }", ADAM, STEPS + 3);
    // Its second training is not kept and begins anew.
    goes_on_to_the_same_bits("ditto", MLP, "personal = { ditto = { lambda = 0.7, epochs = 2 } }", MOMENTUM, STEPS);
    goes_on_to_the_same_bits("a memory", MLP, "", &format!("{MOMENTUM}\nloss = \"aldr_kl\""), STEPS);
}

#[test]
fn a_progress_of_another_training_is_left_alone() {
    let site = Site::new(MLP, "", MOMENTUM);
    let mut other = Keep::default();
    Site::new("{ mlp = { hidden = [6] } }", "", MOMENTUM).train(1, &State::default(), &mut other);
    let mut own = Keep::default();
    site.train(1, &State::default(), &mut own);
    let quiet = site.train(1, &State::default(), &mut Keep::default());
    let mut cut = own.kept[2].clone();
    cut.set_vector("moments.first", vec![0.0; 3]);
    for earlier in [other.kept[2].clone(), cut, State::default()] {
        let mut keep = Keep { earlier: Some(earlier), ..Keep::default() };
        let anew = site.train(1, &State::default(), &mut keep);
        assert_eq!((keep.went_on, keep.kept.len()), (None, STEPS - 1));
        assert_eq!((bits(&anew.1), &anew.0), (bits(&quiet.1), &quiet.0));
    }
}
