//! What algorithms do to the objective of a step: calibrated logits before the loss, terms after it.

use burn::tensor::{Device, Tensor, TensorData};
use synod_common::plan::{Algorithms, FedNtd, Moon};
use synod_losses::Targets;

use super::super::engine::Start;
use super::alignment::Alignment;
use super::decorrelation::decorrelation;
use super::label_calibration::margins;
use super::model_contrast::model_contrast;
use super::not_true_distillation::not_true_distillation;
use crate::models::{Blueprint, ModelError, Network};

/// The terms of one round at one site. Empty where the plan names none: the objective is then the plan's loss, untouched.
pub(in crate::train) struct Terms {
    /// FedLC: subtracted from the logits, `[1, classes]`.
    margins: Option<Tensor<2>>,
    /// FedNTD with the received model.
    distillation: Option<(FedNtd, Network)>,
    /// FedDecorr's weight.
    decorrelation: Option<f64>,
    /// FedPAC's pull of features to the centroids of their classes.
    alignment: Option<Alignment>,
    /// MOON with the received and the last local model.
    contrast: Option<Contrast>,
}

struct Contrast {
    options: Moon,
    global: Network,
    previous: Network,
}

impl Terms {
    /// Of `algorithms` at a site that received `global`, whose last local model was `previous`, and whose training begins at
    /// `start`. Models are put on `device`, which does not record.
    pub(in crate::train) fn new(
        algorithms: &Algorithms,
        blueprint: &Blueprint,
        global: &[f32],
        previous: Option<&[f32]>,
        start: &Start<'_>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let margins = algorithms.fedlc.filter(|fedlc| fedlc.tau != 0.0).map(|fedlc| {
            let margins = margins(start.class_counts, fedlc.tau);
            Tensor::from_data(TensorData::new(margins, [1, start.class_counts.len()]), device)
        });
        let frozen = |values: &[f32]| Network::new(blueprint, values, device);
        let distillation = match algorithms.fedntd.filter(|fedntd| fedntd.beta != 0.0) {
            Some(options) => Some((options, frozen(global)?)),
            None => None,
        };
        let contrast = match algorithms.moon.filter(|moon| moon.mu != 0.0) {
            Some(options) => {
                Some(Contrast { options, global: frozen(global)?, previous: frozen(previous.unwrap_or(global))? })
            }
            None => None,
        };
        let decorrelation = algorithms.feddecorr.map(|feddecorr| feddecorr.beta).filter(|beta| *beta != 0.0);
        let alignment = start.aligned.map(|(guide, lambda)| Alignment::new(lambda, &guide, device));
        Ok(Self { margins, distillation, decorrelation, alignment, contrast })
    }

    /// The logits of which the loss is taken.
    pub(in crate::train) fn calibrate(&self, logits: Tensor<2>) -> Tensor<2> {
        match &self.margins {
            Some(margins) => logits - margins.clone(),
            None => logits,
        }
    }

    /// `loss: [1]` with the terms of a batch, for its `inputs`, the local model's `features` and `logits`, and `targets`.
    pub(in crate::train) fn add(
        &self,
        mut loss: Tensor<1>,
        inputs: &Tensor<2>,
        features: &Tensor<2>,
        logits: &Tensor<2>,
        targets: &Targets,
    ) -> Tensor<1> {
        // A plan with FedNTD has a task with one label per sample.
        if let (Some((options, global)), Targets::Labels(labels)) = (&self.distillation, targets) {
            let global = global.forward(inputs.clone());
            loss = loss + not_true_distillation(logits.clone(), global, labels.clone(), options);
        }
        if let (Some(alignment), Targets::Labels(labels)) = (&self.alignment, targets) {
            loss = loss + alignment.term(features.clone(), labels.clone());
        }
        if let Some(beta) = self.decorrelation {
            loss = loss + decorrelation(features.clone(), beta);
        }
        if let Some(Contrast { options, global, previous }) = &self.contrast {
            let [global, previous] = [global, previous].map(|model| model.features(inputs.clone()));
            loss = loss + model_contrast(features.clone(), global, previous, options);
        }
        loss
    }
}
