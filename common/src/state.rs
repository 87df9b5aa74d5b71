//! What a method remembers from one round to the next: named vectors and numbers, and their form on disk.
//!
//! ```text
//! "SYNS" | version u16 | numbers u16 | vectors u16
//!        | numbers x (name, f64)
//!        | vectors x (name, length u64, length x f32)
//!        | BLAKE3 of everything before, 32 bytes
//! ```
//!
//! All little-endian; a name is a length byte and 1 to 64 bytes of `a-z 0-9 _ .`, names ascend, values are finite. One state
//! has one byte form, and every other text is refused before memory is taken for it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ids::Digest;

/// Most numbers and most vectors of one state: methods have a handful, and FedPAC a vector for each site.
pub const STATE_ENTRIES_MAX: usize = 16_384;
/// Longest name, in bytes.
pub const STATE_NAME_BYTES_MAX: usize = 64;

const MAGIC: &[u8; 4] = b"SYNS";
const VERSION: u16 = 1;
const DIGEST_BYTES: usize = 32;

type Name = Cow<'static, str>;

/// Named vectors and numbers. Empty for a method that remembers nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    numbers: BTreeMap<Name, f64>,
    vectors: BTreeMap<Name, Vec<f32>>,
}

/// Why bytes are no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The bytes are not what was written: cut, changed, or of another kind.
    #[error("the saved state is damaged ({0}); restore the file from a copy, or begin the run anew")]
    Damaged(&'static str),
    /// Written by another release.
    #[error("the saved state has version {0}, this release reads version {VERSION}; use the release that wrote it")]
    Version(u16),
    /// More values than the model explains.
    #[error("the saved state claims {claimed} values, at most {max} belong to this model; it is of another run")]
    TooLarge {
        /// Values it claims so far.
        claimed: u64,
        /// Values allowed.
        max: usize,
    },
    /// A name breaks the rules, is used twice or stands out of order.
    #[error("the saved state has a wrong name {0:?}: names ascend and are 1 to 64 of a-z, 0-9, `_` and `.`")]
    Name(String),
    /// A vector does not have one value for each of the model's.
    #[error("`{name}` in the saved state has {found} values, the model has {expected}; it is of another run")]
    Length {
        /// The vector.
        name: &'static str,
        /// Its values.
        found: usize,
        /// Values of the model.
        expected: usize,
    },
    /// NaN or infinity.
    #[error("`{0}` in the saved state is not finite; restore an earlier state")]
    NonFinite(String),
}

