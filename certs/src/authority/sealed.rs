//! An authority whose key is encrypted on disk.

use std::path::Path;

use rustls::pki_types::CertificateDer;

use super::{Authority, AuthorityError, CERTIFICATE_FILE, KEY_FILE};
use crate::files::{self, Overwrite};
use crate::key::SecretKey;
use crate::passphrase::Passphrase;

impl Authority {
    /// Saves the authority into `folder` as [`save`](Self::save) does, with its key encrypted by `passphrase` (PKCS#8, PBES2 with
    /// scrypt and AES-256-CBC), so that who has the folder alone can make no identities.
    ///
    /// # Errors
    /// When one of the files is there already and `overwrite` says to refuse, or the system refuses to write.
    pub fn save_sealed(
        &self,
        folder: &Path,
        passphrase: &Passphrase,
        overwrite: Overwrite,
    ) -> Result<(), AuthorityError> {
        let (certificate, key) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
        files::make_folder(folder)?;
        files::refuse_existing(&[&certificate, &key], overwrite)?;
        let sealed = self.key.seal(passphrase).ok_or(AuthorityError::Crypto(rcgen::Error::RingUnspecified))?;
        files::write_secret(&key, sealed.as_bytes(), overwrite)?;
        files::write_certificate(&certificate, &self.certificate, overwrite)?;
        Ok(())
    }

    /// Loads the authority that [`save_sealed`](Self::save_sealed) put into `folder`.
    ///
    /// # Errors
    /// When `passphrase` does not open the key, and as [`load`](Self::load).
    pub fn load_sealed(folder: &Path, passphrase: &Passphrase) -> Result<Self, AuthorityError> {
        let text = files::read_secret(&folder.join(KEY_FILE))?;
        let key = SecretKey::open(&text, passphrase);
        Self::with_key(folder, key.ok_or_else(|| AuthorityError::Locked { folder: folder.to_owned() })?)
    }

    /// Reads the certificate of the authority in `folder`, which needs no passphrase.
    ///
    /// # Errors
    /// When the file is missing, unreadable or something else.
    pub fn load_certificate(folder: &Path) -> Result<CertificateDer<'static>, AuthorityError> {
        let certificate = files::read_certificate(&folder.join(CERTIFICATE_FILE))?;
        match super::authority_key(&certificate) {
            Some(_) => Ok(certificate),
            None => Err(AuthorityError::NotAnAuthority { folder: folder.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use synod_common::ids::SiteName;

    use super::*;
    use crate::files::FileError;

    #[test]
    fn a_sealed_authority_needs_its_passphrase() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_502_530);
        let authority =
            Authority::generate(&SiteName::new("study-a").unwrap(), now, Duration::from_secs(86_400)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (right, wrong) = (Passphrase::new("correct horse").unwrap(), Passphrase::new("wrong horse").unwrap());
        authority.save_sealed(folder.path(), &right, Overwrite::Refuse).unwrap();
        let again = Authority::load_sealed(folder.path(), &right).unwrap();
        assert_eq!(again.fingerprint(), authority.fingerprint());
        assert!(matches!(Authority::load_sealed(folder.path(), &wrong), Err(AuthorityError::Locked { .. })));
        let unsealed = Authority::load(folder.path()).unwrap_err();
        assert!(matches!(unsealed, AuthorityError::File(FileError::NoKey { .. })));
        assert_eq!(Authority::load_certificate(folder.path()).unwrap(), authority.certificate);
    }
}
