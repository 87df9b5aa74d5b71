//! The family's objectives in golden files.

use super::margin_control::{self, margin_control};
use crate::classification::{cross_entropy, softmax_objective};
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::reduce::{Reduction, reduce};
use crate::registry::LossConfig;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("fedld", "margin_control", |inputs| margin(inputs, false)).path("composed"),
    Evaluator::new("fedld", "margin_control", |inputs| margin(inputs, true)).path("fused"),
];

/// Cross-entropy with margin control.
fn margin(inputs: &Inputs<'_>, fused: bool) -> Result<Outcome, GoldenError> {
    let margin = inputs.config::<margin_control::Config>()?;
    let logits = inputs.tensor::<2>("logits")?;
    let labels = inputs.labels("labels", logits.dims()[1])?;
    let loss = if fused {
        softmax_objective(logits, labels, &LossConfig::default(), Some(&margin))
    } else {
        let values = cross_entropy::cross_entropy(logits.clone(), labels, &cross_entropy::Config::default());
        let mean = values.and_then(|values| reduce(values, None, Reduction::Mean));
        mean.and_then(|mean| Ok(mean + margin_control(logits, &margin)?))
    };
    Ok(Outcome::loss(inputs.at(loss)?))
}
