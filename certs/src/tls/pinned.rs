//! Trusting a coordinator by the pinned key of its authority, before there is an identity.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::clock::to_unix_time;
use super::verifier::CoordinatorVerifier;
use crate::authority::authority_key;
use crate::identity::CHAIN_MAX;
use crate::peer::{KeyFingerprint, peer_of};

/// Which authority whoever joins will trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The one with this key.
    Key(KeyFingerprint),
    /// Whichever one the coordinator shows: anybody on the way can then be the coordinator.
    InsecureAny,
}

/// Whether the dates in the coordinator's certificate must fit this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// They must.
    Checked,
    /// They need not: only good for asking what time it is.
    Ignored,
}

/// The authority's certificate among those that a coordinator has shown, by its pin.
#[must_use]
pub fn pinned_authority(shown: &[CertificateDer<'_>], pin: Pin) -> Option<CertificateDer<'static>> {
    let mut authorities =
        shown.iter().take(CHAIN_MAX).filter_map(|certificate| Some((authority_key(certificate)?, certificate)));
    let (_, found) = match pin {
        Pin::Key(pinned) => authorities.find(|(key, _)| *key == pinned)?,
        // The first authority after the certificate is the one that signs now.
        Pin::InsecureAny => authorities.next()?,
    };
    Some(found.clone().into_owned())
}

#[derive(Debug)]
pub(super) struct PinnedVerifier {
    pub(super) pin: Pin,
    pub(super) dates: Dates,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = pinned_authority(intermediates, self.pin).ok_or(unknown)?;
        let at = match self.dates {
            Dates::Checked => now,
            Dates::Ignored => {
                let malformed = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
                let peer = peer_of(end_entity).map_err(malformed)?;
                let now = UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
                to_unix_time(now.clamp(peer.not_before, peer.not_after.max(peer.not_before)))
            }
        };
        let verifier = CoordinatorVerifier::new(&[authority], &self.provider)?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
