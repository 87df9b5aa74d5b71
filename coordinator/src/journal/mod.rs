//! What outlives the coordinator: every decision as an [`Entry`], every accepted update and committed model beside them.
//!
//! ```text
//! machine ── Record, Commit ──► Write ──► blobs (synced, renamed) ──► entries (one transaction) ──► Journalled, Committed
//!    ▲                                                                     │
//!    └───────────── Machine::resume ◄── Recovered ◄── Replay ◄─────────────┘ when the coordinator starts again
//! ```
//!
//! Entries are in the tables of a redb file, values in files named by the digest of their bytes. [`Journal::open`] takes any
//! storage for the first and any [`BlobStore`] for the second.

mod blobs;
mod check;
mod entry;
mod error;
mod folder;
mod keep;
mod line;
mod replay;
mod resume;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub use blobs::{BlobFolder, BlobStore};
pub use check::{OpenReport, Report};
pub use entry::{Accepted, Committed, Entry, Opened};
pub use error::JournalError;
pub use keep::{Keep, KeepError, KeepModels, KeepUpdates};
pub use line::{BlobRef, Line};
pub use store::{JOURNAL_VERSION, Journal, Write};
pub use writer::JournalWriter;
