//! The identity of one machine: its certificate, its key, and the authority it trusts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, DistinguishedName};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error as TlsProblem};
use synod_common::ids::SiteName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::files::{self, FileError, Overwrite};
use crate::key::SecretKey;
use crate::peer::{KeyFingerprint, PeerError, PeerIdentity, peer_of};
use crate::role::Role;
use crate::tls::verifier;
use crate::when;

const AUTHORITY_FILE: &str = "authority.pem";
const CERTIFICATE_FILE: &str = "certificate.pem";
const KEY_FILE: &str = "key.pem";
const PENDING_FILE: &str = "pending.key.pem";
/// Most authorities trusted at a time: the current one, its predecessor, and room for one more rotation.
pub(crate) const AUTHORITIES_MAX: usize = 3;
/// Most certificates shown: one's own, and those that lead older authorities to the current one.
pub(crate) const CHAIN_MAX: usize = 1 + 2 * AUTHORITIES_MAX;

/// Who this machine is. Checked when made: the key fits the certificate, the authority signed it, and it was valid then.
///
/// `Debug` shows role, name and the fingerprint of the key, never the key.
pub struct Identity {
    /// What is trusted: one, or two while one takes over from the other.
    authorities: Vec<CertificateDer<'static>>,
    certificate: CertificateDer<'static>,
    /// What is shown besides the certificate, for peers that trust the older authority.
    chain: Vec<CertificateDer<'static>>,
    key: SecretKey,
    peer: PeerIdentity,
}

/// A new key that waits for its certificate.
pub struct PendingIdentity {
    key: SecretKey,
    request: CertificateSigningRequestDer<'static>,
}

/// Why an identity could not be made, loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file of the identity.
    #[error(transparent)]
    File(#[from] FileError),
    /// The files are there and do not make a usable identity.
    #[error("could not use the identity in {folder}: {problem}")]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        problem: IdentityProblem,
    },
    /// The cryptographic library failed.
    #[error("could not make a key: {0}; this is unexpected, please report it")]
    Crypto(#[source] rcgen::Error),
}

/// What is wrong with an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityProblem {
    /// The certificate does not say who its holder is.
    #[error(transparent)]
    Certificate(#[from] PeerError),
    /// Key and certificate do not belong together.
    #[error(
        "the key is not the one that the certificate of {who} was made for; restore both files from the same backup, or make the identity again with `synod certs`"
    )]
    KeyMismatch {
        /// Role and name.
        who: String,
    },
    /// The certificate has expired.
    #[error(
        "the certificate of {who} expired on {}, {} ago; ask the operator for a new one (`synod certs`)", when::text(*.not_after), when::span(when::between(*.not_after, *.now))
    )]
    Expired {
        /// Role and name.
        who: String,
        /// Until when it was valid.
        not_after: SystemTime,
        /// The time that was given.
        now: SystemTime,
    },
    /// The certificate is not valid yet.
    #[error(
        "the certificate of {who} is valid from {}, in {}; this machine's clock says {}, so set it right", when::text(*.not_before), when::span(when::between(*.now, *.not_before)), when::text(*.now)
    )]
    NotYetValid {
        /// Role and name.
        who: String,
        /// From when it is valid.
        not_before: SystemTime,
        /// The time that was given.
        now: SystemTime,
    },
    /// Another authority signed the certificate.
    #[error(
        "the certificate of {who} was not signed by the authority beside it, which every other member trusts; use authority.pem and certificate.pem from the same federation"
    )]
    OtherAuthority {
        /// Role and name.
        who: String,
    },
    /// A peer would refuse the certificate for another reason.
    #[error("the certificate of {who} would be refused by every peer: {source}; make it again with `synod certs`")]
    Refused {
        /// Role and name.
        who: String,
        /// The reason of the TLS library.
        source: TlsProblem,
    },
}

