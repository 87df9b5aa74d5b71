//! A journal in a folder of the file system.
//!
//! ```text
//! FOLDER/lock           held by the process that has the journal, with its number
//! FOLDER/entries.redb   entries
//! FOLDER/blobs/DIGEST   values, one file each
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write as _};
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;

use super::blobs::{BlobFolder, BlobStore, sync_folder};
use super::error::JournalError;
use super::keep::Keep;
use super::store::Journal;

const ENTRIES: &str = "entries.redb";

impl Journal {
    /// Opens the journal in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// When another process has it, the folder cannot be written, or what is there cannot be used: see [`Journal::open`].
    pub fn open_folder(folder: &Path, keep: Keep) -> Result<Self, JournalError> {
        let blobs = folder.join("blobs");
        let made =
            BlobFolder::open(&blobs).map_err(JournalError::io(format!("make the folder {}", blobs.display())))?;
        Self::open_folder_with(folder, Arc::new(made), keep)
    }

    /// As [`Journal::open_folder`], with values kept elsewhere.
    ///
    /// # Errors
    /// As there.
    pub fn open_folder_with(folder: &Path, blobs: Arc<dyn BlobStore>, keep: Keep) -> Result<Self, JournalError> {
        fs::create_dir_all(folder).map_err(JournalError::io(format!("make the folder {}", folder.display())))?;
        let lock = lock(folder)?;
        let path = folder.join(ENTRIES);
        let open = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            sync_folder(folder)?;
            Ok(file)
        };
        let file = open().map_err(JournalError::io(format!("open {}", path.display())))?;
        let backend = FileBackend::new(file).map_err(JournalError::tables("open"))?;
        let mut journal = Self::open(backend, blobs, keep)?;
        journal.lock = Some(lock);
        Ok(journal)
    }

    /// Opens the journal in `folder`, which must be there.
    ///
    /// # Errors
    /// When there is none, and as [`Journal::open_folder`].
    pub fn open_existing(folder: &Path, keep: Keep) -> Result<Self, JournalError> {
        if !folder.join(ENTRIES).is_file() {
            return Err(JournalError::Missing { folder: folder.to_owned() });
        }
        Self::open_folder(folder, keep)
    }
}

/// Takes the folder for this process, until the file is closed.
fn lock(folder: &Path) -> Result<File, JournalError> {
    let path = folder.join("lock");
    let what = || JournalError::io(format!("lock {}", path.display()));
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(what())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&mut file).take(64).read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
            return Err(JournalError::Locked { folder: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(what()(error)),
    }
    // For people only: that nobody else has the lock is what counts.
    let _ = file.set_len(0);
    let _ = file.rewind();
    let _ = writeln!(file, "process {}", std::process::id());
    Ok(file)
}