impl State {
    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.vectors.is_empty()
    }

    /// The number called `name`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// Sets the number called `name`.
    pub fn set_number(&mut self, name: &'static str, value: f64) {
        self.numbers.insert(Cow::Borrowed(name), value);
    }

    /// The vector called `name`.
    #[must_use]
    pub fn vector(&self, name: &str) -> Option<&[f32]> {
        self.vectors.get(name).map(Vec::as_slice)
    }

    /// Sets the vector called `name`.
    pub fn set_vector(&mut self, name: &'static str, values: Vec<f32>) {
        self.vectors.insert(Cow::Borrowed(name), values);
    }

    /// Sets the vector called `name`, a name that is put together at run time.
    ///
    /// # Errors
    /// [`StateError::Name`] if it breaks the rules for names; nothing is set then.
    pub fn set_named_vector(&mut self, name: &str, values: Vec<f32>) -> Result<(), StateError> {
        if !is_name(name) {
            return Err(StateError::Name(name.chars().take(STATE_NAME_BYTES_MAX).collect()));
        }
        self.vectors.insert(Cow::Owned(name.to_owned()), values);
        Ok(())
    }

    /// Takes the vector called `name` out, to be changed and set again; `None` where it is not there yet.
    ///
    /// # Errors
    /// [`StateError::Length`] if it does not have `length` values; it stays then.
    pub fn take_vector(&mut self, name: &'static str, length: usize) -> Result<Option<Vec<f32>>, StateError> {
        match self.vectors.get(name).map(Vec::len) {
            Some(found) if found != length => Err(StateError::Length { name, found, expected: length }),
            _ => Ok(self.vectors.remove(name)),
        }
    }

    /// Names and values of all vectors, in the order of the names.
    pub fn vectors(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.vectors.iter().map(|(name, values)| (name.as_ref(), values.as_slice()))
    }

    /// The byte form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let values: usize = self.vectors.values().map(Vec::len).sum();
        let mut out = Vec::with_capacity(128 + 4 * values);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for entries in [self.numbers.len(), self.vectors.len()] {
            out.extend_from_slice(&u16::try_from(entries).unwrap_or(u16::MAX).to_le_bytes());
        }
        let name = |out: &mut Vec<u8>, name: &Name| {
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(name.as_bytes());
        };
        for (key, value) in &self.numbers {
            name(&mut out, key);
            out.extend_from_slice(&value.to_le_bytes());
        }
        for (key, values) in &self.vectors {
            name(&mut out, key);
            out.extend_from_slice(&(values.len() as u64).to_le_bytes());
            out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        let digest = Digest::of(&out);
        out.extend_from_slice(&digest.0);
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. `values_max` is the most values that all vectors may have together:
    /// what the method keeps for a model of this size.
    ///
    /// # Errors
    /// [`StateError`] says what is wrong; nothing is taken from bytes that are not whole.
    pub fn from_bytes(bytes: &[u8], values_max: usize) -> Result<Self, StateError> {
        let mut rest = Reader(bytes);
        if rest.take(MAGIC.len())? != MAGIC {
            return Err(StateError::Damaged("it does not begin as a state does"));
        }
        let version = u16::from_le_bytes(rest.array()?);
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let body = bytes.len().checked_sub(DIGEST_BYTES).and_then(|at| bytes.split_at_checked(at));
        let (body, digest) = body.ok_or(StateError::Damaged("it is too short"))?;
        if Digest::of(body).0 != digest {
            return Err(StateError::Damaged("its digest does not fit"));
        }
        let mut rest = Reader(body.get(MAGIC.len() + 2..).unwrap_or_default());
        let (numbers, vectors) = (u16::from_le_bytes(rest.array()?), u16::from_le_bytes(rest.array()?));
        if usize::from(numbers.max(vectors)) > STATE_ENTRIES_MAX {
            return Err(StateError::Damaged("it has too many entries"));
        }
        let mut state = Self::default();
        for _ in 0..numbers {
            let name = rest.name(state.numbers.last_key_value().map(|(name, _)| name))?;
            let value = f64::from_le_bytes(rest.array()?);
            if !value.is_finite() {
                return Err(StateError::NonFinite(name.into_owned()));
            }
            state.numbers.insert(name, value);
        }
        let mut claimed = 0_u64;
        for _ in 0..vectors {
            let name = rest.name(state.vectors.last_key_value().map(|(name, _)| name))?;
            let length = u64::from_le_bytes(rest.array()?);
            claimed = claimed.saturating_add(length);
            if claimed > values_max as u64 {
                return Err(StateError::TooLarge { claimed, max: values_max });
            }
            let raw = rest.take(usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(4))?;
            let (values, _) = raw.as_chunks::<4>();
            let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
            if values.iter().any(|v| !v.is_finite()) {
                return Err(StateError::NonFinite(name.into_owned()));
            }
            state.vectors.insert(name, values);
        }
        if rest.0.is_empty() { Ok(state) } else { Err(StateError::Damaged("bytes are left over")) }
    }
}

