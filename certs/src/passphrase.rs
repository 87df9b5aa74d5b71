//! The passphrase that opens a sealed key.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::files::{self, FileError, Overwrite};

/// Shortest passphrase, in characters. Each guess costs an attacker 32 MiB and tens of milliseconds (scrypt), so
/// eight characters that are no word hold.
pub const PASSPHRASE_CHARS_MIN: usize = 8;
/// Longest passphrase, in bytes.
const BYTES_MAX: usize = 1024;

/// A passphrase. Overwritten when dropped; `Debug` does not show it.
pub struct Passphrase(Zeroizing<String>);

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// The file that should have it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It would protect nothing.
    #[error("refused the passphrase: it has fewer than {PASSPHRASE_CHARS_MIN} characters; choose a longer one")]
    Short,
    /// It is not one line of text.
    #[error(
        "refused the passphrase: it is not one line of at most {BYTES_MAX} bytes of text; give a file with one line"
    )]
    Shape,
    /// The system gave no random bytes.
    #[error("could not make a key file: the system gave no random bytes; this is unexpected, please report it")]
    Random,
}

impl Passphrase {
    /// Takes a passphrase.
    ///
    /// # Errors
    /// When it is too short, or is not one line of text.
    pub fn new(text: &str) -> Result<Self, PassphraseError> {
        if text.len() > BYTES_MAX || text.chars().any(char::is_control) {
            return Err(PassphraseError::Shape);
        }
        if text.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(PassphraseError::Short);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Reads the one line in `path`, which nobody but its owner may be able to read.
    ///
    /// # Errors
    /// When the file is missing, others can read it, or it does not hold one line of text.
    pub fn read(path: &Path) -> Result<Self, PassphraseError> {
        let bytes = files::read_secret(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PassphraseError::Shape)?;
        Self::new(text.trim_end_matches(['\n', '\r']))
    }

    /// Writes a new key file: a line of 256 random bits, readable by its owner only.
    ///
    /// # Errors
    /// When the file is there already or cannot be written.
    pub fn make_key_file(path: &Path) -> Result<Self, PassphraseError> {
        let mut random = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *random).map_err(|_| PassphraseError::Random)?;
        let mut line = Zeroizing::new(data_encoding::HEXLOWER.encode(&*random));
        let passphrase = Self::new(&line)?;
        line.push('\n');
        files::write_secret(path, line.as_bytes(), Overwrite::Refuse)?;
        Ok(passphrase)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_back_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("unlock.key");
        let made = Passphrase::make_key_file(&file).unwrap();
        assert_eq!(Passphrase::read(&file).unwrap().as_bytes(), made.as_bytes());
        assert_eq!(made.as_bytes().len(), 64);
        assert!(matches!(Passphrase::make_key_file(&file), Err(PassphraseError::File(FileError::Exists { .. }))));
    }

    #[test]
    fn short_long_and_torn_passphrases_are_refused() {
        assert!(matches!(Passphrase::new("seven77"), Err(PassphraseError::Short)));
        assert!(matches!(Passphrase::new("two lines\nof it"), Err(PassphraseError::Shape)));
        assert!(matches!(Passphrase::new(&"x".repeat(2000)), Err(PassphraseError::Shape)));
    }

    #[cfg(unix)]
    #[test]
    fn a_passphrase_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        std::fs::write(&file, "correct horse\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Passphrase::read(&file), Err(PassphraseError::File(FileError::Exposed { .. }))));
    }
}
