//! Reading who somebody is from a certificate.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use synod_common::ids::SiteName;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::CLOCK_SKEW_ALLOWANCE;
use crate::role::{Role, URI_PREFIX};
use crate::when;

/// Largest certificate read. Ours take about 500 bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Who the holder of a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// What it is.
    pub role: Role,
    /// What it is called.
    pub name: SiteName,
    /// Its key. Name and key together are the identity; a revocation names both.
    pub fingerprint: KeyFingerprint,
    /// From when the certificate is valid.
    pub not_before: SystemTime,
    /// Until when, inclusive.
    pub not_after: SystemTime,
}

impl PeerIdentity {
    /// When to renew: at two thirds of the life of the certificate.
    #[must_use]
    pub fn renew_at(&self) -> SystemTime {
        let issued = self.not_before.checked_add(CLOCK_SKEW_ALLOWANCE).unwrap_or(self.not_before);
        let life = when::between(issued, self.not_after);
        issued.checked_add(life / 3 * 2).unwrap_or(self.not_after)
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

/// Why a certificate does not say who its holder is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It is too large to read.
    #[error(
        "could not read a certificate: it has {bytes} bytes, {CERTIFICATE_BYTES_MAX} are allowed; use one that `synod certs` made"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is no certificate.
    #[error("could not read a certificate: it is not valid X.509 in DER; use one that `synod certs` made")]
    Malformed,
    /// It is the certificate of an authority.
    #[error("could not tell who a certificate is for: it is an authority's own; use the certificate of an identity")]
    Authority,
    /// It carries no name of ours, or several.
    #[error(
        "could not tell who a certificate is for: it carries {found} names like synod:site:st-vincent where one is wanted; use one that `synod certs` made"
    )]
    Names {
        /// How many it carries.
        found: usize,
    },
    /// Its name does not follow the rules.
    #[error(
        "could not tell who a certificate is for: {uri:?} is not synod:ROLE:NAME with a known role and a valid name; use one that `synod certs` made, or a newer synod"
    )]
    BadName {
        /// What it carries, shortened.
        uri: String,
    },
    /// Its permitted uses are not those of its role.
    #[error(
        "refused the certificate of {role} {name}: its permitted uses are not those of that role; make it again with `synod certs`"
    )]
    Usage {
        /// The role it claims.
        role: Role,
        /// The name it claims.
        name: SiteName,
    },
    /// Its role may not do what it was used for.
    #[error("refused the certificate of {role} {name}: {purpose}; use an identity of the right role")]
    WrongRole {
        /// Its role.
        role: Role,
        /// Its name.
        name: SiteName,
        /// What is allowed instead.
        purpose: &'static str,
    },
}

/// Reads who the holder of a certificate is.
///
/// This only reads: it checks no signature and no date. Call it on what the TLS handshake has verified, as every connection made
/// with [`tls`](crate::tls) has, or on a certificate of one's own.
///
/// # Errors
/// When `certificate` is too large, is no certificate, is an authority's, carries no role and name, or is permitted other
/// uses than its role's. No input makes it panic.
pub fn peer_of(certificate: &[u8]) -> Result<PeerIdentity, PeerError> {
    if certificate.len() > CERTIFICATE_BYTES_MAX {
        return Err(PeerError::TooLarge { bytes: certificate.len() });
    }
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| PeerError::Malformed)?;
    if !rest.is_empty() {
        return Err(PeerError::Malformed);
    }
    if parsed.is_ca() {
        return Err(PeerError::Authority);
    }
    let (role, name) = subject_of(&parsed)?;
    if !usage_fits(&parsed, role) {
        return Err(PeerError::Usage { role, name });
    }
    let time = |seconds| when::from_unix_seconds(seconds).ok_or(PeerError::Malformed);
    Ok(PeerIdentity {
        role,
        name,
        fingerprint: KeyFingerprint::of_key_info(parsed.public_key().raw),
        not_before: time(parsed.validity().not_before.timestamp())?,
        not_after: time(parsed.validity().not_after.timestamp())?,
    })
}

/// The common name in a certificate, where it is a valid name.
pub(crate) fn peer_name(certificate: &[u8]) -> Option<SiteName> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    SiteName::new(parsed.subject().iter_common_name().next()?.as_str().ok()?).ok()
}

fn subject_of(certificate: &X509Certificate<'_>) -> Result<(Role, SiteName), PeerError> {
    let names = certificate.subject_alternative_name().map_err(|_| PeerError::Malformed)?;
    let mut ours = names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with(URI_PREFIX) => Some(*uri),
        _ => None,
    });
    let (uri, more) = (ours.next(), ours.count());
    let Some(uri) = uri.filter(|_| more == 0) else {
        return Err(PeerError::Names { found: usize::from(uri.is_some()) + more });
    };
    let parsed = uri.strip_prefix(URI_PREFIX).and_then(|rest| rest.split_once(':')).and_then(|(role, name)| {
        let role = role.parse().ok()?;
        Some((role, SiteName::new(name).ok()?))
    });
    parsed.ok_or_else(|| PeerError::BadName { uri: uri.chars().take(100).collect() })
}

