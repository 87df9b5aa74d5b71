//! Raw streams of blocks: values as little-endian f32 in bounded chunks, then their digest.

use crate::ids::Digest;

/// Bytes of one chunk: large enough for full speed, small enough that a slow peer holds little.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of the digest at the end of a block stream.
pub const DIGEST_BYTES: usize = 32;

/// Why a block stream cannot be used. All of these are the peer's or the line's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// More bytes than the model has.
    #[error("more bytes came than the {expected} the model has")]
    TooLong {
        /// Bytes of the model.
        expected: u64,
    },
    /// The stream ended early.
    #[error("the stream ended after {got} of {expected} bytes")]
    TooShort {
        /// Bytes that came.
        got: u64,
        /// Bytes of the model.
        expected: u64,
    },
    /// The values are not what the sender sent.
    #[error(
        "the digest of the {bytes} bytes that came is not the one the sender gave: the data was damaged on the way"
    )]
    Digest {
        /// Bytes that came.
        bytes: u64,
    },
}

/// The bytes of `values` in chunks of at most [`CHUNK_BYTES`], without copying on little-endian machines.
pub fn chunks(values: &[f32]) -> impl Iterator<Item = std::borrow::Cow<'_, [u8]>> {
    values.chunks(CHUNK_BYTES / 4).map(|chunk| {
        if cfg!(target_endian = "little") {
            bytemuck::cast_slice(chunk).into()
        } else {
            chunk.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()
        }
    })
}

/// Fills a model-sized buffer from bytes that arrive in pieces of any size, and hashes them on the way.
#[derive(Debug)]
pub struct ValueReader<'a> {
    values: &'a mut [f32],
    filled_bytes: usize,
    hasher: blake3::Hasher,
}

impl<'a> ValueReader<'a> {
    /// Begins to fill `values`.
    #[must_use]
    pub fn new(values: &'a mut [f32]) -> Self {
        Self { values, filled_bytes: 0, hasher: blake3::Hasher::new() }
    }

    /// Bytes still missing.
    #[must_use]
    pub fn missing_bytes(&self) -> usize {
        self.values.len() * 4 - self.filled_bytes
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When there are more than are missing.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ValuesError> {
        if bytes.len() > self.missing_bytes() {
            return Err(ValuesError::TooLong { expected: self.values.len() as u64 * 4 });
        }
        self.hasher.update(bytes);
        place(self.values, self.filled_bytes, bytes);
        self.filled_bytes += bytes.len();
        Ok(())
    }

    /// Ends the stream and compares the digest the sender gave.
    ///
    /// # Errors
    /// When bytes are missing or the digest differs.
    pub fn finish(self, digest: [u8; DIGEST_BYTES]) -> Result<Digest, ValuesError> {
        let expected = self.values.len() as u64 * 4;
        if self.missing_bytes() > 0 {
            return Err(ValuesError::TooShort { got: self.filled_bytes as u64, expected });
        }
        let found = Digest(*self.hasher.finalize().as_bytes());
        if found == Digest(digest) { Ok(found) } else { Err(ValuesError::Digest { bytes: expected }) }
    }
}

/// Writes `bytes` of little-endian `values` to where byte `at` of them is. What does not fit is left out.
pub(super) fn place(values: &mut [f32], at: usize, bytes: &[u8]) {
    if cfg!(target_endian = "little") {
        let all: &mut [u8] = bytemuck::cast_slice_mut(values);
        if let Some(place) = all.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    } else {
        for (at, byte) in (at..).zip(bytes) {
            if let Some(value) = values.get_mut(at / 4) {
                let mut parts = value.to_le_bytes();
                parts[at % 4] = *byte;
                *value = f32::from_le_bytes(parts);
            }
        }
    }
}