impl Identity {
    /// Makes a new key, here and now, and a request to certify it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<PendingIdentity, IdentityError> {
        PendingIdentity::new(SecretKey::generate().map_err(IdentityError::Crypto)?)
    }

    /// A secret of this identity for the use that `context` names: the same whenever the identity is loaded, and nothing that tells
    /// of its key.
    #[must_use]
    pub fn derive_secret(&self, context: &str) -> Zeroizing<[u8; 32]> {
        self.key.derive(context.as_bytes())
    }

    /// Loads the identity that [`save`](Self::save) put into `folder`, and checks that it is of use at `now`: the checks are those that
    /// its peers will make.
    ///
    /// # Errors
    /// When a file is missing, unreadable or something else, others can read the key, or the three do not belong together or
    /// are not valid at `now`.
    pub fn load(folder: &Path, now: SystemTime) -> Result<Self, IdentityError> {
        Self::load_at(folder, |_| now)
    }

    /// Loads an identity as [`load`](Self::load) does, also one that has expired: it may still ask for its renewal.
    ///
    /// # Errors
    /// As [`load`](Self::load), except for expiry.
    pub fn load_expired(folder: &Path, now: SystemTime) -> Result<Self, IdentityError> {
        Self::load_at(folder, |peer| now.min(peer.not_after))
    }

    fn load_at(folder: &Path, at: impl FnOnce(&PeerIdentity) -> SystemTime) -> Result<Self, IdentityError> {
        let authorities = files::read_certificates(&folder.join(AUTHORITY_FILE), AUTHORITIES_MAX)?;
        let shown = files::read_certificates(&folder.join(CERTIFICATE_FILE), CHAIN_MAX)?;
        let key = files::read_key(&folder.join(KEY_FILE))?;
        let unusable = |problem| IdentityError::Unusable { folder: folder.to_owned(), problem };
        let peer = shown.first().map_or(Err(PeerError::Malformed), |own| peer_of(own));
        let at = at(&peer.map_err(|error| unusable(error.into()))?);
        Self::checked(authorities, shown, key, at).map_err(unusable)
    }

    /// Saves the identity into `folder`, which is made if it is not there: `authority.pem`, `certificate.pem`, and `key.pem`
    /// readable by its owner only.
    ///
    /// # Errors
    /// When one of the files is there already and `overwrite` says to refuse, or the system refuses to write.
    pub fn save(&self, folder: &Path, overwrite: Overwrite) -> Result<(), IdentityError> {
        let [authority, certificate, key] = [AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE].map(|file| folder.join(file));
        files::make_folder(folder)?;
        files::refuse_existing(&[&authority, &certificate, &key], overwrite)?;
        files::write_key(&key, &self.key, overwrite)?;
        files::write_certificates(&certificate, &self.shown(), overwrite)?;
        files::write_certificates(&authority, &self.authorities, overwrite)?;
        Ok(())
    }

    /// A request to certify the key of this identity again.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn renewal(&self) -> Result<PendingIdentity, IdentityError> {
        PendingIdentity::new(self.key.copy().map_err(IdentityError::Crypto)?)
    }

    /// What this machine is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.peer.role
    }

    /// What this machine is called.
    #[must_use]
    pub fn name(&self) -> &SiteName {
        &self.peer.name
    }

    /// What peers read in the certificate: role, name, key fingerprint, validity.
    #[must_use]
    pub fn as_peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The certificate of this machine.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificates of the authorities that this machine trusts, at least one.
    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Certificate and key for handshakes.
    pub(crate) fn certified_key(&self) -> Result<Arc<CertifiedKey>, TlsProblem> {
        Ok(Arc::new(CertifiedKey::new(self.shown(), self.key.to_tls()?)))
    }

    fn shown(&self) -> Vec<CertificateDer<'static>> {
        std::iter::once(&self.certificate).chain(&self.chain).cloned().collect()
    }

    fn checked(
        authorities: Vec<CertificateDer<'static>>,
        mut shown: Vec<CertificateDer<'static>>,
        key: SecretKey,
        now: SystemTime,
    ) -> Result<Self, IdentityProblem> {
        if shown.is_empty() || shown.len() > CHAIN_MAX || !(1..=AUTHORITIES_MAX).contains(&authorities.len()) {
            return Err(PeerError::Malformed.into());
        }
        let chain = shown.split_off(1);
        let certificate = shown.pop().ok_or(PeerError::Malformed)?;
        let peer = peer_of(&certificate)?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| PeerError::Malformed)?;
        if parsed.public_key().raw != key.public_key_info() {
            return Err(IdentityProblem::KeyMismatch { who: peer.to_string() });
        }
        verifier::check(&authorities, &certificate, &chain, peer.role, now)
            .map_err(|source| problem_of(source, &peer, now))?;
        Ok(Self { authorities, certificate, chain, key, peer })
    }
}