/// A coordinator's certificate serves and nothing else; every other one connects and nothing else.
fn usage_fits(certificate: &X509Certificate<'_>, role: Role) -> bool {
    let Ok(Some(usage)) = certificate.extended_key_usage() else {
        return false;
    };
    let (server, client) = match role {
        Role::Coordinator => (true, false),
        Role::Site | Role::Operator | Role::Observer => (false, true),
    };
    !usage.value.any && usage.value.server_auth == server && usage.value.client_auth == client
}

/// The SHA-256 digest of a public key as certificates carry it (DER `SubjectPublicKeyInfo`).
///
/// SHA-256 because other tools must be able to compute it, here for a certificate in a file:
/// `openssl x509 -in certificate.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint(pub [u8; 32]);

/// Why a text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key fingerprint is sha256: and 64 hex digits, this text has another form; copy it whole")]
pub struct FingerprintError;

impl KeyFingerprint {
    /// The fingerprint of a public key in DER.
    pub(crate) fn of_key_info(key_info: &[u8]) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, key_info).as_ref());
        Self(fingerprint)
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyFingerprint {
    type Err = FingerprintError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64).ok_or(FingerprintError)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let mut nibbles = pair.iter().map(|digit| char::from(*digit).to_digit(16));
            let value = nibbles.try_fold(0, |value, nibble| Some(value * 16 + nibble?));
            *byte = value.and_then(|value| u8::try_from(value).ok()).ok_or(FingerprintError)?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for KeyFingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyFingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType};

    use super::*;
    use crate::authority::Authority;
    use crate::identity::Identity;
    use crate::role::Subject;

    fn self_signed(uris: &[&str], usage: &[ExtendedKeyUsagePurpose]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.extended_key_usages = usage.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn issued() -> Vec<u8> {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_502_530);
        let day = Duration::from_secs(86_400);
        let authority = Authority::generate(&SiteName::new("study-a").unwrap(), now, day).unwrap();
        let subject = Subject::site(SiteName::new("st-vincent").unwrap());
        authority.issue(Identity::generate().unwrap().request(), &subject, now, day).unwrap().to_vec()
    }

    #[test]
    fn names_outside_the_rules_are_refused() {
        let client = [ExtendedKeyUsagePurpose::ClientAuth];
        assert!(peer_of(&self_signed(&["synod:site:a", "https://example.org"], &client)).is_ok());
        assert_eq!(peer_of(&self_signed(&[], &client)), Err(PeerError::Names { found: 0 }));
        let two = self_signed(&["synod:site:a", "synod:site:b"], &client);
        assert_eq!(peer_of(&two), Err(PeerError::Names { found: 2 }));
        for bad in ["synod:", "synod:site", "synod:king:a", "synod:site:A", "synod:site:a:b", "synod:site:"] {
            assert_eq!(peer_of(&self_signed(&[bad], &client)), Err(PeerError::BadName { uri: bad.to_owned() }));
        }
    }

    #[test]
    fn uses_that_do_not_fit_the_role_are_refused() {
        use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};

        for (uri, usage) in [
            ("synod:site:a", vec![ServerAuth]),
            ("synod:site:a", vec![ClientAuth, ServerAuth]),
            ("synod:site:a", vec![ClientAuth, Any]),
            ("synod:operator:a", vec![]),
            ("synod:coordinator:a", vec![ClientAuth]),
        ] {
            let answer = peer_of(&self_signed(&[uri], &usage));
            assert!(matches!(answer, Err(PeerError::Usage { .. })), "{uri} {usage:?}: {answer:?}");
        }
        assert!(peer_of(&self_signed(&["synod:coordinator:a"], &[ServerAuth])).is_ok());
    }

    #[test]
    fn size_and_trailing_bytes_are_checked() {
        let mut certificate = issued();
        certificate.push(0);
        assert_eq!(peer_of(&certificate), Err(PeerError::Malformed));
        certificate.resize(CERTIFICATE_BYTES_MAX + 1, 0);
        assert_eq!(peer_of(&certificate), Err(PeerError::TooLarge { bytes: CERTIFICATE_BYTES_MAX + 1 }));
    }

    #[test]
    fn fingerprints_round_trip_as_text() {
        // SHA-256 of "abc", from the standard.
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let fingerprint = KeyFingerprint::of_key_info(b"abc");
        assert_eq!((fingerprint.to_string().as_str(), text.parse()), (text, Ok(fingerprint)));
        for bad in ["", "sha256:", &text[7..], &text.replace('b', "g"), &format!("{text}0"), "sha256:+1", "md5:00"] {
            assert_eq!(bad.parse::<KeyFingerprint>(), Err(FingerprintError), "{bad}");
        }
    }

    #[test]
    fn no_bytes_panic() {
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..2_000))| {
            prop_assert!(peer_of(&bytes).is_err());
        });
    }

    #[test]
    fn no_mutated_certificate_panics() {
        let certificate = issued();
        let change = (any::<prop::sample::Index>(), any::<u8>());
        let changes = proptest::collection::vec(change, 1..6);
        proptest!(ProptestConfig::with_cases(4_000), |(changes in changes, cut in any::<prop::sample::Index>())| {
            let mut mutated = certificate.clone();
            for (at, byte) in &changes {
                mutated[at.index(certificate.len())] = *byte;
            }
            let _ = peer_of(&mutated);
            prop_assert!(peer_of(&mutated[..cut.index(certificate.len())]).is_err());
        });
    }
}