fn is_name(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.');
    (1..=STATE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(sound)
}

/// Takes bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], StateError> {
        let (front, rest) = self.0.split_at_checked(bytes).ok_or(StateError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let (front, rest) = self.0.split_first_chunk().ok_or(StateError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*front)
    }

    /// A name that comes after `previous`.
    fn name(&mut self, previous: Option<&Name>) -> Result<Name, StateError> {
        let [length] = self.array()?;
        let bytes = self.take(usize::from(length))?;
        let name = String::from_utf8_lossy(bytes).into_owned();
        let ascends = previous.is_none_or(|p| p.as_ref() < name.as_str());
        if is_name(&name) && ascends { Ok(Cow::Owned(name)) } else { Err(StateError::Name(name)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> State {
        let mut state = State::default();
        state.set_number("rounds", 3.0);
        state.set_vector("momentum", vec![1.5, -2.0]);
        state.set_vector("variance", vec![0.25]);
        state
    }

    /// `body` with the digest that belongs to it.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &Digest::of(body).0].concat()
    }

    #[test]
    fn the_byte_form_is_this() {
        let mut state = State::default();
        state.set_number("n", 1.0);
        state.set_vector("v", vec![2.0]);
        let body = b"SYNS\x01\0\x01\0\x01\0\x01n\0\0\0\0\0\0\xf0\x3f\x01v\x01\0\0\0\0\0\0\0\0\0\0\x40";
        assert_eq!(state.to_bytes(), sealed(body));
    }

    #[test]
    fn it_reads_back_and_is_bounded() {
        for state in [some(), State::default()] {
            assert_eq!(State::from_bytes(&state.to_bytes(), 3), Ok(state));
        }
        assert_eq!(State::from_bytes(&some().to_bytes(), 2), Err(StateError::TooLarge { claimed: 3, max: 2 }));
    }

    #[test]
    fn a_cut_or_changed_state_is_refused_at_every_byte() {
        let bytes = some().to_bytes();
        for at in 0..bytes.len() {
            assert!(State::from_bytes(&bytes[..at], 3).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(State::from_bytes(&changed, 3).is_err(), "changed at {at}");
        }
        assert!(State::from_bytes(&[&bytes[..], &[0]].concat(), 3).is_err());
    }

    #[test]
    fn what_is_sealed_but_wrong_is_refused_with_the_reason() {
        let read = |body: &[u8]| State::from_bytes(&sealed(body), 10).unwrap_err();
        assert_eq!(read(b"SYNS\x02\0\0\0\0\0"), StateError::Version(2));
        assert!(matches!(read(b"SYNS\x01\0\xff\xff\0\0"), StateError::Damaged(_)));
        assert!(matches!(read(b"SYNS\x01\0\0\0\0\0x"), StateError::Damaged(_)), "left over");
        let twice = b"SYNS\x01\0\x02\0\0\0\x01n\0\0\0\0\0\0\0\0\x01n\0\0\0\0\0\0\0\0";
        assert_eq!(read(twice), StateError::Name("n".into()));
        assert_eq!(read(b"SYNS\x01\0\x01\0\0\0\x01N\0\0\0\0\0\0\0\0"), StateError::Name("N".into()));
        assert_eq!(read(b"SYNS\x01\0\x01\0\0\0\x01n\0\0\0\0\0\0\xf8\x7f"), StateError::NonFinite("n".into()));
        assert_eq!(
            read(b"SYNS\x01\0\0\0\x01\0\x01v\xff\xff\xff\xff\xff\xff\xff\xff"),
            StateError::TooLarge { claimed: u64::MAX, max: 10 }
        );
        assert!(
            matches!(read(b"SYNS\x01\0\0\0\x01\0\x01v\x09\0\0\0\0\0\0\0"), StateError::Damaged(_)),
            "forged length"
        );
    }

    #[test]
    fn a_vector_is_taken_out_at_its_length_only() {
        let mut state = some();
        let wrong = StateError::Length { name: "momentum", found: 2, expected: 3 };
        assert_eq!(state.take_vector("momentum", 3), Err(wrong));
        assert_eq!(state.vectors().map(|(name, _)| name).collect::<Vec<_>>(), ["momentum", "variance"]);
        assert_eq!(state.take_vector("momentum", 2), Ok(Some(vec![1.5, -2.0])));
        assert_eq!(state.take_vector("momentum", 2), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(0u8.., 0..80)) {
            let _ = State::from_bytes(&body, 100);
            let _ = State::from_bytes(&sealed(&[b"SYNS\x01\0", body.as_slice()].concat()), 100);
        }
    }
}
