//! A disk that keeps what was synced and may lose the rest.
//!
//! At a crash each change since the last sync is kept, lost, or torn: its sectors of 512 bytes are drawn one by one, which
//! covers every order in which a disk may have written them. A write never harms bytes beside it, and one byte is written
//! whole, which is what redb asks of a disk. Blobs are durable when `put` returns; one that is cut off is gone or whole under
//! its name, as after a rename.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use redb::StorageBackend;
use synod_common::ids::Digest;
use synod_coordinator::journal::BlobStore;

/// Bytes that a disk writes whole.
const SECTOR: usize = 512;

/// A disk. What a process opened before a crash is closed by it: see [`Disk::open`].
#[derive(Debug, Default)]
pub(super) struct Disk {
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    /// Counts crashes.
    life: u64,
    /// As the process sees it.
    seen: Vec<u8>,
    /// As it is after a crash.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    /// Syncs and blobs that still work; then the power is off.
    fuse: Option<u32>,
}

#[derive(Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

/// A disk as one life of a process has it.
#[derive(Clone, Debug)]
pub(super) struct OpenDisk {
    content: Arc<Mutex<Content>>,
    life: u64,
}

impl Disk {
    pub(super) fn open(&self) -> OpenDisk {
        OpenDisk { content: Arc::clone(&self.content), life: lock(&self.content).life }
    }

    /// Lets `steps` syncs and blobs work, and none after.
    pub(super) fn set_fuse(&self, steps: Option<u32>) {
        lock(&self.content).fuse = steps;
    }

    /// Whether the power went off.
    pub(super) fn is_off(&self) -> bool {
        lock(&self.content).fuse == Some(0)
    }

    /// The process that had it open is gone; `rng` draws what became of that which was not synced.
    pub(super) fn crash(&self, rng: &mut ChaCha12Rng) {
        let mut guard = lock(&self.content);
        let content = &mut *guard;
        for change in std::mem::take(&mut content.unsynced) {
            change.apply_in_part(&mut content.durable, rng);
        }
        content.seen = content.durable.clone();
        content.life += 1;
        content.fuse = None;
    }

    /// Blobs, and their bytes.
    pub(super) fn blobs(&self) -> (usize, u64) {
        let content = lock(&self.content);
        (content.blobs.len(), content.blobs.values().map(|bytes| bytes.len() as u64).sum())
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::Write(at, bytes) => write(to, *at, bytes),
        }
    }

    fn apply_in_part(self, to: &mut Vec<u8>, rng: &mut ChaCha12Rng) {
        match self {
            Self::Length(length) => {
                if rng.random_bool(0.5) {
                    to.resize(length, 0);
                }
            }
            Self::Write(at, bytes) => match rng.random_range(0..3) {
                0 => write(to, at, &bytes),
                1 => {}
                _ => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if rng.random_bool(0.5) {
                            write(to, at + number * SECTOR, sector);
                        }
                    }
                }
            },
        }
    }
}

fn write(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    to.resize(to.len().max(end), 0);
    to[at..end].copy_from_slice(bytes);
}

fn lock(content: &Mutex<Content>) -> MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl OpenDisk {
    fn content(&self) -> io::Result<MutexGuard<'_, Content>> {
        let content = lock(&self.content);
        let is_off = content.life != self.life || content.fuse == Some(0);
        if is_off { Err(io::Error::other("the power is off")) } else { Ok(content) }
    }

    /// One step of the fuse; the last is not done.
    fn burn(&self) -> io::Result<MutexGuard<'_, Content>> {
        let mut content = self.content()?;
        if let Some(left) = &mut content.fuse {
            *left -= 1;
        }
        drop(content);
        self.content()
    }
}

impl StorageBackend for OpenDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content()?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (content, at) = (self.content()?, position(offset)?);
        let bytes = content.seen.get(at..at.saturating_add(out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(position(len)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.burn()?;
        let content = &mut *guard;
        for change in std::mem::take(&mut content.unsynced) {
            change.apply(&mut content.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(position(offset)?, data.to_vec()))
    }
}

impl OpenDisk {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut content = self.content()?;
        change.apply(&mut content.seen);
        content.unsynced.push(change);
        Ok(())
    }
}

impl BlobStore for OpenDisk {
    fn put(&self, digest: Digest, parts: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
        let bytes = parts.flatten().copied().collect();
        self.burn()?.blobs.insert(digest, bytes);
        Ok(())
    }

    fn get(&self, digest: Digest) -> io::Result<Box<dyn Read + '_>> {
        let bytes = self.content()?.blobs.get(&digest).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn remove(&self, digest: Digest) -> io::Result<()> {
        self.content()?.blobs.remove(&digest);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<Digest>> {
        Ok(self.content()?.blobs.keys().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_was_synced_stays_and_the_rest_is_kept_lost_or_torn() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..100 {
            let disk = Disk::default();
            let open = disk.open();
            open.write(0, &[1; 2048]).unwrap();
            open.sync_data().unwrap();
            open.write(1024, &[2; 2048]).unwrap();
            disk.crash(&mut ChaCha12Rng::seed_from_u64(seed));
            assert!(open.write(0, &[3]).is_err(), "the process is gone");
            let open = disk.open();
            let mut bytes = vec![0; usize::try_from(open.len().unwrap()).unwrap()];
            open.read(0, &mut bytes).unwrap();
            assert_eq!(bytes[..1024], [1; 1024], "synced, and nobody wrote there since");
            match bytes[1024..].iter().filter(|byte| **byte == 2).count() {
                2048 => kept += 1,
                0 => lost += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 10 && lost > 10 && torn > 10, "{kept} {lost} {torn}");
    }

    #[test]
    fn a_fuse_ends_the_power_before_the_sync_it_names() {
        let disk = Disk::default();
        let open = disk.open();
        disk.set_fuse(Some(2));
        open.write(0, &[1]).unwrap();
        open.sync_data().unwrap();
        open.write(1, &[1]).unwrap();
        assert!(open.sync_data().is_err());
        assert!(disk.is_off());
        assert_eq!(lock(&disk.content).durable, [1]);
    }
}
