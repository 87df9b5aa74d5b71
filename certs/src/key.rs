//! A private key: made from the system's randomness, shown to nobody, overwritten when dropped.
//!
//! Keys are ECDSA on P-256. Ed25519 would do for Synod's own two ends, but browsers refuse it in certificates, and so do many
//! hardware key stores; P-256 is taken by every TLS stack and every version of openssl in use, and costs a handshake no
//! measurable time.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use pem::Pem;
use pkcs8::der::pem::LineEnding;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use zeroize::{Zeroize, Zeroizing};

use crate::passphrase::Passphrase;

/// The label of an encrypted PKCS#8 key (RFC 7468, section 11).
const SEALED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// A private key with its public half.
pub(crate) struct SecretKey(KeyPair);

impl SecretKey {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// Reads the first unencrypted PKCS#8 key in `text`. The answer to text without one says nothing of its contents.
    pub(crate) fn from_pem(text: &[u8]) -> Option<Self> {
        let der = Zeroizing::new(PrivatePkcs8KeyDer::from_pem_slice(text).ok()?);
        KeyPair::try_from(&*der).ok().map(Self)
    }

    /// Another copy of the key, for a request to renew its certificate.
    pub(crate) fn copy(&self) -> Result<Self, rcgen::Error> {
        let der = Zeroizing::new(PrivatePkcs8KeyDer::from(self.0.serialize_der()));
        KeyPair::try_from(&*der).map(Self)
    }

    /// The key as the text of a file, encrypted with `passphrase`.
    pub(crate) fn seal(&self, passphrase: &Passphrase) -> Option<Zeroizing<String>> {
        let sealed = PrivateKeyInfoRef::try_from(self.0.serialized_der()).ok()?.encrypt(passphrase.as_bytes()).ok()?;
        sealed.to_pem(SEALED_LABEL, LineEnding::LF).ok()
    }

    /// Reads the encrypted key in `text`, or `None` where it is none or `passphrase` does not open it.
    pub(crate) fn open(text: &[u8], passphrase: &Passphrase) -> Option<Self> {
        let (label, sealed) = SecretDocument::from_pem(std::str::from_utf8(text).ok()?).ok()?;
        let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes()).ok().filter(|_| label == SEALED_LABEL)?;
        let opened = sealed.decrypt(passphrase.as_bytes()).ok()?;
        KeyPair::try_from(&PrivatePkcs8KeyDer::from(opened.as_bytes())).ok().map(Self)
    }

    /// The key as the text of a file.
    pub(crate) fn to_pem(&self) -> Zeroizing<String> {
        let block = Pem::new("PRIVATE KEY", self.0.serialized_der());
        let text = Zeroizing::new(pem::encode(&block));
        block.into_contents().zeroize();
        text
    }

    /// HMAC-SHA-256 of `context` under this key.
    pub(crate) fn derive(&self, context: &[u8]) -> Zeroizing<[u8; 32]> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.serialized_der());
        let mut secret = Zeroizing::new([0; 32]);
        // A tag of SHA-256 has as many bytes.
        secret.iter_mut().zip(hmac::sign(&key, context).as_ref()).for_each(|(to, from)| *to = *from);
        secret
    }

    /// For signing requests and certificates.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    /// The public half as certificates carry it (a DER `SubjectPublicKeyInfo`).
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// For signing handshakes.
    pub(crate) fn to_tls(&self) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        let der = Zeroizing::new(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.0.serialize_der())));
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_form() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::from_pem(key.to_pem().as_bytes()).unwrap();
        assert_eq!(key.public_key_info(), again.public_key_info());
    }

    #[test]
    fn derived_secrets_are_stable_and_differ_by_key_and_use() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let again = SecretKey::from_pem(key.to_pem().as_bytes()).unwrap();
        assert_eq!(key.derive(b"a"), again.derive(b"a"));
        assert_ne!(key.derive(b"a"), key.derive(b"b"));
        assert_ne!(key.derive(b"a"), other.derive(b"a"));
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_and_no_other() {
        let key = SecretKey::generate().unwrap();
        let (right, wrong) = (Passphrase::new("correct horse").unwrap(), Passphrase::new("correct mouse").unwrap());
        let sealed = key.seal(&right).unwrap();
        assert_eq!(SecretKey::open(sealed.as_bytes(), &right).unwrap().public_key_info(), key.public_key_info());
        assert!(SecretKey::open(sealed.as_bytes(), &wrong).is_none());
        assert!(SecretKey::from_pem(sealed.as_bytes()).is_none(), "it is no plain key");
        assert!(SecretKey::open(key.to_pem().as_bytes(), &right).is_none(), "a plain key is no sealed one");
        assert!(SecretKey::open(&[0xff; 40], &right).is_none());
        assert_eq!(key.copy().unwrap().public_key_info(), key.public_key_info());
    }

    #[test]
    fn text_without_a_key_is_refused() {
        let certificate_like = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "hello", certificate_like, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(SecretKey::from_pem(text.as_bytes()).is_none(), "{text:?} holds no key");
        }
    }
}
