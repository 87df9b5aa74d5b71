//! The family's objectives in golden files.

use super::{cross_entropy, focal};
use crate::golden::{Evaluator, classification_loss};
use crate::registry::LossConfig;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("", "cross_entropy", |inputs| {
        classification_loss(inputs, &LossConfig::CrossEntropy(inputs.config::<cross_entropy::Config>()?), false)
    })
    .path("composed"),
    Evaluator::new("", "cross_entropy", |inputs| {
        classification_loss(inputs, &LossConfig::CrossEntropy(inputs.config::<cross_entropy::Config>()?), true)
    })
    .path("fused"),
    Evaluator::new("", "focal", |inputs| {
        classification_loss(inputs, &LossConfig::Focal(inputs.config::<focal::Config>()?), false)
    })
    .path("composed"),
    Evaluator::new("", "focal", |inputs| {
        classification_loss(inputs, &LossConfig::Focal(inputs.config::<focal::Config>()?), true)
    })
    .path("fused"),
];
