//! A fleet whose loss remembers, against its rounds written out.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use synod_client::device::DeviceChoice;
use synod_client::train::{Assignment, Trainer};
use synod_common::event::Outcome;
use synod_common::ids::RoundId;
use synod_common::plan::Plan;
use synod_common::state::State;

use super::Population;
use super::tests::{plan, run, run_to_the_end, samples};

/// What the loop below does with what sites remember.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    Kept,
    Dropped,
}

/// Every round of `plan` with every site, one after the other, and the mean by samples in f64.
fn rounds_written_out(plan: &Arc<Plan>, memory: Memory) -> Vec<f64> {
    let population = Population::new(plan, &samples(120)).unwrap();
    let trainer = Trainer::new(Arc::clone(plan), &DeviceChoice::Cpu).unwrap();
    let mut model = trainer.initial();
    let mut kept = BTreeMap::new();
    for round in 1..=u64::from(plan.rounds) {
        let (mut sum, mut total) = (vec![0.0; model.len()], 0.0);
        for name in population.names() {
            let before = kept.remove(name).filter(|_| memory == Memory::Kept).unwrap_or_default();
            let client = name.client_id();
            let task = Assignment { round: RoundId(round), client, model: &model, extra: None, state: &before };
            let mut delta = vec![0.0; model.len()];
            let site = population.site(name).unwrap();
            let trained = trainer.train(&task, &site, &mut delta, &mut |_| ControlFlow::Continue(())).unwrap();
            let samples = trained.samples as f64;
            total += samples;
            sum.iter_mut().zip(&delta).for_each(|(sum, delta)| *sum += samples * f64::from(*delta));
            kept.insert(name.clone(), trained.state);
        }
        model.iter_mut().zip(&sum).for_each(|(model, sum)| *model = (f64::from(*model) + sum / total) as f32);
    }
    assert!(kept.values().all(|state: &State| state.vector("loss.lambda").is_some()));
    model.into_iter().map(f64::from).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |most, (a, b)| (a - b).abs().max(most))
}

#[test]
fn what_a_loss_remembers_is_carried_from_round_to_round() {
    // Temperatures that move far: alpha is the least there may be.
    let loss = "[train.loss.aldr_kl]\nlambda0 = 0.5\nalpha = 1.0\nnormalise = \"none\"";
    let mut plan =
        plan(&format!("{loss}\n[train.optimiser.sgd]\nlr = 0.5\n[simulation]\nclients = 4\n")).as_ref().clone();
    plan.rounds = 6;
    let plan = Arc::new(plan);
    let (ended, _) = run_to_the_end(&plan, 1);
    assert_eq!(ended.outcome, Outcome::Completed);
    let found: Vec<f64> = ended.model.values.iter().map(|value| f64::from(*value)).collect();
    let (kept, dropped) = (
        distance(&found, &rounds_written_out(&plan, Memory::Kept)),
        distance(&found, &rounds_written_out(&plan, Memory::Dropped)),
    );
    assert!(kept < 1e-5, "{kept} from the rounds written out");
    assert!(dropped > 1e-3, "{dropped} from rounds that forget");
    assert_eq!(run(&plan, 3).1, ended.model.digest, "threads change no bit");
}
