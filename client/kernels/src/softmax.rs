//! Cross-entropy, with margin control where it is asked for, and its gradient.

/// Margin control: a term that holds confident predictions back (Zeng, Guo, Wang, Wang, Zhou, Qu: Tackling Data
/// Heterogeneity in Federated Learning via Loss Decomposition, MICCAI 2024).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Weight of the term, finite.
    pub lambda: f64,
    /// What one logarithm is taken over.
    pub scope: MarginScope,
}

/// What one logarithm of [`Margin`] is taken over; `p` are probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarginScope {
    /// `ln(1 + sum_b sum_c p^2)`.
    Batch,
    /// `mean_b ln(1 + sum_c p^2)`.
    Mean,
}

/// Turns `logits: [labels.len(), stride]`, of which `classes` of each row count, into the gradient of the mean
/// cross-entropy plus the margin's term, and returns the value.
pub(crate) fn cross_entropy(
    rows: &mut [f32],
    stride: usize,
    classes: usize,
    labels: &[i64],
    margin: Option<Margin>,
) -> f64 {
    let batch = labels.len();
    let share = 1.0 / batch as f32;
    let (mut loss, mut squares) = (0.0, 0.0);
    for (row, label) in rows.chunks_exact_mut(stride).zip(labels) {
        let row = &mut row[..classes];
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // A label outside the classes has no logarithm; the caller has checked that there is none.
        let truth = usize::try_from(*label).ok().and_then(|label| row.get(label)).map_or(f32::NAN, |logit| logit - max);
        let mut sum = 0.0;
        for value in row.iter_mut() {
            *value = (*value - max).exp();
            sum += *value;
        }
        loss += f64::from(sum.ln() - truth);
        let scale = 1.0 / sum;
        row.iter_mut().for_each(|p| *p *= scale);
        squares += row.iter().map(|p| p * p).sum::<f32>();
    }
    loss /= batch as f64;
    let mut slope = 0.0;
    if let Some(Margin { lambda, scope: MarginScope::Batch }) = margin {
        loss += lambda * f64::from(squares).ln_1p();
        slope = (2.0 * lambda) as f32 / (1.0 + squares);
    }
    let mut term = 0.0;
    for (row, label) in rows.chunks_exact_mut(stride).zip(labels) {
        let row = &mut row[..classes];
        let square = if margin.is_some() { row.iter().map(|p| p * p).sum::<f32>() } else { 0.0 };
        if let Some(Margin { lambda, scope: MarginScope::Mean }) = margin {
            term += lambda * f64::from(square).ln_1p();
            slope = (2.0 * lambda) as f32 * share / (1.0 + square);
        }
        for p in row.iter_mut() {
            *p = *p * share + slope * *p * (*p - square);
        }
        if let Some(truth) = usize::try_from(*label).ok().and_then(|label| row.get_mut(label)) {
            *truth -= share;
        }
    }
    loss + term / batch as f64
}
