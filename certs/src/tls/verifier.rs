//! Checking the other side's certificate: the chain as rustls does it, then the role.
//!
//! The permitted uses in a certificate already keep a site's from serving and a coordinator's from connecting. The role is checked
//! beside them, so that neither check alone decides.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::clock::to_unix_time;
use crate::identity::CHAIN_MAX;
use crate::peer::{CERTIFICATE_BYTES_MAX, PeerError, peer_of};
use crate::role::{Role, SERVER_NAME};

/// Checks `certificate` as the peers of its holder will; `chain` is what it is shown with.
pub(crate) fn check(
    authorities: &[CertificateDer<'_>],
    certificate: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    role: Role,
    now: SystemTime,
) -> Result<(), Error> {
    let (provider, now) = (super::config::provider(), to_unix_time(now));
    match role {
        Role::Coordinator => {
            CoordinatorVerifier::new(authorities, &provider)?.check(certificate, chain, now).map(|_verified| ())
        }
        Role::Site | Role::Operator | Role::Observer => ClientVerifier::new(authorities, &provider, Expiry::Strict)?
            .verify_client_cert(certificate, &[], now)
            .map(|_verified| ()),
    }
}

/// What happens to a certificate that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// It is refused.
    Strict,
    /// It is let through for so long after its end, and so is a connection without a certificate. Whoever accepts them lets them
    /// do nothing but enrol or ask for a renewal.
    GraceOrNone(Duration),
}

/// What a coordinator asks of those who connect.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    expiry: Expiry,
}

impl ClientVerifier {
    pub(crate) fn new(
        authorities: &[CertificateDer<'_>],
        provider: &Arc<CryptoProvider>,
        expiry: Expiry,
    ) -> Result<Self, Error> {
        let builder = WebPkiClientVerifier::builder_with_provider(only(authorities)?, Arc::clone(provider));
        let builder = match expiry {
            Expiry::Strict => builder,
            Expiry::GraceOrNone(_) => builder.allow_unauthenticated(),
        };
        let chain = builder.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, expiry })
    }

    fn verify_with_grace(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<ClientCertVerified, Error> {
        // The authority signs directly, so certificates in between can only be there to cost time.
        let verified = self.chain.verify_client_cert(certificate, &[], now);
        match (self.expiry, &verified) {
            (
                Expiry::GraceOrNone(grace),
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })),
            ) if now.as_secs() <= not_after.as_secs().saturating_add(grace.as_secs()) => {
                self.chain.verify_client_cert(certificate, &[], *not_after)
            }
            _ => verified,
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verify_with_grace(end_entity, now)?;
        require(end_entity, "a coordinator serves and does not connect", |role| role != Role::Coordinator)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// What everybody asks of a coordinator.
#[derive(Debug)]
pub(crate) struct CoordinatorVerifier {
    chain: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl CoordinatorVerifier {
    pub(crate) fn new(authorities: &[CertificateDer<'_>], provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let chain = WebPkiServerVerifier::builder_with_provider(only(authorities)?, Arc::clone(provider)).build();
        let chain = chain.map_err(|error| Error::General(error.to_string()))?;
        let name = ServerName::try_from(SERVER_NAME).map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, name })
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(end_entity, bounded(intermediates), &self.name, &[], now)?;
        require(end_entity, "only a coordinator may serve", |role| role == Role::Coordinator)?;
        Ok(verified)
    }
}

/// As much of what a coordinator shows as is looked at: more only costs time.
fn bounded<'a, 'b>(shown: &'a [CertificateDer<'b>]) -> &'a [CertificateDer<'b>] {
    let fits = shown.iter().all(|certificate| certificate.len() <= CERTIFICATE_BYTES_MAX);
    shown.get(..shown.len().min(CHAIN_MAX)).filter(|_| fits).unwrap_or(&[])
}

impl ServerCertVerifier for CoordinatorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

fn only(authorities: &[CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone().into_owned())?;
    }
    Ok(Arc::new(roots))
}

fn require(certificate: &[u8], purpose: &'static str, allowed: fn(Role) -> bool) -> Result<(), Error> {
    let refused = |error: PeerError| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))));
    let peer = peer_of(certificate).map_err(refused)?;
    if allowed(peer.role) {
        Ok(())
    } else {
        Err(refused(PeerError::WrongRole { role: peer.role, name: peer.name, purpose }))
    }
}
