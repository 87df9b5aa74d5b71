//! The private authority of a federation: it says who is who by signing certificates.

mod rotation;
mod sealed;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, ServerName};
use synod_common::ids::SiteName;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files::{self, FileError, Overwrite};
use crate::key::SecretKey;
use crate::peer::KeyFingerprint;
use crate::request::{self, RequestProblem};
use crate::role::{Role, SERVER_NAME, Subject};
use crate::when;

pub use rotation::{RotationProblem, authority_key, trusted_after};

/// How far before its making a certificate is valid already, so that a machine whose clock is this much behind accepts it.
pub const CLOCK_SKEW_ALLOWANCE: Duration = Duration::from_secs(5 * 60);

/// Shortest validity; below it a certificate would end before it is used. So short that renewal can be watched.
pub const VALIDITY_MIN: Duration = Duration::from_secs(2);

/// Longest validity, 30 years of 365 days; above it there is a mistake in a unit.
pub const VALIDITY_MAX: Duration = Duration::from_secs(30 * 365 * 86_400);

const CERTIFICATE_FILE: &str = "authority.pem";
const KEY_FILE: &str = "authority.key.pem";

/// A private authority: its certificate, which every member of the federation trusts, and its key.
///
/// `Debug` shows the fingerprint of the key, never the key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: SecretKey,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// Why an authority could not be made, loaded, or did not sign.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file of the authority.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate in the folder is no authority's.
    #[error(
        "could not load the authority in {folder}: {CERTIFICATE_FILE} is not the certificate of an authority; restore the folder from its backup"
    )]
    NotAnAuthority {
        /// The folder.
        folder: PathBuf,
    },
    /// Key and certificate do not belong together.
    #[error(
        "could not load the authority in {folder}: {KEY_FILE} is not the key of {CERTIFICATE_FILE}; restore both files from the same backup"
    )]
    KeyMismatch {
        /// The folder.
        folder: PathBuf,
    },
    /// The validity asked for is out of range.
    #[error(
        "could not make a certificate valid for {}: from {} to {} is possible; give another validity", when::span(*.validity), when::span(VALIDITY_MIN), when::span(VALIDITY_MAX)
    )]
    Validity {
        /// What was asked for.
        validity: Duration,
    },
    /// The time is one that certificates cannot hold.
    #[error("could not make a certificate: the clock gives {}; set the clock of this machine", when::text(*.now))]
    Clock {
        /// The time that was given.
        now: SystemTime,
    },
    /// The authority itself is not valid now.
    #[error(
        "could not sign the certificate of {subject}: the authority is valid from {} to {} and it is {}; check the clock of this machine, or make a new authority", when::text(*.not_before), when::text(*.not_after), when::text(*.now)
    )]
    OutOfDate {
        /// For whom.
        subject: String,
        /// From when the authority is valid.
        not_before: SystemTime,
        /// Until when.
        not_after: SystemTime,
        /// The time that was given.
        now: SystemTime,
    },
    /// The request proves nothing or cannot be used.
    #[error("refused the certificate request of {subject}: {problem}")]
    Request {
        /// For whom.
        subject: String,
        /// What is wrong with it.
        problem: RequestProblem,
    },
    /// The key in the folder is sealed, and the passphrase does not open it.
    #[error(
        "could not unlock the authority in {folder}: the passphrase or key file does not open {KEY_FILE}; use the one that was given when the authority was made"
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The cryptographic library failed.
    #[error("could not make a key or sign a certificate: {0}; this is unexpected, please report it")]
    Crypto(#[source] rcgen::Error),
}

impl Authority {
    /// A new authority with a new key, valid from now (less [`CLOCK_SKEW_ALLOWANCE`]) for `validity`.
    ///
    /// The name tells people authorities apart; it has the shape of a site's name. Trust rests on the key alone.
    ///
    /// # Errors
    /// When `validity` or `now` is out of range, or the system gives no randomness.
    pub fn generate(name: &SiteName, now: SystemTime, validity: Duration) -> Result<Self, AuthorityError> {
        let (not_before, not_after) = period(now, validity)?;
        let key = SecretKey::generate().map_err(AuthorityError::Crypto)?;
        let mut params = params("Synod authority", name, not_before, not_after)?;
        // One authority below this one: its successor, when it is rotated.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(key.pair()).map_err(AuthorityError::Crypto)?;
        Ok(Self {
            certificate: certificate.into(),
            key,
            not_before: SystemTime::from(not_before),
            not_after: SystemTime::from(not_after),
        })
    }

    /// Loads the authority that [`save`](Self::save) put into `folder`.
    ///
    /// # Errors
    /// When a file is missing, unreadable or something else, others can read the key, or the two do not belong together.
    pub fn load(folder: &Path) -> Result<Self, AuthorityError> {
        Self::with_key(folder, files::read_key(&folder.join(KEY_FILE))?)
    }

