//! The byte form of an entry: the BLAKE3 digest of the text, and the text, one JSON object.

use serde::{Deserialize, Serialize};
use synod_common::ids::Digest;

use super::entry::Entry;
use super::error::JournalError;

const DIGEST_BYTES: usize = 32;
/// Longest text: an update's header is at most 256 KiB on the wire, a cohort of 100 000 sites with long names 7 MiB.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// A blob, as an entry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// The BLAKE3 digest of its bytes, which is its name.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// An entry with the blobs that belong to it: of an update the delta and, with SCAFFOLD, the change of the control variate; of a
/// commit the model and, where the strategy remembers something, its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What happened.
    pub entry: Entry,
    /// Its values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobRef>,
}

impl Line {
    /// The byte form.
    ///
    /// # Errors
    /// When it is too long to be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JournalError> {
        let mut bytes = vec![0; DIGEST_BYTES];
        serde_json::to_writer(&mut bytes, self)
            .map_err(|e| JournalError::damaged(format!("an entry has no text: {e}")))?;
        let (digest, text) = bytes.split_at_mut(DIGEST_BYTES);
        if text.len() > TEXT_BYTES_MAX {
            return Err(JournalError::damaged(format!("an entry of {} bytes is too long to be written", text.len())));
        }
        digest.copy_from_slice(&Digest::of(text).0);
        Ok(bytes)
    }

    /// Reads the byte form; the text says what is wrong with it.
    ///
    /// # Errors
    /// The text.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (digest, text) = bytes.split_at_checked(DIGEST_BYTES).ok_or("it is cut off")?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("it has {} bytes, at most {TEXT_BYTES_MAX} are read", text.len()));
        }
        if Digest::of(text).0 != *digest {
            return Err("its digest is not that of its text".to_owned());
        }
        serde_json::from_slice(text).map_err(|e| format!("its text is no entry: {e}"))
    }
}
