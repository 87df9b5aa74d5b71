//! What is known of a site's labels before a batch is seen, and what follows from it.

use burn::tensor::Tensor;

use crate::error::LossError;

/// What is known of a site's labels. Without anything every class weighs 1 and no class draws attention.
#[derive(Debug, Clone, Default)]
pub struct Prior {
    /// Labels of each class, `[classes]`, above 0.
    pub class_counts: Option<Tensor<1>>,
    /// How often the class of a column comes with that of a row, `[classes, classes]`, at least 0.
    pub cooccurrence: Option<Tensor<2>>,
}

/// `w[c] = (1 - ln(n[c] / max n))^power`, `[classes]`: 1 for the largest class and more for rarer ones.
pub fn class_weights(class_counts: Tensor<1>, power: f64) -> Tensor<1> {
    let largest = class_counts.clone().max();
    ((class_counts / largest).log().neg() + 1.0).powf_scalar(power)
}

/// How much each class is expected beside the labels that a sample has, `[batch, classes]`, for
/// `cooccurrence: [classes, classes]` and `targets: [batch, classes]` of 0 and 1.
///
/// Columns of the matrix are divided by their sums, rows of a sample's labels are averaged, and the result is divided
/// by its sum; it is 0 for a sample without labels.
pub fn attention(cooccurrence: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
    let shares = share_of(cooccurrence, 0);
    // The mean over labels differs from their sum by a factor that the last division takes out.
    share_of(targets.matmul(shares), 1)
}

/// Entries divided by the sum along `dim`; zeros where that is 0.
fn share_of(matrix: Tensor<2>, dim: usize) -> Tensor<2> {
    let sum = matrix.clone().sum_dim(dim);
    let empty = sum.clone().equal_scalar(0.0);
    matrix / sum.mask_fill(empty, 1.0)
}

impl Prior {
    /// Class weights as `[1, classes]`.
    pub(super) fn weights(&self, power: f64, like: &Tensor<2>) -> Tensor<2> {
        let [_, classes] = like.dims();
        match &self.class_counts {
            Some(counts) => class_weights(counts.clone(), power).reshape([1, classes]),
            None => Tensor::ones([1, classes], (&like.device(), like.dtype())),
        }
    }

    /// Checks the shapes for `classes`.
    pub(super) fn check(&self, loss: &'static str, classes: usize) -> Result<(), LossError> {
        check_counts(loss, self.class_counts.as_ref(), classes)?;
        match &self.cooccurrence {
            Some(matrix) if matrix.dims() != [classes; 2] => Err(LossError::Shape {
                loss,
                tensor: "cooccurrence",
                expected: format!("[{classes}, {classes}], one row and column per class"),
                found: matrix.dims().to_vec(),
            }),
            _ => Ok(()),
        }
    }
}

pub(super) fn check_counts(loss: &'static str, counts: Option<&Tensor<1>>, classes: usize) -> Result<(), LossError> {
    match counts {
        Some(counts) if counts.dims() != [classes] => Err(LossError::Shape {
            loss,
            tensor: "class_counts",
            expected: format!("[{classes}], one number per class"),
            found: counts.dims().to_vec(),
        }),
        _ => Ok(()),
    }
}