    fn with_key(folder: &Path, key: SecretKey) -> Result<Self, AuthorityError> {
        let certificate = files::read_certificate(&folder.join(CERTIFICATE_FILE))?;
        let not_an_authority = || AuthorityError::NotAnAuthority { folder: folder.to_owned() };
        let (key_info, not_before, not_after) = read_authority(&certificate).ok_or_else(not_an_authority)?;
        if key_info != key.public_key_info() {
            return Err(AuthorityError::KeyMismatch { folder: folder.to_owned() });
        }
        Ok(Self { certificate, key, not_before, not_after })
    }

    /// Saves the authority into `folder`, which is made if it is not there: `authority.pem` for everybody, `authority.key.pem`
    /// readable by its owner only.
    ///
    /// # Errors
    /// When one of the files is there already and `overwrite` says to refuse, or the system refuses to write.
    pub fn save(&self, folder: &Path, overwrite: Overwrite) -> Result<(), AuthorityError> {
        let (certificate, key) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
        files::make_folder(folder)?;
        files::refuse_existing(&[&certificate, &key], overwrite)?;
        files::write_key(&key, &self.key, overwrite)?;
        files::write_certificate(&certificate, &self.certificate, overwrite)?;
        Ok(())
    }

    /// Certifies that the key in `request` belongs to `subject`, for `validity` from `now` (and from
    /// [`CLOCK_SKEW_ALLOWANCE`] before it), but never beyond the end of this authority.
    ///
    /// Only the public key is taken from the request. Names and permitted uses come from `subject`, whatever the request asks for.
    ///
    /// # Errors
    /// When the request is malformed, not signed by its own key or for another kind of key than P-256; when this authority is
    /// not valid at `now`; when `validity` or `now` is out of range.
    pub fn issue(
        &self,
        request: &CertificateSigningRequestDer<'_>,
        subject: &Subject,
        now: SystemTime,
        validity: Duration,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        if now < self.not_before || now > self.not_after {
            let (not_before, not_after) = (self.not_before, self.not_after);
            return Err(AuthorityError::OutOfDate { subject: subject.to_string(), not_before, not_after, now });
        }
        let public_key = request::public_key(request)
            .map_err(|problem| AuthorityError::Request { subject: subject.to_string(), problem })?;
        let (not_before, not_after) = period(now, validity)?;
        let not_after = not_after.min(OffsetDateTime::from(self.not_after));
        let mut params = params("Synod", subject.name(), not_before, not_after)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match subject.role() {
            Role::Coordinator => ExtendedKeyUsagePurpose::ServerAuth,
            Role::Site | Role::Operator | Role::Observer => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.subject_alt_names = names(subject).map_err(AuthorityError::Crypto)?;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, self.key.pair()).map_err(AuthorityError::Crypto)?;
        Ok(params.signed_by(&public_key, &issuer).map_err(AuthorityError::Crypto)?.into())
    }

    /// The certificate that members of the federation trust.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The digest of the authority's public key, by which others can pin it.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of_key_info(&self.key.public_key_info())
    }

    /// Until when the authority, and with it everything it signs, is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn period(now: SystemTime, validity: Duration) -> Result<(OffsetDateTime, OffsetDateTime), AuthorityError> {
    if !(VALIDITY_MIN..=VALIDITY_MAX).contains(&validity) {
        return Err(AuthorityError::Validity { validity });
    }
    let from = now.checked_sub(CLOCK_SKEW_ALLOWANCE).and_then(when::to_certificate_time);
    let until = now.checked_add(validity).and_then(when::to_certificate_time);
    from.zip(until).ok_or(AuthorityError::Clock { now })
}

fn params(
    organisation: &str,
    name: &SiteName,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    params.not_before = not_before;
    params.not_after = not_after;
    params.serial_number = Some(serial_number()?);
    Ok(params)
}

/// 127 random bits with the highest set, so that the number is positive and has one length. Random because rcgen would derive it
/// from the key, and then a renewal with the same key would repeat it, which X.509 forbids.
fn serial_number() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::Crypto(rcgen::Error::RingUnspecified))?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn names(subject: &Subject) -> Result<Vec<SanType>, rcgen::Error> {
    let mut names = vec![SanType::URI(subject.uri().try_into()?)];
    if subject.role() == Role::Coordinator {
        names.push(SanType::DnsName(SERVER_NAME.try_into()?));
    }
    for host in subject.hosts() {
        match host {
            ServerName::DnsName(name) => names.push(SanType::DnsName(name.as_ref().try_into()?)),
            ServerName::IpAddress(address) => names.push(SanType::IpAddress(IpAddr::from(*address))),
            // The enum may grow; what it grows by is no name that a certificate of ours can hold.
            _ => return Err(rcgen::Error::InvalidNameType),
        }
    }
    Ok(names)
}

