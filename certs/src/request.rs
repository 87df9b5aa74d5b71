//! Certificate requests: a public key, and the proof that who asks holds the private one.

use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use rustls::pki_types::CertificateSigningRequestDer;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::peer::KeyFingerprint;

/// Largest certificate request read. Ours take about 200 bytes.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// What is wrong with a certificate request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestProblem {
    /// It is too large to read.
    #[error("it has {bytes} bytes, {REQUEST_BYTES_MAX} are allowed; make it again with `synod certs`")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is none.
    #[error("it is not a valid PKCS#10 request in DER; make it again with `synod certs`")]
    Malformed,
    /// It is for another kind of key.
    #[error("its key is not ECDSA on the curve P-256; make it again with `synod certs`")]
    Key,
    /// It is not signed by the key it names.
    #[error(
        "its signature is not by the key it names, so who sent it may not hold that key; make it again on the machine that will use it"
    )]
    Signature,
}

/// The digest of the key in `request`, whose holder has signed it.
///
/// # Errors
/// When the request is malformed, not signed by its own key, or for another kind of key than P-256.
pub fn request_key(request: &CertificateSigningRequestDer<'_>) -> Result<KeyFingerprint, RequestProblem> {
    Ok(KeyFingerprint::of_key_info(&public_key(request)?.subject_public_key_info()))
}

/// The key in `request`, whose holder has signed it. Everything else that the request asks for is left unread.
pub(crate) fn public_key(request: &CertificateSigningRequestDer<'_>) -> Result<SubjectPublicKeyInfo, RequestProblem> {
    if request.len() > REQUEST_BYTES_MAX {
        return Err(RequestProblem::TooLarge { bytes: request.len() });
    }
    let (rest, parsed) = X509CertificationRequest::from_der(request).map_err(|_| RequestProblem::Malformed)?;
    if !rest.is_empty() {
        return Err(RequestProblem::Malformed);
    }
    let key_info = parsed.certification_request_info.subject_pki.raw;
    let public_key = SubjectPublicKeyInfo::from_der(key_info).map_err(|_| RequestProblem::Key)?;
    if public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(RequestProblem::Key);
    }
    parsed.verify_signature().map_err(|_| RequestProblem::Signature)?;
    Ok(public_key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::identity::Identity;

    fn problem(der: Vec<u8>) -> Option<RequestProblem> {
        public_key(&der.into()).err()
    }

    #[test]
    fn requests_that_prove_nothing_are_refused() {
        let good = Identity::generate().unwrap().request().to_vec();
        assert_eq!(problem(good.clone()), None);
        let mut forged = good.clone();
        // The last byte belongs to the signature.
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(problem(forged), Some(RequestProblem::Signature));
        assert_eq!(problem(good[..100].to_vec()), Some(RequestProblem::Malformed));
        assert_eq!(problem([good, vec![0]].concat()), Some(RequestProblem::Malformed));
        assert_eq!(problem(vec![0x30; 9_000]), Some(RequestProblem::TooLarge { bytes: 9_000 }));
    }

    #[test]
    fn other_kinds_of_key_are_refused() {
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let request = CertificateParams::default().serialize_request(&key).unwrap();
            assert_eq!(problem(request.der().to_vec()), Some(RequestProblem::Key));
        }
    }

    /// The parser forgives a few bits around the signature (tags, unused bits), which say nothing. What is signed, and so the
    /// key, must not be open to change.
    #[test]
    fn no_changed_request_gives_another_key_or_panics() {
        let good = Identity::generate().unwrap().request().to_vec();
        let key = public_key(&good.clone().into()).unwrap();
        let change = (any::<prop::sample::Index>(), 1..=u8::MAX);
        let changes = proptest::collection::vec(change, 1..4);
        proptest!(ProptestConfig::with_cases(2_000), |(changes in changes)| {
            let mut changed = good.clone();
            for (at, flip) in &changes {
                changed[at.index(good.len())] ^= flip;
            }
            if let Ok(other) = public_key(&changed.into()) {
                prop_assert_eq!(&other, &key);
            }
        });
    }
}
