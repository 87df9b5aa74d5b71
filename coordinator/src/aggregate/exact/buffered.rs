//! The exact sum for updates that arrive one by one in buffers of their own.

use std::num::NonZeroU32;

use super::super::error::AggregateError;
use super::super::screen::Screened;
use super::kernel::GROUP;
use super::sum::{ExactSum, Weighted};

/// An [`ExactSum`] that keeps the last few updates in the buffers they arrived in and folds [`GROUP`] of them at a time.
///
/// Nothing is copied, and the wide limbs are read and written once for four updates. The sum is the one that
/// [`ExactSum::add`] gives. Memory: 16 bytes per parameter and up to `GROUP` buffers.
#[derive(Debug)]
pub struct BufferedSum<B> {
    sum: ExactSum,
    waiting: Vec<(NonZeroU32, B)>,
    /// What the waiting updates will take of the window.
    waiting_units: u64,
}

impl<B: AsRef<[f32]>> BufferedSum<B> {
    /// An empty sum over `parameters` parameters.
    #[must_use]
    pub fn new(parameters: usize) -> Self {
        Self { sum: ExactSum::new(parameters), waiting: Vec::with_capacity(GROUP), waiting_units: 0 }
    }

    /// Number of updates taken in, folded or waiting.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.sum.updates() + self.waiting.len() as u64
    }

    /// Takes in an update. Buffers that are not needed any longer, the refused one included, are moved to `spent` for
    /// the next arrivals to be read into.
    ///
    /// # Errors
    /// As [`ExactSum::add`], always about this update, which then leaves no trace.
    pub fn push(&mut self, weight: NonZeroU32, buffer: B, spent: &mut Vec<B>) -> Result<(), AggregateError> {
        let largest = ExactSum::abs_max(buffer.as_ref());
        self.take(weight, buffer, largest, spent)
    }

    /// [`push`](Self::push) for an update that was screened already, which saves reading it once more. `screened` must be
    /// what [`screen`](super::super::screen()) said of these very values; if it is not, a later call may fail in its place.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_screened(
        &mut self,
        weight: NonZeroU32,
        buffer: B,
        screened: Screened,
        spent: &mut Vec<B>,
    ) -> Result<(), AggregateError> {
        self.take(weight, buffer, screened.abs_max, spent)
    }

    /// What could be wrong is found out now, while it is known whose fault it is.
    fn take(&mut self, weight: NonZeroU32, buffer: B, largest: f32, spent: &mut Vec<B>) -> Result<(), AggregateError> {
        match self.sum.high_units_with(weight, buffer.as_ref(), largest, self.waiting_units) {
            Ok(units) => self.waiting_units = units,
            Err(error) => {
                spent.push(buffer);
                return Err(error);
            }
        }
        self.waiting.push((weight, buffer));
        if self.waiting.len() < GROUP { Ok(()) } else { self.fold(spent) }
    }

    /// Folds what waits. Every update was checked when it came.
    fn fold(&mut self, spent: &mut Vec<B>) -> Result<(), AggregateError> {
        let group: Vec<Weighted<'_>> =
            self.waiting.iter().map(|(weight, b)| Weighted { weight: *weight, values: b.as_ref() }).collect();
        self.sum.add_group(&group)?;
        spent.extend(self.waiting.drain(..).map(|(_, buffer)| buffer));
        self.waiting_units = 0;
        Ok(())
    }

    /// The sum of everything taken in.
    ///
    /// # Errors
    /// None in practice: the updates that still wait were checked when they came.
    pub fn finish(mut self, spent: &mut Vec<B>) -> Result<ExactSum, AggregateError> {
        self.fold(spent)?;
        Ok(self.sum)
    }
}
