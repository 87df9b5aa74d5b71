//! One authority after another: the old one signs the key of the new one, so that whoever trusts the old one can go over.

use std::time::SystemTime;

use rcgen::{BasicConstraints, IsCa, Issuer, KeyUsagePurpose, SubjectPublicKeyInfo};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authority, AuthorityError, params, read_authority};
use crate::peer::{CERTIFICATE_BYTES_MAX, KeyFingerprint, peer_name};
use crate::when;

/// Why authorities that were offered are not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationProblem {
    /// None of them is one that is trusted already or was signed by one.
    #[error(
        "none of the authorities that were offered is trusted here or was signed by one that is; check with the operator whether the federation has a new authority, and join again with a new invitation if so"
    )]
    Unrelated,
    /// A certificate is none of an authority.
    #[error("one of the certificates that were offered is not an authority's; report this to the operator")]
    NotAnAuthority,
}

impl Authority {
    /// Certifies the key of `successor` as that of an authority, valid for as long as both are: who trusts this authority may go
    /// over to the other one.
    ///
    /// # Errors
    /// When a certificate of the two cannot be read, or signing fails.
    pub fn cross_sign(&self, successor: &Self) -> Result<CertificateDer<'static>, AuthorityError> {
        let crypto = AuthorityError::Crypto;
        let name = peer_name(&successor.certificate).ok_or(crypto(rcgen::Error::CouldNotParseCertificate))?;
        let time = |time: SystemTime| when::to_certificate_time(time).ok_or(AuthorityError::Clock { now: time });
        let from: OffsetDateTime = time(successor.not_before)?;
        let until = time(self.not_after.min(successor.not_after))?;
        let mut params = params("Synod authority", &name, from, until)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = Issuer::from_ca_cert_der(&self.certificate, self.key.pair()).map_err(crypto)?;
        let key = SubjectPublicKeyInfo::from_der(&successor.key.public_key_info())
            .map_err(|_| crypto(rcgen::Error::CouldNotParseKeyPair))?;
        Ok(params.signed_by(&key, &issuer).map_err(crypto)?.into())
    }
}

/// The digest of the public key in an authority's certificate, or `None` where `certificate` is no authority's. Reads only; checks
/// no signature.
#[must_use]
pub fn authority_key(certificate: &CertificateDer<'_>) -> Option<KeyFingerprint> {
    let (key_info, ..) = read_authority(certificate).filter(|_| certificate.len() <= CERTIFICATE_BYTES_MAX)?;
    Some(KeyFingerprint::of_key_info(&key_info))
}

/// Which authorities to trust from now on: those in `offered` that are in `trusted` already, and those whose key a certificate
/// in `crossed` certifies with the signature of one in `trusted`.
///
/// So a coordinator alone cannot make anybody trust another authority: it needs the old authority's signature.
///
/// # Errors
/// When none is left, or one of `offered` is no authority's certificate.
pub fn trusted_after(
    trusted: &[CertificateDer<'static>],
    offered: &[CertificateDer<'static>],
    crossed: &[CertificateDer<'static>],
) -> Result<Vec<CertificateDer<'static>>, RotationProblem> {
    let mut next = Vec::new();
    for certificate in offered {
        let key = authority_key(certificate).ok_or(RotationProblem::NotAnAuthority)?;
        let is_known = trusted.iter().any(|known| authority_key(known) == Some(key));
        let is_certified = || {
            crossed
                .iter()
                .filter(|cross| authority_key(cross) == Some(key))
                .any(|cross| trusted.iter().any(|known| is_signed_by(cross, known)))
        };
        if is_known || is_certified() {
            next.push(certificate.clone());
        }
    }
    if next.is_empty() { Err(RotationProblem::Unrelated) } else { Ok(next) }
}

fn is_signed_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok((_, certificate)), Ok((_, issuer))) =
        (X509Certificate::from_der(certificate), X509Certificate::from_der(issuer))
    else {
        return false;
    };
    certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use synod_common::ids::SiteName;

    use super::*;

    fn authority() -> Authority {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_502_530);
        Authority::generate(&SiteName::new("study-a").unwrap(), now, Duration::from_secs(86_400)).unwrap()
    }

    #[test]
    fn a_successor_is_trusted_by_the_signature_of_the_old_authority_alone() {
        let (old, new, stranger) = (authority(), authority(), authority());
        let trusted = [old.certificate().clone()];
        let both = [old.certificate().clone(), new.certificate().clone()];
        let cross = old.cross_sign(&new).unwrap();
        assert_eq!(trusted_after(&trusted, &both, std::slice::from_ref(&cross)).unwrap(), both);
        // After the window only the new one is offered.
        assert_eq!(trusted_after(&trusted, &both[1..], std::slice::from_ref(&cross)).unwrap(), both[1..]);

        let forged = stranger.cross_sign(&new).unwrap();
        assert_eq!(trusted_after(&trusted, &both, std::slice::from_ref(&forged)).unwrap(), trusted);
        assert_eq!(trusted_after(&trusted, &both[1..], &[forged]), Err(RotationProblem::Unrelated));
        assert_eq!(trusted_after(&trusted, &both[1..], &[]), Err(RotationProblem::Unrelated));
        let foreign = [stranger.certificate().clone()];
        assert_eq!(trusted_after(&trusted, &foreign, &[cross]), Err(RotationProblem::Unrelated));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let old = authority();
        let junk = [CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01, 0x00])];
        let trusted = [old.certificate().clone()];
        assert_eq!(trusted_after(&trusted, &junk, &[]), Err(RotationProblem::NotAnAuthority));
    }
}
