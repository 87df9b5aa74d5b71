//! What losses on similarities of queries and labels share.

use burn::tensor::Tensor;

use crate::check;
use crate::error::LossError;
use crate::geometry::unit;

/// The present labels that a step uses, `[batch, labels]`, and the share that each of them has in its row, `[batch, 1]`.
pub(super) fn present(
    loss: &'static str,
    similarities: &Tensor<2>,
    targets: &Tensor<2>,
    sampled: Option<Tensor<2>>,
) -> Result<(Tensor<2>, Tensor<2>), LossError> {
    check::same_shape(loss, ("similarities", similarities), ("targets", targets))?;
    if let Some(sampled) = &sampled {
        check::same_shape(loss, ("similarities", similarities), ("sampled", sampled))?;
    }
    let present = sampled.unwrap_or_else(|| targets.clone());
    let share = present.clone().sum_dim(1).clamp_min(1.0).recip();
    Ok((present, share))
}

/// Similarities of two encoders, `[batch, labels]`: cosines of the rows of `query: [batch, width]` and
/// `label_embeddings: [labels, width]`, divided by the temperature `tau`, above 0. The paper's `tau` is 0.05.
///
/// # Errors
/// [`LossError::EmptyBatch`] and [`LossError::Shape`] if there is nothing to compare or the widths differ.
pub fn similarities(query: Tensor<2>, label_embeddings: Tensor<2>, tau: f64) -> Result<Tensor<2>, LossError> {
    const NAME: &str = "the similarities";
    let [_, width] = check::matrix(NAME, "query", &query)?;
    let [labels, found] = check::matrix(NAME, "label_embeddings", &label_embeddings)?;
    if found != width {
        let expected = format!("[{labels}, {width}], as wide as the queries");
        let found = vec![labels, found];
        return Err(LossError::Shape { loss: NAME, tensor: "label_embeddings", expected, found });
    }
    Ok(unit(query).matmul(unit(label_embeddings).transpose()) / tau)
}
