//! The five levels of quality in a row of logits: excellent, good, fair, poor, bad, worth 5 to 1.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor, TensorData};

use crate::check;
use crate::error::LossError;
use crate::option::constants;

/// How many levels there are.
pub(super) const LEVELS: usize = 5;

/// What each level is worth.
pub(super) const WORTH: [f64; LEVELS] = [5.0, 4.0, 3.0, 2.0, 1.0];

/// Which columns of the logits the levels are, from excellent to bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    columns: [i64; LEVELS],
}

/// Mean and variance of each row's level, `[batch]`.
#[derive(Debug, Clone)]
pub struct Score {
    /// Mean worth.
    pub mean: Tensor<1>,
    /// Variance of the worth.
    pub variance: Tensor<1>,
}

impl Levels {
    /// Five different columns.
    ///
    /// # Errors
    /// [`LossError::Value`] if they are not.
    pub fn new(columns: [i64; LEVELS]) -> Result<Self, LossError> {
        let mut sorted = columns;
        sorted.sort_unstable();
        if sorted[0] < 0 || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            let problem = format!("{columns:?} are not five different columns; give one for each level, 5 to 1");
            return Err(LossError::Value { loss: "a set of levels", input: "columns", problem });
        }
        Ok(Self { columns })
    }

    /// Mean and variance of the level, for `logits: [batch, columns]`: over the five levels only if `closed`, else with
    /// their shares among all columns.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`], [`LossError::Shape`] if a level is beyond the columns.
    pub fn score(&self, logits: Tensor<2>, closed: bool) -> Result<Score, LossError> {
        self.check("a score of levels", "logits", &logits)?;
        let probs = if closed { softmax(self.select(logits), 1) } else { self.select(softmax(logits, 1)) };
        let [batch, _] = probs.dims();
        let worth = constants(&probs, &WORTH).reshape([1, LEVELS]);
        let mean = (probs.clone() * worth.clone()).sum_dim(1);
        let distance = worth - mean.clone();
        let variance = (probs * distance.clone() * distance).sum_dim(1);
        Ok(Score { mean: mean.reshape([batch]), variance: variance.reshape([batch]) })
    }

    /// Logarithms of the levels' probabilities among all columns, `[batch, 5]`.
    pub(super) fn log_probs(&self, logits: Tensor<2>) -> Tensor<2> {
        self.select(log_softmax(logits, 1))
    }

    /// Checks that every level is among the columns of `logits` and returns the batch.
    pub(super) fn check(
        &self,
        loss: &'static str,
        tensor: &'static str,
        logits: &Tensor<2>,
    ) -> Result<usize, LossError> {
        let [batch, columns] = check::matrix(loss, tensor, logits)?;
        if self.columns.iter().any(|&column| column as usize >= columns) {
            let (expected, found) = (format!("[batch, n] with the columns {:?}", self.columns), vec![batch, columns]);
            return Err(LossError::Shape { loss, tensor, expected, found });
        }
        Ok(batch)
    }

    fn select(&self, rows: Tensor<2>) -> Tensor<2> {
        let index = TensorData::new(self.columns.to_vec(), [LEVELS]);
        let index = Tensor::<1, Int>::from_data(index, &rows.device());
        rows.select(1, index)
    }
}
