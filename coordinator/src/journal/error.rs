//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

use synod_common::ids::Digest;

/// Why a journal cannot be opened, read or written. Nothing that is durable is changed by any of these.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("the journal in {} is in use by {holder}; stop that process first, or choose another folder", folder.display())]
    Locked {
        /// The journal's folder.
        folder: PathBuf,
        /// The other process, as far as known.
        holder: String,
    },
    /// There is no journal where one is looked for.
    #[error("there is no journal in {}; name the folder of a run of `synod coordinator serve`", folder.display())]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {what}: {source}{}", advice(source))]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The tables could not be read or written.
    #[error("cannot {what} the journal's tables: {source}{}", redb_advice(source))]
    Tables {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: Box<redb::Error>,
    },
    /// Written by another release.
    #[error("the journal has version {found}, this release reads version {expected}; use the release that wrote it")]
    Version {
        /// Its version.
        found: u64,
        /// The version of this release.
        expected: u64,
    },
    /// Bytes are not what was written.
    #[error(
        "the journal is damaged: {what}; nothing was changed, restore the run's folder from a copy or begin anew with another"
    )]
    Damaged {
        /// Which part, and how.
        what: String,
    },
    /// A blob that the journal names is damaged or gone.
    #[error("blob {digest} ({of}) {what}; restore the run's folder from a copy, or begin anew with another")]
    Blob {
        /// Which.
        digest: Digest,
        /// What it holds.
        of: String,
        /// What is wrong with it.
        what: String,
    },
    /// The run in the journal is another one.
    #[error(
        "the journal is of plan {}, this is plan {}; go on with the plan in the run's folder, or begin anew in another folder",
        recorded.short(),
        given.short()
    )]
    OtherPlan {
        /// The plan that was recorded.
        recorded: Digest,
        /// The plan that was given.
        given: Digest,
    },
    /// The run is over.
    #[error("the run is over; begin another in another folder")]
    Over,
}

impl JournalError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(super) fn tables<E: Into<redb::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| match error.into() {
            redb::Error::Corrupted(what) => Self::Damaged { what },
            redb::Error::DatabaseAlreadyOpen => {
                Self::Locked { folder: PathBuf::from("this folder"), holder: "another process".to_owned() }
            }
            source => Self::Tables { what, source: Box::new(source) },
        }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again, what was acknowledged is kept"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; give this user the right to write there, or choose another folder"
        }
        _ => "",
    }
}

fn redb_advice(error: &redb::Error) -> &'static str {
    match error {
        redb::Error::Io(error) => advice(error),
        _ => "",
    }
}
