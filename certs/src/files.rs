//! Certificates and keys as PEM files.
//!
//! A file is written under a temporary name in its own folder, flushed to disk and then given its name in one step, so that a
//! crash leaves the old file or the new one. Keys are created readable by their owner only; there is no moment at which another
//! user could open one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::key::SecretKey;

/// Largest PEM file read. A certificate or key is about 1 KiB; more is another file.
pub const PEM_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What to do where a file to be written is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Leave it and say so. Decided by the file system, so that two writers cannot both win.
    Refuse,
    /// Put the new file in its place.
    Replace,
}

/// What went wrong with a certificate or key file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such file.
    #[error(
        "could not read {path}: there is no such file; name the folder that holds the identity, or make one with `synod certs`"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to read it.
    #[error("could not read {path}: {source}; check that the user who runs synod owns this file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is too large to be what it should be.
    #[error(
        "could not read {path}: it is larger than {PEM_FILE_BYTES_MAX} bytes, so it is no certificate or key; restore the file or make the identity again with `synod certs`"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It holds no certificate.
    #[error(
        "could not read {path}: it holds {found} PEM certificates (BEGIN CERTIFICATE) where one is wanted; restore the file or make the identity again with `synod certs`"
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// How many certificates it holds.
        found: usize,
    },
    /// It holds no private key.
    #[error(
        "could not read {path}: it holds no unencrypted PEM private key (BEGIN PRIVATE KEY); restore the file or make the identity again with `synod certs`"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Others can read a private key.
    #[error(
        "refused the key {path}: its mode {mode:04o} lets other users of this machine read it; run `chmod 600 {path}`, and make a new identity if somebody may have copied it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is there already.
    #[error(
        "did not write {path}: the file is there already; choose another folder, or ask for overwriting if it may go"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to write it.
    #[error("could not write {path}: {source}; check that the folder is writable and the disk is not full")]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The one certificate in `path`.
pub(crate) fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, FileError> {
    let text = read_bounded(path, open(path)?)?;
    let mut certificates = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
    match (certificates.next(), certificates.count()) {
        (Some(only), 0) => Ok(only),
        (first, more) => {
            Err(FileError::NoCertificate { path: path.to_owned(), found: usize::from(first.is_some()) + more })
        }
    }
}

/// The certificates in `path`, at least one and at most `most`.
///
/// # Errors
/// When the file is missing, unreadable, too large, or holds none or more.
pub fn read_certificates(path: &Path, most: usize) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = read_bounded(path, open(path)?)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).take(most + 1).collect();
    let found = certificates.len();
    if (1..=most).contains(&found) {
        Ok(certificates)
    } else {
        Err(FileError::NoCertificate { path: path.to_owned(), found })
    }
}

/// The private key in `path`, which nobody but its owner may be able to read.
pub(crate) fn read_key(path: &Path) -> Result<SecretKey, FileError> {
    let text = read_secret(path)?;
    SecretKey::from_pem(&text).ok_or_else(|| FileError::NoKey { path: path.to_owned() })
}

/// The bytes of `path`, which nobody but its owner may be able to read.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = open(path)?;
    refuse_exposed(path, &file)?;
    read_bounded(path, file)
}

/// Writes `bytes` for their owner alone to read: the old file or the new one is there at any time, also after a crash.
///
/// # Errors
/// When the file is there already and `overwrite` says to refuse, or the system refuses to write.
pub fn write_secret(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<(), FileError> {
    write(path, bytes, Readers::Owner, overwrite)
}

/// Writes `certificate` for everybody to read.
pub(crate) fn write_certificate(
    path: &Path,
    certificate: &CertificateDer<'_>,
    overwrite: Overwrite,
) -> Result<(), FileError> {
    write_certificates(path, std::slice::from_ref(certificate), overwrite)
}

/// Writes `certificates`, one after the other, for everybody to read.
///
/// # Errors
/// As [`write_secret`].
pub fn write_certificates(
    path: &Path,
    certificates: &[CertificateDer<'_>],
    overwrite: Overwrite,
) -> Result<(), FileError> {
    let blocks: Vec<_> = certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect();
    write(path, pem::encode_many(&blocks).as_bytes(), Readers::Everybody, overwrite)
}

/// Writes `key` for its owner alone to read.
pub(crate) fn write_key(path: &Path, key: &SecretKey, overwrite: Overwrite) -> Result<(), FileError> {
    write_secret(path, key.to_pem().as_bytes(), overwrite)
}

/// Removes `path`, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FileError::Unwritable { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Makes `folder` and those above it, open to their owner only, unless it is there.
///
/// # Errors
/// When the system refuses.
pub fn make_folder(folder: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| FileError::Unwritable { path: folder.to_owned(), source })
}

/// Fails on the first of `paths` that is there, so that a set of files is not left half written.
pub(crate) fn refuse_existing(paths: &[&Path], overwrite: Overwrite) -> Result<(), FileError> {
    match (overwrite, paths.iter().find(|path| path.symlink_metadata().is_ok())) {
        (Overwrite::Refuse, Some(path)) => Err(FileError::Exists { path: path.to_path_buf() }),
        (Overwrite::Refuse, None) | (Overwrite::Replace, _) => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Readers {
    Owner,
    Everybody,
}

fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing { path: path.to_owned() },
        _ => FileError::Unreadable { path: path.to_owned(), source },
    })
}

