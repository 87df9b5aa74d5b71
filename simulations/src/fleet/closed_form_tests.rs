//! Models in closed form through a fleet: the sums of the sites are those of the pooled samples, whatever the split.

use std::sync::Arc;

use synod_client::catalogue::Zoo;
use synod_client::data::Inputs;
use synod_common::event::{Outcome, RunEvent};
use synod_common::plan::Plan;

use super::tests::{run, run_to_the_end, samples};

const SPLITS: [&str; 4] = [
    "clients = 1\n",
    "clients = 5\npartition = \"iid\"\n",
    "clients = 6\n[simulation.partition.dirichlet]\nalpha = 0.05\nsamples_min = 1\n",
    "clients = 3\n[simulation.partition.shards]\nclasses_per_site = 1\n",
];

fn plan(model: &str, split: &str) -> Arc<Plan> {
    let text = format!(
        "rounds = 1\nmodel = \"{model}\"\n[task.classification]\nclasses = 3\n[data]\nholdout = 0.0\nnormalise = \"none\"\n\
         [data.source.npz]\nfile = \"x.npz\"\nshape = [4]\n[aggregate]\nstrategy = \"sum\"\n[round]\narrival.count.min = 1\n[simulation]\n{split}"
    );
    Arc::new(Plan::read(&text, &Zoo).unwrap_or_else(|error| panic!("{error}")))
}

/// Inputs and class.
type Sample = (Vec<f64>, usize);

/// Every sample of the pool.
fn pool() -> Vec<Sample> {
    let dataset = samples(120).train;
    let Inputs::F32(inputs) = dataset.inputs() else { panic!("they are numbers") };
    let inputs = inputs.chunks(4).map(|x| x.iter().map(|x| f64::from(*x)).collect());
    inputs.zip(dataset.groups()).map(|(x, class)| (x, *class as usize)).collect()
}

fn naive_bayes_sums() -> Vec<f64> {
    let pool = pool();
    let of_class = |class: usize, of: &dyn Fn(&[f64]) -> f64| -> f64 {
        pool.iter().filter(|sample| sample.1 == class).map(|sample| of(&sample.0)).sum()
    };
    let counts = (0..3).map(|class| of_class(class, &|_| 1.0));
    let sums = (0..4).flat_map(|j| (0..3).map(move |class| (j, class))).map(|(j, class)| of_class(class, &|x| x[j]));
    let squares = (0..4).map(|j| pool.iter().map(|sample| sample.0[j].powi(2)).sum());
    counts.chain(sums).chain(squares).collect()
}

fn ridge_sums() -> Vec<f64> {
    let z = |sample: &Sample, i: usize| if i < 4 { sample.0[i] } else { 1.0 };
    let total = |of: &dyn Fn(&Sample) -> f64| -> f64 { pool().iter().map(of).sum() };
    let pairs = |columns: usize| (0..5).flat_map(move |i| (0..columns).map(move |j| (i, j)));
    let gram = pairs(5).map(|(i, j)| total(&|sample| z(sample, i) * z(sample, j)));
    let cross = pairs(3).map(|(i, class)| total(&|sample| if sample.1 == class { z(sample, i) } else { 0.0 }));
    gram.chain(cross).collect()
}

#[test]
fn the_model_is_that_of_the_pooled_samples_whatever_the_split_and_the_threads() {
    for (model, expected) in [("naive_bayes", naive_bayes_sums()), ("ridge", ridge_sums())] {
        for split in SPLITS {
            let plan = plan(model, split);
            let (ended, events) = run_to_the_end(&plan, 1);
            assert_eq!(ended.outcome, Outcome::Completed, "{model} {split}");
            assert_eq!(ended.model.values.len(), expected.len());
            for (found, expected) in ended.model.values.iter().zip(&expected) {
                // Each site's sums and their total are rounded to single precision.
                assert!(
                    (f64::from(*found) - expected).abs() <= 2f64.powi(-22) * expected,
                    "{found} {expected}: {split}"
                );
            }
            assert_eq!(run(&plan, 3).1, ended.model.digest, "{model} {split}");
            let accuracy = events.iter().rev().find_map(|event| match event {
                RunEvent::Evaluated { metrics, .. } => metrics.get("accuracy"),
                _ => None,
            });
            assert!(accuracy > Some(0.95), "{model} {split}: {accuracy:?}");
        }
    }
}
