//! The folder of a member: `client.json`, `identity/`, `state/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use synod_certs::{FileError, Overwrite, make_folder, write_secret};

const FILE: &str = "client.json";
/// Largest file read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a member remembers of the federation it joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// Where the coordinator is: `host:port`.
    pub coordinator: String,
}

/// Why a member's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Nobody joined here.
    #[error("{0} holds no membership; join with the line that the operator sent, or name the folder with --home")]
    Missing(PathBuf),
    /// The file is there and cannot be read.
    #[error("could not read {path}: {reason}; join again with a new invitation")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Membership {
    /// Reads it from `folder`.
    ///
    /// # Errors
    /// When nobody joined there, or the file is damaged.
    pub fn load(folder: &Path) -> Result<Self, FolderError> {
        let path = folder.join(FILE);
        let damaged = |reason: String| FolderError::Damaged { path: path.clone(), reason };
        let Ok(metadata) = fs::metadata(&path) else { return Err(FolderError::Missing(folder.to_owned())) };
        if metadata.len() > FILE_BYTES_MAX {
            return Err(damaged(format!("it has {} bytes", metadata.len())));
        }
        let text = fs::read_to_string(&path).map_err(|e| damaged(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), FolderError> {
        make_folder(folder)?;
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| FolderError::Damaged { path: path.clone(), reason: e.to_string() })?;
        Ok(write_secret(&path, text.as_bytes(), Overwrite::Replace)?)
    }
}

/// Where the identity of the member in `folder` is.
#[must_use]
pub fn identity_folder(folder: &Path) -> PathBuf {
    folder.join("identity")
}

/// Where the member in `folder` keeps what it remembers between rounds.
#[must_use]
pub fn state_folder(folder: &Path) -> PathBuf {
    folder.join("state")
}
