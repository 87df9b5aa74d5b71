//! What outlives the coordinator: every decision as an [`Entry`], every accepted update and committed model beside them.

mod entry;

pub use entry::{Accepted, Committed, Entry, Opened};
