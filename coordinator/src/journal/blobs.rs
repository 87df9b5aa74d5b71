//! Values beside the journal: files named by the digest of their bytes.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use synod_common::ids::Digest;

/// What a file is called while it is written.
const UNFINISHED: &str = "partial";

/// Where blobs are kept. One thread writes at a time.
pub trait BlobStore: Debug + Send + Sync {
    /// Keeps the bytes that `parts` are together under their digest; durable when it returns. Bytes that are there already may
    /// be written again: they are the same.
    ///
    /// # Errors
    /// When they could not be made durable.
    fn put(&self, digest: Digest, parts: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()>;

    /// The bytes under `digest`, as they are: the reader compares digests.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there are none, and whatever reading says.
    fn get(&self, digest: Digest) -> io::Result<Box<dyn Read + '_>>;

    /// Removes the bytes under `digest`, if they are there.
    ///
    /// # Errors
    /// When they are there and stay.
    fn remove(&self, digest: Digest) -> io::Result<()>;

    /// Everything that is kept.
    ///
    /// # Errors
    /// When it cannot be listed.
    fn list(&self) -> io::Result<Vec<Digest>>;
}

/// Blobs in a folder of their own, one file each: written under another name, synced, renamed, and the folder synced.
#[derive(Debug)]
pub struct BlobFolder {
    path: PathBuf,
}

impl BlobFolder {
    /// Uses the folder `path`, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    fn file(&self, digest: Digest) -> PathBuf {
        self.path.join(digest.to_string())
    }
}

impl BlobStore for BlobFolder {
    fn put(&self, digest: Digest, parts: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        let path = self.file(digest);
        let unfinished = path.with_extension(UNFINISHED);
        let written = (|| {
            let mut file = File::create(&unfinished)?;
            for part in parts {
                file.write_all(part)?;
            }
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync_folder(&self.path)
        })();
        if written.is_err() {
            // On a full disk every byte counts; where this fails too, the next start removes it.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn get(&self, digest: Digest) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(File::open(self.file(digest))?))
    }

    fn remove(&self, digest: Digest) -> io::Result<()> {
        match fs::remove_file(self.file(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<Digest>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            match name.and_then(|name| name.parse().ok()) {
                Some(digest) => all.push(digest),
                // What a crash left of a file that was being written; files of other people stay.
                None if path.extension().is_some_and(|e| e == UNFINISHED) => fs::remove_file(path)?,
                None => {}
            }
        }
        Ok(all)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