fn read_bounded(path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // The whole bound at once: a vector that grows would leave copies of a key behind.
    let capacity = usize::try_from(PEM_FILE_BYTES_MAX + 1).unwrap_or(usize::MAX);
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    let read = file.take(PEM_FILE_BYTES_MAX + 1).read_to_end(&mut text);
    read.map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
    if text.len() < capacity { Ok(text) } else { Err(FileError::TooLarge { path: path.to_owned() }) }
}

/// Looks at the open file, not at the path, so that what is checked is what is read.
#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = file.metadata().map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(FileError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _file: &File) -> Result<(), FileError> {
    Ok(())
}

fn write(path: &Path, bytes: &[u8], readers: Readers, overwrite: Overwrite) -> Result<(), FileError> {
    let temporary = temporary_name(path)?;
    let written = write_new(&temporary, bytes, readers).and_then(|()| match overwrite {
        Overwrite::Replace => fs::rename(&temporary, path),
        Overwrite::Refuse => name_if_free(&temporary, path),
    });
    if written.is_err() {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| flush_folder(path)).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
        _ => FileError::Unwritable { path: path.to_owned(), source },
    })
}

fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(
        &mut options,
        match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o644,
        },
    );
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Renames without replacing: a link fails where the name is taken, in one step, as `rename` cannot.
fn name_if_free(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Ok(()) => fs::remove_file(temporary),
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Err(taken),
        // A file system without links (FAT, some network shares): the best it offers is to look first.
        Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(temporary, path),
    }
}

/// The file's name plus random digits, in the same folder: a rename works only within one file system.
fn temporary_name(path: &Path) -> Result<PathBuf, FileError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| FileError::Unwritable {
        path: path.to_owned(),
        source: io::Error::other("the system gave no random bytes"),
    })?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
    Ok(path.with_file_name(name))
}

/// Makes the new name itself durable.
#[cfg(unix)]
fn flush_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn flush_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let (first, second) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        write_key(&path, &first, Overwrite::Refuse).unwrap();
        assert!(matches!(write_key(&path, &second, Overwrite::Refuse), Err(FileError::Exists { .. })));
        assert_eq!(read_key(&path).unwrap().public_key_info(), first.public_key_info());
        write_key(&path, &second, Overwrite::Replace).unwrap();
        assert_eq!(read_key(&path).unwrap().public_key_info(), second.public_key_info());
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["key.pem"], "no temporary file may stay behind");
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("key.pem");
        make_folder(path.parent().unwrap()).unwrap();
        write_key(&path, &SecretKey::generate().unwrap(), Overwrite::Refuse).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        for exposed in [0o640, 0o604, 0o660, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            let message = read_key(&path).unwrap_err().to_string();
            assert!(message.contains(&format!("chmod 600 {}", path.display())), "{message}");
            assert!(message.contains(&format!("{exposed:04o}")), "{message}");
        }
    }

    #[test]
    fn files_that_hold_something_else_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.pem");
        assert!(matches!(read_certificate(&path), Err(FileError::Missing { .. })));
        fs::write(&path, "hello").unwrap();
        assert!(matches!(read_certificate(&path), Err(FileError::NoCertificate { found: 0, .. })));
        let block = pem::encode(&pem::Pem::new("CERTIFICATE", [1, 2, 3]));
        fs::write(&path, format!("{block}{block}")).unwrap();
        assert!(matches!(read_certificate(&path), Err(FileError::NoCertificate { found: 2, .. })));
        fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(matches!(read_certificate(&path), Err(FileError::TooLarge { .. })));
        assert!(matches!(read_certificate(folder.path()), Err(FileError::Unreadable { .. })));
    }
}