/// Public key and validity of an authority's certificate.
fn read_authority(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, SystemTime, SystemTime)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    let not_before = when::from_unix_seconds(validity.not_before.timestamp())?;
    let not_after = when::from_unix_seconds(validity.not_after.timestamp())?;
    parsed.is_ca().then(|| (parsed.public_key().raw.to_vec(), not_before, not_after))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rcgen::KeyPair;

    use super::*;
    use crate::identity::Identity;
    use crate::peer::peer_of;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_502_530)
    }

    fn authority() -> Authority {
        Authority::generate(&SiteName::new("study-a").unwrap(), now(), 10 * DAY).unwrap()
    }

    fn site() -> Subject {
        Subject::site(SiteName::new("st-vincent").unwrap())
    }

    #[test]
    fn what_is_issued_says_who_for_how_long_and_with_which_key() {
        let pending = Identity::generate().unwrap();
        let certificate = authority().issue(pending.request(), &site(), now(), DAY).unwrap();
        let peer = peer_of(&certificate).unwrap();
        assert_eq!(peer.to_string(), "site st-vincent");
        assert_eq!(peer.fingerprint, pending.fingerprint());
        assert_eq!((peer.not_before, peer.not_after), (now() - CLOCK_SKEW_ALLOWANCE, now() + DAY));
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let authority = authority();
        let pending = Identity::generate().unwrap();
        let certificate = authority.issue(pending.request(), &site(), now() + 9 * DAY, 5 * DAY).unwrap();
        assert_eq!(peer_of(&certificate).unwrap().not_after, authority.not_after());
        for wrong in [now() + 11 * DAY, now() - DAY] {
            let refused = authority.issue(pending.request(), &site(), wrong, DAY).unwrap_err();
            assert!(matches!(refused, AuthorityError::OutOfDate { .. }), "{refused}");
        }
    }

    #[test]
    fn a_renewal_with_the_same_key_has_another_serial_number() {
        let (authority, pending) = (authority(), Identity::generate().unwrap());
        let serial = || {
            let certificate = authority.issue(pending.request(), &site(), now(), DAY).unwrap();
            X509Certificate::from_der(&certificate).unwrap().1.raw_serial().to_vec()
        };
        let (first, second) = (serial(), serial());
        assert_ne!(first, second);
        assert_eq!((first.len(), second.len()), (16, 16));
    }

    #[test]
    fn only_the_key_is_taken_from_a_request() {
        let key = KeyPair::generate().unwrap();
        let mut greedy = CertificateParams::new(vec!["bank.example".to_owned()]).unwrap();
        greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        greedy.distinguished_name.push(DnType::CommonName, "coordinator");
        let request = greedy.serialize_request(&key).unwrap();
        let certificate = authority().issue(request.der(), &site(), now(), DAY).unwrap();
        assert_eq!(peer_of(&certificate).unwrap().to_string(), "site st-vincent");
        assert!(!String::from_utf8_lossy(&certificate).contains("bank"), "a name came through");
    }

    #[test]
    fn a_refused_request_names_whom_it_was_for() {
        let refused = authority().issue(&vec![0x30; 10].into(), &site(), now(), DAY).unwrap_err().to_string();
        assert!(refused.starts_with("refused the certificate request of site st-vincent: "), "{refused}");
    }

    #[test]
    fn impossible_times_are_errors() {
        let name = SiteName::new("study-a").unwrap();
        let generate = |now, validity| Authority::generate(&name, now, validity).unwrap_err();
        assert!(matches!(generate(now(), Duration::ZERO), AuthorityError::Validity { .. }));
        assert!(matches!(generate(now(), Duration::MAX), AuthorityError::Validity { .. }));
        assert!(matches!(generate(UNIX_EPOCH, DAY), AuthorityError::Clock { .. }));
        let far = UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert!(matches!(generate(far, DAY), AuthorityError::Clock { .. }));
    }

    #[test]
    fn an_authority_survives_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority();
        authority.save(folder.path(), Overwrite::Refuse).unwrap();
        let again = Authority::load(folder.path()).unwrap();
        assert_eq!(again.fingerprint(), authority.fingerprint());
        assert_eq!((again.not_before, again.not_after), (authority.not_before, authority.not_after));
        let refused = authority.save(folder.path(), Overwrite::Refuse).unwrap_err();
        assert!(matches!(refused, AuthorityError::File(FileError::Exists { .. })));
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority();
        authority.save(folder.path(), Overwrite::Refuse).unwrap();
        files::write_key(&folder.path().join(KEY_FILE), &SecretKey::generate().unwrap(), Overwrite::Replace).unwrap();
        assert!(matches!(Authority::load(folder.path()), Err(AuthorityError::KeyMismatch { .. })));

        let leaf = authority.issue(Identity::generate().unwrap().request(), &site(), now(), DAY).unwrap();
        files::write_certificate(&folder.path().join(CERTIFICATE_FILE), &leaf, Overwrite::Replace).unwrap();
        assert!(matches!(Authority::load(folder.path()), Err(AuthorityError::NotAnAuthority { .. })));
    }
}
