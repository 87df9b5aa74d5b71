//! Any number of classes per sample: metrics from logits and rows of 0 and 1, in one pass over the samples.
//!
//! - `map`: for each class that occurs, the average precision of the samples ordered by its logit (the area under the
//!   stepwise precision-recall curve, tied samples entering together); the mean over these classes.
//! - `micro_f1`, `macro_f1`: 2 hits / (true + predicted) with a class predicted where its logit is above 0; over all
//!   classes together, and as the mean over the classes that occur as true or as predicted.
//! - `precision@k` for k = 1, 3, 5: of the k classes with the highest logits the share that the sample has.
//! - `ranking_loss`: of the pairs of a class that the sample has and one that it has not, the share in which the first
//!   has not the higher logit (Tsoumakas, Katakis, Vlahavas 2010); 0 for a sample without such a pair.

mod precision;
mod ranking;
mod tally;

pub(crate) use tally::Tally;
