//! Tensors from plain numbers and back, and the configurations that the tests run over.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use synod_losses::classification::{cross_entropy, focal, mean_weights, per_sample, softmax_objective};
use synod_losses::regulariser::margin_control::{self, Scope, margin_control};
use synod_losses::{LossConfig, LossError, Reduction, TaskKind, reduce_weighted};

/// A batch of logits, row by row, and its labels, in f64 so that finite differences are sharp.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) logits: Vec<f64>,
    pub(crate) labels: Vec<i64>,
    pub(crate) classes: usize,
}

impl Batch {
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f64], usize)> {
        self.logits.chunks(self.classes).zip(self.labels.iter().map(|&label| label as usize))
    }

    pub(crate) fn tensors(&self, dtype: DType) -> (Tensor<2>, Tensor<1, Int>) {
        let device = Device::flex().autodiff();
        let shape = [self.labels.len(), self.classes];
        let logits = Tensor::from_data(TensorData::new(self.logits.clone(), shape), (&device, dtype));
        (logits.require_grad(), Tensor::from_data(self.labels.as_slice(), &device))
    }
}

/// An objective: value and, through burn, gradient.
pub(crate) type Objective<'a> = &'a dyn Fn(Tensor<2>, Tensor<1, Int>) -> Result<Tensor<1>, LossError>;

/// The value and the gradient of an objective.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
}

pub(crate) fn evaluate(batch: &Batch, dtype: DType, objective: Objective<'_>) -> Outcome {
    let (logits, labels) = batch.tensors(dtype);
    let loss = objective(logits.clone(), labels).expect("the batch is valid");
    assert_eq!(loss.dims(), [1]);
    let gradient = logits.grad(&loss.backward()).expect("the logits get a gradient");
    Outcome { value: numbers(loss)[0], gradient: numbers(gradient) }
}

pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_vec_as::<f64>().expect("the CPU device reads floats")
}

/// The objective from its parts, each differentiated by burn.
pub(crate) fn composed(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    loss: &LossConfig,
    margin: Option<&margin_control::Config>,
) -> Result<Tensor<1>, LossError> {
    let weights = mean_weights(&logits, &labels, loss)?;
    let mean = reduce_weighted(per_sample(logits.clone(), labels, loss)?, weights, None, Reduction::Mean)?;
    Ok(match margin {
        Some(margin) => mean + margin_control(logits, margin)?,
        None => mean,
    })
}

/// Runs `check` on both ways of computing every loss variant, alone and with both kinds of margin control.
pub(crate) fn for_every_objective(classes: usize, check: impl Fn(&str, Objective<'_>)) {
    let margin = margin_control::Config::default().with_lambda(0.3);
    let margins = [None, Some(margin.clone()), Some(margin.with_reduction(Scope::Mean))];
    for loss in variants(classes) {
        for margin in &margins {
            let label = format!("{loss:?} with {margin:?}");
            check(&format!("composed {label}"), &|logits, labels| composed(logits, labels, &loss, margin.as_ref()));
            check(&format!("fused {label}"), &|logits, labels| {
                softmax_objective(logits, labels, &loss, margin.as_ref())
            });
        }
    }
}

/// Every loss for `task` with its defaults.
pub(crate) fn of_task(task: TaskKind) -> Vec<LossConfig> {
    LossConfig::defaults().into_iter().filter(|loss| loss.fits(task)).collect()
}

/// The losses with a closed-form gradient, with their defaults and with options that change the arithmetic.
pub(crate) fn variants(classes: usize) -> Vec<LossConfig> {
    let weights: Vec<f64> = (0..classes).map(|class| 0.5 + class as f64 * 0.75).collect();
    let entropy = cross_entropy::Config::default();
    let focal = focal::Config::default();
    vec![
        LossConfig::CrossEntropy(entropy.clone()),
        LossConfig::Focal(focal.clone()),
        LossConfig::CrossEntropy(entropy.clone().with_label_smoothing(0.1)),
        LossConfig::CrossEntropy(entropy.clone().with_class_weights(weights.clone())),
        LossConfig::CrossEntropy(entropy.with_class_weights(weights.clone()).with_label_smoothing(0.2)),
        LossConfig::Focal(focal.clone().with_gamma(0.5)),
        LossConfig::Focal(focal.clone().with_gamma(0.0).with_alpha(weights.clone())),
        LossConfig::Focal(focal.with_gamma(3.5).with_alpha(weights)),
    ]
}

pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = tolerance * (1.0 + expected.abs());
        assert!((found - expected).abs() <= allowed, "{what} at {position}: {found} instead of {expected}");
    }
}

/// A small batch that looks random and is the same in every run.
pub(crate) fn batch(samples: usize, classes: usize) -> Batch {
    let wave = |index: usize| ((index * 37 + 11) as f64).sin() * 2.5;
    Batch {
        logits: (0..samples * classes).map(wave).collect(),
        labels: (0..samples).map(|row| (row * 5 % classes) as i64).collect(),
        classes,
    }
}

/// A float tensor in double precision that records gradients.
pub(crate) fn leaf<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex().autodiff(), DType::F64)).require_grad()
}

/// Asserts that burn's gradient of `loss` at `values` is that of central differences.
pub(crate) fn assert_gradient<const D: usize>(
    what: &str,
    values: &[f64],
    shape: [usize; D],
    tolerance: f64,
    loss: impl Fn(Tensor<D>) -> Tensor<1>,
) {
    const STEP: f64 = 1e-5;
    let at = leaf(values, shape);
    let gradient = numbers(at.grad(&loss(at.clone()).backward()).expect("the input gets a gradient"));
    let value_at = |position: usize, step: f64| {
        let mut moved = values.to_vec();
        moved[position] += step;
        numbers(loss(leaf(&moved, shape)))[0]
    };
    let differences: Vec<f64> = (0..values.len())
        .map(|position| (value_at(position, STEP) - value_at(position, -STEP)) / (2.0 * STEP))
        .collect();
    assert_close(what, &gradient, &differences, tolerance);
}

/// Numbers that look random, differ with `seed`, and are the same in every run.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f64> {
    (0..len).map(|index| ((index * 37 + 11) as f64 + seed as f64 * 1.7).sin() * 1.5).collect()
}