impl PendingIdentity {
    fn new(key: SecretKey) -> Result<Self, IdentityError> {
        let mut params = CertificateParams::default();
        // The authority decides on the names, so the request proposes none.
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(key.pair()).map_err(IdentityError::Crypto)?;
        Ok(Self { key, request: request.into() })
    }

    /// The key that waits in `folder`, or a new one that is put there: asking again after an answer was lost must name the same
    /// key.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the system gives no randomness.
    pub fn load_or_generate(folder: &Path) -> Result<Self, IdentityError> {
        let file = folder.join(PENDING_FILE);
        match files::read_key(&file) {
            Ok(key) => Self::new(key),
            Err(FileError::Missing { .. }) => {
                let pending = Identity::generate()?;
                files::make_folder(folder)?;
                files::write_key(&file, &pending.key, Overwrite::Refuse)?;
                Ok(pending)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the key that waits in `folder`, once it has its certificate or is not wanted.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn forget(folder: &Path) -> Result<(), IdentityError> {
        Ok(files::remove(&folder.join(PENDING_FILE))?)
    }

    /// What to send to the authority. It holds the public key, signed to show that its sender has the private one.
    #[must_use]
    pub fn request(&self) -> &CertificateSigningRequestDer<'static> {
        &self.request
    }

    /// The digest of the new public key, for the operator to compare.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of_key_info(&self.key.public_key_info())
    }

    /// Completes the identity with what the authority answered, after checking it as its peers will.
    ///
    /// # Errors
    /// When the certificate is for another key, from another authority, or not valid at `now`.
    pub fn accept(
        self,
        authority: CertificateDer<'static>,
        certificate: CertificateDer<'static>,
        now: SystemTime,
    ) -> Result<Identity, IdentityProblem> {
        self.accept_chain(vec![authority], vec![certificate], now)
    }

    /// Completes the identity as [`accept`](Self::accept) does, trusting `authorities` and showing to peers all of `shown`, whose
    /// first is the certificate.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and when there are none or too many of either.
    pub fn accept_chain(
        self,
        authorities: Vec<CertificateDer<'static>>,
        shown: Vec<CertificateDer<'static>>,
        now: SystemTime,
    ) -> Result<Identity, IdentityProblem> {
        Identity::checked(authorities, shown, self.key, now)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.peer).finish()
    }
}

impl fmt::Debug for PendingIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingIdentity").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

