//! Names and numbers with a meaning: sites, clients, rounds, digests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest site name, in bytes. 63 is the longest DNS label, and certificates carry the name as one.
pub const SITE_NAME_BYTES_MAX: usize = 63;

/// The name of a site: lower-case letters, digits and inner hyphens, 1 to 63 characters (a DNS label).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SiteName(String);

/// Why a text is no site name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a site name: use 1 to {SITE_NAME_BYTES_MAX} lower-case letters, digits and inner hyphens, like st-vincent"
)]
pub struct SiteNameError(String);

impl SiteName {
    /// Checks `name`.
    ///
    /// # Errors
    /// When `name` is empty, longer than 63 bytes, has a character other than `a-z`, `0-9`, `-`, or begins or ends
    /// with a hyphen.
    pub fn new(name: &str) -> Result<Self, SiteNameError> {
        let shaped = !name.is_empty()
            && name.len() <= SITE_NAME_BYTES_MAX
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-');
        if shaped { Ok(Self(name.to_owned())) } else { Err(SiteNameError(name.chars().take(80).collect())) }
    }

    /// Makes a site name from any text: other characters become hyphens (`"St. Vincent"` gives `st-vincent`).
    /// Returns `None` when no letter or digit is left.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
            if name.len() == SITE_NAME_BYTES_MAX {
                break;
            }
        }
        Self::new(name.trim_end_matches('-')).ok()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The client id that stands for this site in random streams and in sorting.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        let hash = blake3::derive_key("synod 2026 client id", self.0.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        ClientId(id)
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiteName {
    type Err = SiteNameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

impl<'de> Deserialize<'de> for SiteName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The id of a client: a digest of its site's name, so that it is the same in the simulator and over the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub [u8; 16]);

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

/// The number of a round, counted from 1. Round 0 stands for the time before the first round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoundId(pub u64);

impl RoundId {
    /// The round after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A BLAKE3 digest. Shown as hex; `Debug` shows the first eight digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first eight hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.short())
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hex digits, this text has another form")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(s).map(|h| Self(*h.as_bytes())).map_err(|_| DigestError)
    }
}

// As text in JSON and TOML, as 32 bytes on the wire.
impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_names_are_dns_labels() {
        for good in ["a", "st-vincent", "site-0042", "9to5"] {
            assert_eq!(SiteName::new(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "a-", "St", "a_b", "a.b", "é", &"x".repeat(64)] {
            assert!(SiteName::new(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn any_text_with_a_letter_becomes_a_site_name() {
        assert_eq!(SiteName::from_text("St. Vincent's (A)").map(|n| n.to_string()), Some("st-vincent-s-a".to_owned()));
        assert_eq!(SiteName::from_text("***"), None);
    }

    #[test]
    fn client_ids_are_stable() {
        // Pinned: a change here changes every random stream of every run.
        let id = SiteName::new("site-0").expect("a valid name").client_id();
        assert_eq!(id, SiteName::new("site-0").expect("a valid name").client_id());
        assert_ne!(id, SiteName::new("site-1").expect("a valid name").client_id());
    }

    #[test]
    fn digests_round_trip_as_text() {
        let digest = Digest::of(b"synod");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("xyz".parse::<Digest>().is_err());
    }
}
