//! What a client sends back, and the buffers it travels in.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, RoundId};
use crate::metrics::Metrics;

/// What comes with the numbers of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateHeader {
    /// The round the update answers.
    pub round: RoundId,
    /// The digest of the plan it was trained by.
    pub plan: Digest,
    /// The digest of the layout of its delta.
    pub layout: Digest,
    /// Samples it was trained on (training part of the site's data).
    pub samples: u64,
    /// Optimiser steps it did; 0 where the plan asks for none.
    pub steps: u64,
    /// Mean loss of the received model over the training samples, before the first step: what q-FedAvg weighs sites by.
    /// The plan's loss alone, without margin control and terms of algorithms. There where the plan asks for it
    /// (`train.loss_before`).
    pub loss_before: Option<f64>,
    /// The received global model on the site's held-out samples.
    pub before: Option<Metrics>,
    /// Local training: mean loss and the like, on the training samples.
    pub train: Metrics,
    /// The locally trained model on the site's held-out samples.
    pub after: Option<Metrics>,
    /// Wall time of local training, in milliseconds. For reports only.
    pub train_ms: u64,
}

/// What a client sends back: the header and the difference of its model to the round's global model.
#[derive(Debug)]
pub struct Update {
    /// What comes with the numbers.
    pub header: UpdateHeader,
    /// Local minus global, `[layout.len()]`.
    pub delta: Buffer,
    /// What goes up beside the delta, where the plan has it: see [`Extras`](crate::extra::Extras).
    pub extra: Option<Buffer>,
}

/// A parameter-sized buffer that goes back to its pool when dropped. A fresh buffer of 44 MB costs six times more than
/// a reused one in page faults alone, so every model-sized buffer of a run comes from one pool.
#[derive(Debug)]
pub struct Buffer {
    values: Vec<f32>,
    pool: Option<Arc<Shelf>>,
}

/// Keeps buffers of one length for reuse.
#[derive(Clone, Debug)]
pub struct BufferPool {
    shelf: Arc<Shelf>,
    len: usize,
}

#[derive(Debug)]
struct Shelf {
    idle: Mutex<Vec<Vec<f32>>>,
    idle_max: usize,
}

impl BufferPool {
    /// A pool of buffers of `len` values that keeps at most `idle_max` unused ones.
    #[must_use]
    pub fn new(len: usize, idle_max: usize) -> Self {
        Self { shelf: Arc::new(Shelf { idle: Mutex::new(Vec::new()), idle_max }), len }
    }

    /// A buffer of the pool's length with unspecified (but initialised) contents.
    #[must_use]
    pub fn take(&self) -> Buffer {
        let reused = self.shelf.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let values = reused.unwrap_or_else(|| vec![0.0; self.len]);
        Buffer { values, pool: Some(Arc::clone(&self.shelf)) }
    }

    /// A buffer of `len` values: one of the pool's where they have this length, else a fresh one of zeros.
    #[must_use]
    pub fn take_of(&self, len: usize) -> Buffer {
        if len == self.len { self.take() } else { Buffer::from(vec![0.0; len]) }
    }

    /// Length of its buffers, in values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether its buffers hold nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self { values, pool: None }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl AsRef<[f32]> for Buffer {
    fn as_ref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(shelf) = self.pool.take() {
            let mut idle = shelf.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < shelf.idle_max {
                idle.push(std::mem::take(&mut self.values));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_up_to_the_limit() {
        let pool = BufferPool::new(4, 1);
        let (mut a, b) = (pool.take(), pool.take());
        a[0] = 7.0;
        drop(a);
        drop(b); // over the limit: freed
        assert_eq!(pool.take()[0], 7.0, "the first buffer came back");
        assert_eq!(pool.shelf.idle.lock().unwrap().len(), 1, "and went back again");
    }
}
