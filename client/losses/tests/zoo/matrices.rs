//! What losses of two matrices (multi-label, regression) are held against, whatever they compute.

use burn::tensor::{DType, Device, Tensor, TensorData};
use synod_losses::{LossConfig, LossError};

use crate::support::{Outcome, assert_close, numbers};

/// Outputs of a model and targets, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) rows: usize,
    pub(crate) outputs: Vec<f64>,
    pub(crate) targets: Vec<f64>,
}

/// A function of outputs and targets.
pub(crate) type Function = fn(Tensor<2>, Tensor<2>, &LossConfig) -> Result<Tensor<1>, LossError>;

/// A family: values per sample and the objective of training.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    pub(crate) per_sample: Function,
    pub(crate) objective: Function,
}

impl Pair {
    pub(crate) fn tensors(&self, dtype: DType) -> (Tensor<2>, Tensor<2>) {
        let device = Device::flex().autodiff();
        let matrix = |values: &[f64]| {
            let shape = [self.rows, values.len() / self.rows];
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), (&device, dtype))
        };
        (matrix(&self.outputs).require_grad(), matrix(&self.targets))
    }

    fn evaluate(&self, dtype: DType, loss: &LossConfig, function: Function) -> Outcome {
        let (outputs, targets) = self.tensors(dtype);
        let value = function(outputs.clone(), targets, loss).expect("the batch is valid").mean();
        let gradient = outputs.grad(&value.backward()).expect("the outputs get a gradient");
        Outcome { value: numbers(value)[0], gradient: numbers(gradient) }
    }

    fn reversed(&self) -> Self {
        let reverse = |values: &[f64]| values.chunks(values.len() / self.rows).rev().flatten().copied().collect();
        Self { rows: self.rows, outputs: reverse(&self.outputs), targets: reverse(&self.targets) }
    }
}

/// Values equal `naive` of each row; both ways of computing the mean have its value and, as gradient, its finite
/// differences; the order of the samples does not matter.
pub(crate) fn check(family: Family, pair: &Pair, loss: &LossConfig, naive: &dyn Fn(&[f64], &[f64]) -> f64) {
    const STEP: f64 = 1e-5;
    let rows = |values: &[f64]| values.len() / pair.rows;
    let expected = |pair: &Pair| -> Vec<f64> {
        let (outputs, targets) = (rows(&pair.outputs), rows(&pair.targets));
        let pairs = pair.outputs.chunks(outputs).zip(pair.targets.chunks(targets));
        pairs.map(|(outputs, targets)| naive(outputs, targets)).collect()
    };
    let mean = |pair: &Pair| expected(pair).iter().sum::<f64>() / pair.rows as f64;
    let label = format!("{loss:?}");

    let (outputs, targets) = pair.tensors(DType::F64);
    let values = numbers((family.per_sample)(outputs, targets, loss).expect("the batch is valid"));
    assert_close(&label, &values, &expected(pair), 1e-9);
    let (outputs, targets) = pair.reversed().tensors(DType::F64);
    let back: Vec<f64> =
        numbers((family.per_sample)(outputs, targets, loss).expect("the batch is valid")).into_iter().rev().collect();
    assert_close(&label, &back, &values, 1e-12);

    let differences: Vec<f64> = (0..pair.outputs.len())
        .map(|position| {
            let at = |step: f64| {
                let mut moved = pair.clone();
                moved.outputs[position] += step;
                mean(&moved)
            };
            (at(STEP) - at(-STEP)) / (2.0 * STEP)
        })
        .collect();
    for function in [family.per_sample, family.objective] {
        let outcome = pair.evaluate(DType::F64, loss, function);
        assert_close(&label, &[outcome.value], &[mean(pair)], 1e-9);
        assert_close(&label, &outcome.gradient, &differences, 1e-6);
    }
}

/// Value and gradient are finite in f32.
pub(crate) fn check_finite(family: Family, pair: &Pair, loss: &LossConfig) {
    for function in [family.per_sample, family.objective] {
        let outcome = pair.evaluate(DType::F32, loss, function);
        let finite = outcome.value.is_finite() && outcome.gradient.iter().all(|slope| slope.is_finite());
        assert!(finite, "{loss:?}: {outcome:?}");
    }
}

/// A diverged model shows as NaN; empty batches and targets of another shape are refused.
pub(crate) fn check_refusals(family: Family, pair: &Pair, loss: &LossConfig) {
    for function in [family.per_sample, family.objective] {
        let mut broken = pair.clone();
        broken.outputs[0] = f64::NAN;
        let (outputs, targets) = broken.tensors(DType::F32);
        let values = numbers(function(outputs, targets, loss).expect("the batch is valid"));
        assert!(values.iter().any(|value| value.is_nan()), "{loss:?}: {values:?}");

        let (outputs, targets) = pair.tensors(DType::F32);
        let columns = outputs.dims()[1];
        let empty = function(outputs.clone().slice([0..0, 0..columns]), targets.clone().slice(0..0), loss);
        assert!(matches!(empty, Err(LossError::EmptyBatch { .. })), "{loss:?}: {empty:?}");
        let wider = Tensor::cat(vec![targets.clone(), targets], 1);
        assert!(matches!(function(outputs, wider, loss), Err(LossError::Shape { .. })), "{loss:?}");
    }
}
