//! What the losses of this family share: one softmax, computed once, and its targets.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Softmax of a batch, without recording, kept in the parts that losses need.
pub(super) struct Softmax {
    /// Probabilities, `[batch, classes]`.
    pub(super) probs: Tensor<2>,
    /// Labels as `[batch, 1]`, ready for `gather`.
    pub(super) targets: Tensor<2, Int>,
    /// Logits minus the maximum of their row, `[batch, classes]`.
    shifted: Tensor<2>,
    /// Logarithm of the sum of the exponentials of `shifted`, `[batch, 1]`.
    log_sum: Tensor<2>,
}

impl Softmax {
    /// From `logits: [batch, classes]` and `targets: [batch]`, neither of which records.
    pub(super) fn new(logits: Tensor<2>, targets: Tensor<1, Int>) -> Self {
        let [batch, _] = logits.dims();
        let shifted = logits.clone() - logits.max_dim(1);
        let exponentials = shifted.clone().exp();
        let sum = exponentials.clone().sum_dim(1);
        let log_sum = sum.clone().log();
        Self { probs: exponentials / sum, targets: targets.reshape([batch, 1]), shifted, log_sum }
    }

    /// `ln p[b, y_b]` as `[batch, 1]`.
    pub(super) fn log_prob_of_target(&self) -> Tensor<2> {
        self.shifted.clone().gather(1, self.targets.clone()) - self.log_sum.clone()
    }

    /// `ln p`, `[batch, classes]`.
    pub(super) fn log_probs(&self) -> Tensor<2> {
        self.shifted.clone() - self.log_sum.clone()
    }

    /// `sum_c ln p[b, c]` as `[batch, 1]`.
    pub(super) fn sum_of_log_probs(&self) -> Tensor<2> {
        self.log_probs().sum_dim(1)
    }

    /// `p - share * onehot(y)`.
    pub(super) fn minus_one_hot(&self, share: f64) -> Tensor<2> {
        let [batch, _] = self.probs.dims();
        let options = (&self.probs.device(), self.probs.dtype());
        self.add_to_target(self.probs.clone(), Tensor::full([batch, 1], -share, options))
    }

    /// `matrix` with `values: [batch, 1]` added in the column of each row's label.
    pub(super) fn add_to_target(&self, matrix: Tensor<2>, values: Tensor<2>) -> Tensor<2> {
        matrix.scatter(1, self.targets.clone(), values, IndexingUpdateOp::Add)
    }
}
