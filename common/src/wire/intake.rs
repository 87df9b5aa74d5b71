//! An update's values as they come in, in pieces and over several connections.

use super::values::{ValuesError, place};
use crate::ids::Digest;
use crate::update::Buffer;

/// Fills the vectors of an update one after the other from bytes that arrive in pieces of any size, and hashes them on the
/// way. It may be put aside in the middle and go on later.
#[derive(Debug)]
pub struct Intake {
    vectors: Vec<Buffer>,
    filled_bytes: usize,
    bytes: usize,
    hasher: blake3::Hasher,
}

impl Intake {
    /// Begins to fill `vectors`.
    #[must_use]
    pub fn new(vectors: Vec<Buffer>) -> Self {
        let bytes = vectors.iter().map(|vector| 4 * vector.len()).sum();
        Self { vectors, filled_bytes: 0, bytes, hasher: blake3::Hasher::new() }
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// Bytes that are here.
    #[must_use]
    pub fn filled_bytes(&self) -> u64 {
        self.filled_bytes as u64
    }

    /// Bytes still missing.
    #[must_use]
    pub fn missing_bytes(&self) -> usize {
        self.bytes - self.filled_bytes
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When there are more than are missing; none of them is taken then.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ValuesError> {
        if bytes.len() > self.missing_bytes() {
            return Err(ValuesError::TooLong { expected: self.bytes() });
        }
        self.hasher.update(bytes);
        let mut begin = 0;
        for vector in &mut self.vectors {
            let end = begin + 4 * vector.len();
            if self.filled_bytes < end && !bytes.is_empty() {
                let (here, rest) = bytes.split_at(bytes.len().min(end - self.filled_bytes));
                place(vector, self.filled_bytes - begin, here);
                self.filled_bytes += here.len();
                bytes = rest;
            }
            begin = end;
        }
        Ok(())
    }

    /// The filled vectors, if they are what the sender has.
    ///
    /// # Errors
    /// When bytes are missing or the digest differs.
    pub fn finish(self, digest: Digest) -> Result<Vec<Buffer>, ValuesError> {
        if self.missing_bytes() > 0 {
            return Err(ValuesError::TooShort { got: self.filled_bytes(), expected: self.bytes() });
        }
        match Digest(*self.hasher.finalize().as_bytes()) == digest {
            true => Ok(self.vectors),
            false => Err(ValuesError::Digest { bytes: self.bytes as u64 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::vectors_digest;

    const FIRST: [f32; 3] = [1.0, -2.5, 3.25];
    const SECOND: [f32; 2] = [7.0, 0.125];

    fn bytes() -> Vec<u8> {
        FIRST.iter().chain(&SECOND).flat_map(|value| value.to_le_bytes()).collect()
    }

    fn intake() -> Intake {
        Intake::new(vec![Buffer::from(vec![0.0; 3]), Buffer::from(vec![0.0; 2])])
    }

    #[test]
    fn pieces_of_any_size_fill_the_vectors_in_order() {
        for size in 1..=bytes().len() {
            let mut intake = intake();
            for piece in bytes().chunks(size) {
                intake.push(piece).unwrap();
            }
            let vectors = intake.finish(vectors_digest(&[&FIRST, &SECOND])).unwrap();
            assert_eq!((&*vectors[0], &*vectors[1]), (FIRST.as_slice(), SECOND.as_slice()), "pieces of {size}");
        }
    }

    #[test]
    fn too_many_too_few_and_other_bytes_are_refused() {
        let digest = vectors_digest(&[&FIRST, &SECOND]);
        let mut long = intake();
        assert_eq!(long.push(&[0; 21]), Err(ValuesError::TooLong { expected: 20 }));
        assert_eq!(long.filled_bytes(), 0);
        let mut short = intake();
        short.push(&bytes()[..19]).unwrap();
        assert_eq!(short.finish(digest).unwrap_err(), ValuesError::TooShort { got: 19, expected: 20 });
        let mut other = intake();
        let mut changed = bytes();
        changed[5] ^= 1;
        other.push(&changed).unwrap();
        assert_eq!(other.finish(digest).unwrap_err(), ValuesError::Digest { bytes: 20 });
    }
}
