//! Forward and backward pass of every loss on the CPU, next to our cross-entropy of a matrix of the same size.
//!
//! `cargo bench --bench zoo -- [FILTER]` prints one Markdown table. A ratio of 1 is the time of cross-entropy as
//! training computes it, on `[batch, width]` logits.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark measures time and prints it")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Int, Tensor};
use synod_losses::classification::softmax_objective;
use synod_losses::{LossConfig, LossError};

mod classification;
mod contrastive;
mod density;
mod distillation;
mod metric;
mod multilabel;
mod regression;
mod segmentation;
mod terms;

/// One loss at one size.
pub(crate) struct Case {
    /// Name of the loss.
    pub(crate) name: &'static str,
    /// Samples.
    pub(crate) batch: usize,
    /// Classes, or values of an embedding.
    pub(crate) width: usize,
    /// One forward and backward pass.
    pub(crate) run: Box<dyn FnMut()>,
}

impl Case {
    /// A loss of one tensor, differentiated with respect to it.
    pub(crate) fn new<const D: usize>(
        name: &'static str,
        [batch, width]: [usize; 2],
        leaf: Tensor<D>,
        loss: impl Fn(Tensor<D>) -> Result<Tensor<1>, LossError> + 'static,
    ) -> Self {
        let run = Box::new(move || {
            let value = loss(leaf.clone()).expect("the inputs of the benchmark are valid");
            black_box(leaf.grad(&value.backward()));
        });
        Self { name, batch, width, run }
    }

    /// A computation without a backward pass.
    pub(crate) fn forward(name: &'static str, [batch, width]: [usize; 2], run: impl FnMut() + 'static) -> Self {
        Self { name, batch, width, run: Box::new(run) }
    }
}

/// Sizes at which losses on logits are measured: samples and classes.
pub(crate) const LOGITS: [[usize; 2]; 4] = [[32, 10], [32, 1000], [512, 10], [512, 1000]];

/// Sizes at which losses on rows of numbers are measured: samples and values of each.
pub(crate) const EMBEDDINGS: [[usize; 2]; 2] = [[32, 128], [512, 128]];

/// The device of all cases.
pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Standard normal numbers that record gradients.
pub(crate) fn normal<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad()
}

/// Standard normal numbers that record nothing.
pub(crate) fn constant<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    normal(shape).detach()
}

/// Labels in `0..classes`, `[batch]`.
pub(crate) fn labels(batch: usize, classes: usize) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..batch).map(|row| (row * 7 % classes) as i64).collect();
    Tensor::from_data(labels.as_slice(), &device())
}

fn cross_entropy([batch, width]: [usize; 2]) -> Case {
    let (labels, loss) = (labels(batch, width), LossConfig::default());
    Case::new("cross_entropy", [batch, width], normal([batch, width]), move |logits| {
        softmax_objective(logits, labels.clone(), &loss, None)
    })
}

/// Median seconds of a run, after some runs to warm up.
fn seconds(run: &mut dyn FnMut()) -> f64 {
    const RUNS: usize = 200;
    let budget = Duration::from_millis(400);
    let start = Instant::now();
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let before = Instant::now();
        run();
        times.push(before.elapsed().as_secs_f64());
        if start.elapsed() > budget && times.len() > 3 {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let mut measured = false;
    let mut filter = String::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => measured = true,
            flag if flag.starts_with('-') => {}
            name => filter = name.to_owned(),
        }
    }
    let families = [
        classification::cases(),
        multilabel::cases(),
        regression::cases(),
        metric::cases(),
        contrastive::cases(),
        segmentation::cases(),
        distillation::cases(),
        density::cases(),
        terms::cases(),
    ];
    let cases = families.into_iter().flatten().filter(|case| case.name.contains(&filter));
    if !measured {
        // Run by a test: that it runs is all that matters.
        return cases.for_each(|mut case| (case.run)());
    }
    println!("| loss | batch | width | ms | ratio to cross-entropy |\n|---|---:|---:|---:|---:|");
    let mut references = BTreeMap::new();
    for mut case in cases {
        let size = [case.batch, case.width];
        let reference = *references.entry(size).or_insert_with(|| seconds(&mut cross_entropy(size).run));
        let time = seconds(&mut case.run);
        let (name, milliseconds, ratio) = (case.name, time * 1e3, time / reference);
        println!("| `{name}` | {} | {} | {milliseconds:.3} | {ratio:.1} |", case.batch, case.width);
    }
}
