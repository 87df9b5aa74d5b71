//! A disk that forgets what was not synced, and can be full.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;
use synod_common::ids::Digest;

use super::super::{BlobStore, Journal, JournalError, Keep};

/// What a machine has on disk: the tables' storage and the blobs. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// As programs see it.
    seen: Vec<u8>,
    /// As it is after a crash.
    durable: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Change>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    full: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::Write(at, bytes) => {
                to.resize(to.len().max(at + bytes.len()), 0);
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Disk {
    pub(super) fn open(&self, keep: Keep) -> Result<Journal, JournalError> {
        Journal::open(self.clone(), Arc::new(self.clone()), keep)
    }

    /// The power fails: of what was not synced some writes are there, some are not, and some in part.
    pub(super) fn crash(&self, rng: &mut ChaCha8Rng) {
        let mut content = self.0.lock().unwrap();
        let unsynced = std::mem::take(&mut content.unsynced);
        for mut change in unsynced {
            if rng.random_bool(0.5) {
                if let Change::Write(_, bytes) = &mut change
                    && rng.random_bool(0.3)
                {
                    // Sectors are written whole.
                    let sectors = bytes.len() / 512;
                    bytes.truncate(512 * rng.random_range(0..=sectors));
                }
                change.apply(&mut content.durable);
            }
        }
        content.seen = content.durable.clone();
    }

    pub(super) fn fill(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// Changes one byte of the tables.
    pub(super) fn flip(&self, at: usize) {
        let mut content = self.0.lock().unwrap();
        content.seen[at] ^= 0x40;
        content.durable[at] ^= 0x40;
    }

    pub(super) fn overwrite(&self, at: usize, byte: u8) {
        let mut content = self.0.lock().unwrap();
        content.seen[at] = byte;
        content.durable[at] = byte;
    }

    pub(super) fn len_of_tables(&self) -> usize {
        self.0.lock().unwrap().seen.len()
    }

    /// A disk with the same content.
    pub(super) fn copy(&self) -> Self {
        let content = self.0.lock().unwrap();
        Self(Arc::new(Mutex::new(Content {
            seen: content.seen.clone(),
            durable: content.durable.clone(),
            unsynced: content.unsynced.clone(),
            blobs: content.blobs.clone(),
            full: false,
        })))
    }

    pub(super) fn blobs(&self) -> BTreeMap<Digest, Vec<u8>> {
        self.0.lock().unwrap().blobs.clone()
    }

    pub(super) fn change_blob(&self, digest: Digest, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.0.lock().unwrap().blobs.get_mut(&digest).unwrap());
    }

    fn grow(&self) -> io::Result<()> {
        let full = self.0.lock().unwrap().full;
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn change(&self, change: Change) {
        let mut content = self.0.lock().unwrap();
        change.apply(&mut content.seen);
        content.unsynced.push(change);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let content = self.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        let bytes = content.seen.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.change(Change::Length(usize::try_from(len).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.grow()?;
        let mut content = self.0.lock().unwrap();
        content.durable = content.seen.clone();
        content.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.grow()?;
        self.change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}

impl BlobStore for Disk {
    fn put(&self, digest: Digest, parts: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        self.grow()?;
        let bytes = parts.flatten().copied().collect();
        self.0.lock().unwrap().blobs.insert(digest, bytes);
        Ok(())
    }

    fn get(&self, digest: Digest) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.0.lock().unwrap().blobs.get(&digest).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn remove(&self, digest: Digest) -> io::Result<()> {
        self.0.lock().unwrap().blobs.remove(&digest);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<Digest>> {
        Ok(self.0.lock().unwrap().blobs.keys().copied().collect())
    }
}
