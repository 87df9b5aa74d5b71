//! Checking the other side's certificate: the chain as rustls does it, then the role.
//!
//! The permitted uses in a certificate already keep a site's from serving and a coordinator's from connecting. The role is checked
//! beside them, so that neither check alone decides.

use std::sync::Arc;
use std::time::SystemTime;

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
use crate::peer::{PeerError, peer_of};
use crate::role::{Role, SERVER_NAME};

/// Checks `certificate` as the peers of its holder will.
pub(crate) fn check(
    authority: &CertificateDer<'_>,
    certificate: &CertificateDer<'_>,
    role: Role,
    now: SystemTime,
) -> Result<(), Error> {
    let (provider, now) = (super::config::provider(), to_unix_time(now));
    match role {
        Role::Coordinator => {
            CoordinatorVerifier::new(authority, &provider)?.check(certificate, now).map(|_verified| ())
        }
        Role::Site | Role::Operator | Role::Observer => {
            ClientVerifier::new(authority, &provider)?.verify_client_cert(certificate, &[], now).map(|_verified| ())
        }
    }
}

/// What a coordinator asks of those who connect.
#[derive(Debug)]
pub(crate) struct ClientVerifier(Arc<dyn ClientCertVerifier>);

impl ClientVerifier {
    pub(crate) fn new(authority: &CertificateDer<'_>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let roots = only(authority)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
        verifier.map(Self).map_err(|error| Error::General(error.to_string()))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // The authority signs directly, so certificates in between can only be there to cost time.
        let verified = self.0.verify_client_cert(end_entity, &[], now)?;
        require(end_entity, "a coordinator serves and does not connect", |role| role != Role::Coordinator)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What everybody asks of a coordinator.
#[derive(Debug)]
pub(crate) struct CoordinatorVerifier {
    chain: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl CoordinatorVerifier {
    pub(crate) fn new(authority: &CertificateDer<'_>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let roots = only(authority)?;
        let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
        let chain = chain.map_err(|error| Error::General(error.to_string()))?;
        let name = ServerName::try_from(SERVER_NAME).map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, name })
    }

    fn check(&self, end_entity: &CertificateDer<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(end_entity, &[], &self.name, &[], now)?;
        require(end_entity, "only a coordinator may serve", |role| role == Role::Coordinator)?;
        Ok(verified)
    }
}

impl ServerCertVerifier for CoordinatorVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, now)
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

fn only(authority: &CertificateDer<'_>) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned())?;
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