fn problem_of(source: TlsProblem, peer: &PeerIdentity, now: SystemTime) -> IdentityProblem {
    let who = peer.to_string();
    match source {
        TlsProblem::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            IdentityProblem::Expired { who, not_after: peer.not_after, now }
        }
        TlsProblem::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            IdentityProblem::NotYetValid { who, not_before: peer.not_before, now }
        }
        TlsProblem::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            IdentityProblem::OtherAuthority { who }
        }
        source => IdentityProblem::Refused { who, source },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::authority::Authority;
    use crate::role::Subject;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_502_530)
    }

    fn authority() -> Authority {
        Authority::generate(&SiteName::new("study-a").unwrap(), now(), 100 * DAY).unwrap()
    }

    fn identity(authority: &Authority) -> Identity {
        let pending = Identity::generate().unwrap();
        let subject = Subject::site(SiteName::new("st-vincent").unwrap());
        let certificate = authority.issue(pending.request(), &subject, now(), DAY).unwrap();
        pending.accept(authority.certificate().clone(), certificate, now()).unwrap()
    }

    fn saved(identity: &Identity) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        identity.save(folder.path(), Overwrite::Refuse).unwrap();
        folder
    }

    fn problem(folder: &Path, now: SystemTime) -> (IdentityProblem, String) {
        let error = Identity::load(folder, now).unwrap_err();
        let text = error.to_string();
        match error {
            IdentityError::Unusable { problem, .. } => (problem, text),
            other => panic!("expected a problem, got {other}"),
        }
    }

    #[test]
    fn an_identity_survives_its_folder() {
        let identity = identity(&authority());
        let folder = saved(&identity);
        let again = Identity::load(folder.path(), now()).unwrap();
        assert_eq!(again.as_peer(), identity.as_peer());
        assert_eq!((again.role(), again.name().as_str()), (Role::Site, "st-vincent"));
        assert!(identity.save(folder.path(), Overwrite::Refuse).is_err(), "nothing is overwritten unasked");
        identity.save(folder.path(), Overwrite::Replace).unwrap();
    }

    #[test]
    fn an_identity_out_of_its_time_says_when() {
        let folder = saved(&identity(&authority()));
        let (late, text) = problem(folder.path(), now() + 4 * DAY);
        assert!(matches!(late, IdentityProblem::Expired { .. }));
        assert!(text.contains("site st-vincent expired on 2026-11-25 06:42:10 UTC, 3 days ago"), "{text}");
        let (early, text) = problem(folder.path(), now() - DAY);
        assert!(matches!(early, IdentityProblem::NotYetValid { .. }));
        assert!(text.contains("valid from 2026-11-24 06:37:10 UTC, in 23 hours"), "{text}");
        assert!(Identity::load(folder.path(), now() - Duration::from_secs(240)).is_ok(), "a clock 4 minutes behind");
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let ours = authority();
        let folder = saved(&identity(&ours));
        let stranger = saved(&identity(&authority()));
        let swap = |file: &str| std::fs::copy(stranger.path().join(file), folder.path().join(file)).unwrap();

        swap(AUTHORITY_FILE);
        assert!(matches!(problem(folder.path(), now()).0, IdentityProblem::OtherAuthority { .. }));
        swap(CERTIFICATE_FILE);
        assert!(matches!(problem(folder.path(), now()).0, IdentityProblem::KeyMismatch { .. }));
        swap(KEY_FILE);
        assert!(Identity::load(folder.path(), now()).is_ok(), "the stranger's three files fit each other");
        files::write_certificate(&folder.path().join(CERTIFICATE_FILE), ours.certificate(), Overwrite::Replace)
            .unwrap();
        let (authority, _) = problem(folder.path(), now());
        assert!(matches!(authority, IdentityProblem::Certificate(PeerError::Authority)));
    }

    #[test]
    fn each_missing_file_is_named() {
        let identity = identity(&authority());
        for file in [AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE] {
            let folder = saved(&identity);
            std::fs::remove_file(folder.path().join(file)).unwrap();
            let error = Identity::load(folder.path(), now()).unwrap_err();
            assert!(matches!(error, IdentityError::File(FileError::Missing { .. })));
            assert!(error.to_string().contains(file), "{error}");
        }
    }

    #[test]
    fn an_answer_for_another_key_is_refused() {
        let authority = authority();
        let (mine, theirs) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let subject = Subject::site(SiteName::new("st-vincent").unwrap());
        let certificate = authority.issue(theirs.request(), &subject, now(), DAY).unwrap();
        let refused = mine.accept(authority.certificate().clone(), certificate, now()).unwrap_err();
        assert!(matches!(refused, IdentityProblem::KeyMismatch { .. }));
    }
}
