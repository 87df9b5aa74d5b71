//! How objectives of the zoo are joined to their names in golden files.

use burn::tensor::{Int, Tensor};

use super::format::GoldenError;
use super::inputs::{Inputs, numbers};
use crate::calibration;
use crate::classification::{self, per_sample, softmax_objective};
use crate::contrastive;
use crate::error::LossError;
use crate::reduce::{Reduction, reduce_weighted};
use crate::registry::LossConfig;
use crate::regulariser;
use crate::unlearning;
use crate::{density, distillation, metric, multilabel, regression, segmentation};

/// Computes one objective of golden files.
pub(crate) struct Evaluator {
    /// The files it belongs to: their `loss` without a number; empty for any file.
    pub(crate) subject: &'static str,
    /// The objective, with underscores.
    pub(crate) objective: &'static str,
    /// Which way of computing it, where there are several.
    pub(crate) path: &'static str,
    /// Computes it.
    pub(crate) run: fn(&Inputs<'_>) -> Result<Outcome, GoldenError>,
}

impl Evaluator {
    pub(crate) const fn new(
        subject: &'static str,
        objective: &'static str,
        run: fn(&Inputs<'_>) -> Result<Outcome, GoldenError>,
    ) -> Self {
        Self { subject, objective, path: "", run }
    }

    pub(crate) const fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }
}

/// The evaluators of every family.
const FAMILIES: &[&[Evaluator]] = &[
    classification::GOLDEN,
    classification::hyp_oc::GOLDEN,
    calibration::GOLDEN,
    multilabel::GOLDEN,
    metric::GOLDEN,
    contrastive::GOLDEN,
    distillation::GOLDEN,
    regression::GOLDEN,
    density::GOLDEN,
    segmentation::GOLDEN,
    regulariser::GOLDEN,
    unlearning::GOLDEN,
];

/// The evaluators of `objective` in files about `subject`: those of that subject, or else those for any file, or else
/// those of the only subject that has an objective of this name.
pub(super) fn find(subject: &str, objective: &str) -> Vec<&'static Evaluator> {
    let named: Vec<&Evaluator> =
        FAMILIES.iter().flat_map(|family| family.iter()).filter(|e| e.objective == objective).collect();
    for wanted in [subject, ""] {
        let fitting: Vec<&Evaluator> = named.iter().copied().filter(|e| e.subject == wanted).collect();
        if !fitting.is_empty() {
            return fitting;
        }
    }
    match named.split_first() {
        Some((first, rest)) if rest.iter().all(|e| e.subject == first.subject) => named,
        _ => Vec::new(),
    }
}

/// What came out of an objective.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(super) loss: Option<Tensor<1>>,
    pub(super) value: Option<f64>,
    pub(super) others: Vec<(String, Vec<f64>)>,
}

impl Outcome {
    /// A loss, `[1]`, whose gradients are those to be compared.
    pub(crate) fn loss(loss: Tensor<1>) -> Self {
        Self { loss: Some(loss), ..Self::default() }
    }

    /// A number computed without tensors. It has no gradients.
    pub(crate) fn value(value: f64) -> Self {
        Self { value: Some(value), ..Self::default() }
    }

    /// Only other quantities.
    pub(crate) fn without_loss() -> Self {
        Self::default()
    }

    /// Adds another quantity.
    pub(crate) fn with<const D: usize>(
        self,
        inputs: &Inputs<'_>,
        name: &str,
        tensor: Tensor<D>,
    ) -> Result<Self, GoldenError> {
        let values = inputs.at(numbers("a quantity", tensor))?;
        Ok(self.with_values(name, values))
    }

    /// Adds an integer quantity.
    pub(crate) fn with_ints<const D: usize>(
        self,
        inputs: &Inputs<'_>,
        name: &str,
        tensor: Tensor<D, Int>,
    ) -> Result<Self, GoldenError> {
        let values = tensor.try_into_vec_as::<f64>();
        let values = values.map_err(|error| LossError::Read { tensor: "a quantity", reason: error.to_string() });
        Ok(self.with_values(name, inputs.at(values)?))
    }

    /// Adds a quantity computed on the host.
    pub(crate) fn with_values(mut self, name: &str, values: Vec<f64>) -> Self {
        self.others.push((name.to_owned(), values));
        self
    }

    /// Adds a number computed on the host.
    pub(crate) fn with_value(self, name: &str, value: f64) -> Self {
        self.with_values(name, vec![value])
    }
}

/// A loss on logits and labels, with the options of the case: its mean over the batch, composed from the values per
/// sample or as training computes it.
pub(crate) fn classification_loss(inputs: &Inputs<'_>, loss: &LossConfig, fused: bool) -> Result<Outcome, GoldenError> {
    let logits = inputs.tensor::<2>("logits")?;
    let name = if inputs.has("labels") { "labels" } else { "targets" };
    let labels = inputs.labels(name, logits.dims()[1])?;
    if fused {
        return Ok(Outcome::loss(inputs.at(softmax_objective(logits, labels, loss, None))?));
    }
    let values = inputs.at(per_sample(logits.clone(), labels.clone(), loss))?;
    let weights = inputs.at(classification::mean_weights(&logits, &labels, loss))?;
    let mean = inputs.at(reduce_weighted(values.clone(), weights, None, Reduction::Mean))?;
    Outcome::loss(mean).with(inputs, "per_sample", values)
}
