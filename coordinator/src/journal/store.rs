//! The journal: entries in the tables of redb, values as blobs beside them.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use redb::{Builder, Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use synod_common::blocks::{Layout, values_digest};
use synod_common::ids::Digest;
use synod_common::state::State;
use synod_common::update::Buffer;
use synod_common::wire::{CHUNK_BYTES, ValueReader, chunks};

use super::blobs::BlobStore;
use super::entry::{Committed, Entry};
use super::error::JournalError;
use super::keep::Keep;
use super::line::{BlobRef, Line};
use super::replay::Replay;
use crate::round::{Event, ModelVersion, Record};

/// Version of tables and entries. It grows when an older release could not go on with a run.
pub const JOURNAL_VERSION: u64 = 1;

/// Entries by their number, from 0 without gaps.
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The key of [`JOURNAL_VERSION`] in [`META`].
const VERSION: &str = "version";
/// Memory for pages: entries are written once and read once.
const CACHE_BYTES: usize = 4 << 20;

/// Something to make durable.
#[derive(Debug)]
pub enum Write {
    /// What [`Action::Journal`](crate::round::Action::Journal) gave out.
    Record(Box<Record>),
    /// What [`Action::Commit`](crate::round::Action::Commit) gave out.
    Commit {
        /// What happened.
        entry: Box<Committed>,
        /// The model.
        model: Arc<ModelVersion>,
        /// What the strategy remembers with it.
        state: Arc<State>,
    },
}

/// The journal of one run. Whoever has it is the only one that writes.
#[derive(Debug)]
pub struct Journal {
    db: Database,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) replay: Replay,
    /// The number of the next entry.
    next: u64,
    /// What keeps others out, where the journal is in a folder.
    pub(super) lock: Option<std::fs::File>,
}

impl Journal {
    /// Opens what is in `backend`, or begins anew where nothing is. Every page and entry is verified; values are when they are
    /// read, or by [`Journal::check`].
    ///
    /// # Errors
    /// When it is of another version, damaged, or cannot be read or written.
    pub fn open(backend: impl StorageBackend, blobs: Arc<dyn BlobStore>, keep: Keep) -> Result<Self, JournalError> {
        clear_unfinished(&backend, blobs.as_ref())?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let db = builder.create_with_backend(backend).map_err(JournalError::tables("open"))?;
        check_version(&db)?;
        let mut replay = Replay::new(keep);
        let next = for_each_line(&db, |number, line| {
            let kind = line.entry.kind();
            let applied = replay.apply(line).map(drop);
            applied.map_err(|reason| JournalError::damaged(format!("entry {number} ({kind}) does not fit: {reason}")))
        })?;
        replay.forget_missing(&blobs_there(blobs.as_ref())?);
        Ok(Self { db, blobs, replay, next, lock: None })
    }

    /// Makes all of `writes` durable, together, and returns what the machine is to be told of each: that it is durable, or that
    /// none of them is.
    pub fn write(&mut self, writes: Vec<Write>) -> Vec<Event> {
        let written = self.try_write(&writes).map_err(|error| error.to_string());
        let told = |write| match (write, &written) {
            (Write::Record(record), Ok(())) => Event::Journalled(record),
            (Write::Record(record), Err(reason)) => Event::JournalFailed { record, reason: reason.clone() },
            (Write::Commit { entry, .. }, Ok(())) => Event::Committed { round: entry.round },
            (Write::Commit { entry, .. }, Err(reason)) => {
                Event::CommitFailed { round: entry.round, reason: reason.clone() }
            }
        };
        writes.into_iter().map(told).collect()
    }

    fn try_write(&mut self, writes: &[Write]) -> Result<(), JournalError> {
        // Values first: an entry never names what is not there.
        let lines = writes.iter().map(|write| self.put_blobs(write)).collect::<Result<Vec<_>, _>>()?;
        let failed = "write";
        let mut transaction = self.db.begin_write().map_err(JournalError::tables(failed))?;
        // Two phases tell a write that was cut off from a page that was damaged later: the second must not be taken for the
        // first, which would silently undo what was acknowledged.
        transaction.set_two_phase_commit(true);
        {
            let mut table = transaction.open_table(ENTRIES).map_err(JournalError::tables(failed))?;
            for (number, line) in (self.next..).zip(&lines) {
                table.insert(number, line.to_bytes()?.as_slice()).map_err(JournalError::tables(failed))?;
            }
        }
        transaction.commit().map_err(JournalError::tables(failed))?;
        let mut released = Vec::new();
        for line in lines {
            let number = self.next;
            self.next += 1;
            released.extend(self.replay.apply(line).map_err(|reason| {
                JournalError::damaged(format!("entry {number} does not fit: {reason}; this is a bug, please report it"))
            })?);
        }
        if !released.is_empty() {
            let live = self.replay.live();
            for blob in released.iter().filter(|blob| !live.contains(&blob.digest)) {
                // One that stays is removed when the journal is opened again.
                let _ = self.blobs.remove(blob.digest);
            }
        }
        Ok(())
    }

    fn put_blobs(&self, write: &Write) -> Result<Line, JournalError> {
        let mut blobs = Vec::new();
        let entry = match write {
            Write::Record(record) => {
                for values in record.values() {
                    blobs.push(self.put_values(values)?);
                }
                record.entry().clone()
            }
            Write::Commit { entry, model, state } => {
                blobs.push(self.put_values(&model.values)?);
                if !state.is_empty() {
                    let bytes = state.to_bytes();
                    blobs.push(self.put(Digest::of(&bytes), bytes.len() as u64, &mut std::iter::once(&bytes[..]))?);
                }
                Entry::RoundCommitted(entry.clone())
            }
        };
        Ok(Line { entry, blobs })
    }

    fn put_values(&self, values: &[f32]) -> Result<BlobRef, JournalError> {
        let parts: Vec<_> = chunks(values).collect();
        self.put(values_digest(values), values.len() as u64 * 4, &mut parts.iter().map(AsRef::as_ref))
    }

    fn put(&self, digest: Digest, bytes: u64, parts: &mut dyn Iterator<Item = &[u8]>) -> Result<BlobRef, JournalError> {
        self.blobs.put(digest, parts).map_err(JournalError::io(format!("save {bytes} bytes beside the journal")))?;
        Ok(BlobRef { digest, bytes })
    }

    /// Reads and verifies values into `values`, which has their length.
    pub(super) fn values(&self, blob: BlobRef, of: &str, mut values: Buffer) -> Result<Buffer, JournalError> {
        let wrong = |what: String| JournalError::Blob { digest: blob.digest, of: of.to_owned(), what };
        if blob.bytes != values.len() as u64 * 4 {
            return Err(wrong(format!("has {} bytes, {} belong to this model", blob.bytes, values.len() * 4)));
        }
        let mut source = self.blobs.get(blob.digest).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let mut reader = ValueReader::new(&mut values);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = source.read(&mut chunk).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            if read == 0 {
                break;
            }
            reader
                .push(chunk.get(..read).unwrap_or_default())
                .map_err(|error| wrong(format!("is damaged: {error}")))?;
        }
        reader.finish(blob.digest.0).map_err(|error| wrong(format!("is damaged: {error}")))?;
        Ok(values)
    }

    /// Reads and verifies the bytes of a blob, in pieces.
    pub(super) fn read(&self, blob: BlobRef, of: &str, take: &mut dyn FnMut(&[u8])) -> Result<(), JournalError> {
        let wrong = |what: String| JournalError::Blob { digest: blob.digest, of: of.to_owned(), what };
        let mut source = self.blobs.get(blob.digest).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let (mut hasher, mut total) = (blake3::Hasher::new(), 0_u64);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = source.read(&mut chunk).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            total += read as u64;
            if read == 0 || total > blob.bytes {
                break;
            }
            let part = chunk.get(..read).unwrap_or_default();
            hasher.update(part);
            take(part);
        }
        if total != blob.bytes || *hasher.finalize().as_bytes() != blob.digest.0 {
            return Err(wrong("is damaged: its bytes are not those that were written".to_owned()));
        }
        Ok(())
    }

    /// A strategy's state in a run that knows so many `sites`.
    pub(super) fn state(&self, blob: BlobRef, of: &str, layout: &Layout, sites: usize) -> Result<State, JournalError> {
        let wrong = |what: String| JournalError::Blob { digest: blob.digest, of: of.to_owned(), what };
        // FedPAC has a head for each site, which is a part of a model.
        let heads = layout.head().map_or(0, |head| head.range.len() as u64 * 4 + STATE_NAME_BYTES);
        let bytes_max = STATE_VECTORS_MAX
            .saturating_mul(layout.bytes())
            .saturating_add(heads.saturating_mul(sites as u64))
            .saturating_add(STATE_NAMES_BYTES_MAX);
        if blob.bytes > bytes_max {
            return Err(wrong(format!("has {} bytes, at most {bytes_max} belong to this model", blob.bytes)));
        }
        let mut bytes = Vec::new();
        self.read(blob, of, &mut |part| bytes.extend_from_slice(part))?;
        State::from_bytes(&bytes, bytes.len() / 4).map_err(|error| wrong(error.to_string()))
    }

    /// Removes blobs that nothing refers to, which a crash or another way to keep left, and returns how many those were.
    ///
    /// # Errors
    /// When they cannot be listed or removed.
    pub fn collect_garbage(&self) -> Result<u64, JournalError> {
        let live = self.replay.live();
        let mut removed = 0;
        for digest in blobs_there(self.blobs.as_ref())?.difference(&live) {
            self.blobs.remove(*digest).map_err(JournalError::io(format!("remove blob {digest}")))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Gives every entry with its number to `take`, in order.
    ///
    /// # Errors
    /// The first of `take`, and when the tables cannot be read.
    pub fn for_each_line(&self, take: impl FnMut(u64, Line) -> Result<(), JournalError>) -> Result<u64, JournalError> {
        for_each_line(&self.db, take)
    }

    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.next
    }

    /// Gives back what the tables' file does not need.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn compact_tables(&mut self) -> Result<(), JournalError> {
        self.db.compact().map(drop).map_err(JournalError::tables("compact"))
    }
}

fn blobs_there(blobs: &dyn BlobStore) -> Result<BTreeSet<Digest>, JournalError> {
    Ok(blobs.list().map_err(JournalError::io("list the blobs"))?.into_iter().collect())
}

/// Vectors of the model's length that a state has at most: strategies have three, SCAFFOLD's sum of changes counts as four.
const STATE_VECTORS_MAX: u64 = 64;
/// Room for name and length of one vector of a state.
const STATE_NAME_BYTES: u64 = 128;
/// Room for names and numbers of a state.
const STATE_NAMES_BYTES_MAX: u64 = 1 << 20;

/// Empties storage that was left in the middle of its first preparation: its mark is written last, and no value can be there yet.
fn clear_unfinished(backend: &impl StorageBackend, blobs: &dyn BlobStore) -> Result<(), JournalError> {
    let failed = |error: redb::BackendError| JournalError::tables("open")(redb::Error::from(error));
    let length = backend.len().map_err(|e| failed(e.into()))?;
    let mut mark = [0; 9];
    if length == 0 {
        return Ok(());
    }
    if length >= mark.len() as u64 {
        backend.read(0, &mut mark).map_err(|e| failed(e.into()))?;
    }
    if mark == [0; 9] && blobs.list().map_err(JournalError::io("list the blobs"))?.is_empty() {
        backend.set_len(0).map_err(|e| failed(e.into()))?;
    }
    Ok(())
}

fn check_version(db: &Database) -> Result<(), JournalError> {
    let read = db.begin_read().map_err(JournalError::tables("read"))?;
    let found = match read.open_table(META) {
        Ok(table) => table.get(VERSION).map_err(JournalError::tables("read"))?.map(|version| version.value()),
        Err(redb::TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(JournalError::tables("read")(error)),
    };
    drop(read);
    match found {
        Some(JOURNAL_VERSION) => Ok(()),
        Some(found) => Err(JournalError::Version { found, expected: JOURNAL_VERSION }),
        None => begin(db).map_err(|error| JournalError::tables("begin")(*error)),
    }
}

/// A journal without entries.
fn begin(db: &Database) -> Result<(), Box<redb::Error>> {
    let boxed = |error: redb::Error| Box::new(error);
    let mut transaction = db.begin_write().map_err(|e| boxed(e.into()))?;
    transaction.set_two_phase_commit(true);
    {
        let mut meta = transaction.open_table(META).map_err(|e| boxed(e.into()))?;
        meta.insert(VERSION, JOURNAL_VERSION).map_err(|e| boxed(e.into()))?;
        transaction.open_table(ENTRIES).map_err(|e| boxed(e.into()))?;
    }
    transaction.commit().map_err(|e| boxed(e.into()))
}

/// Gives every entry to `take`, and returns how many there are.
fn for_each_line(
    db: &Database,
    mut take: impl FnMut(u64, Line) -> Result<(), JournalError>,
) -> Result<u64, JournalError> {
    let read = db.begin_read().map_err(JournalError::tables("read"))?;
    let table = read.open_table(ENTRIES).map_err(JournalError::tables("read"))?;
    let mut next = 0;
    for row in table.iter().map_err(JournalError::tables("read"))? {
        let (key, value) = row.map_err(JournalError::tables("read"))?;
        if key.value() != next {
            return Err(JournalError::damaged(format!("entry {next} is missing")));
        }
        let line = Line::from_bytes(value.value());
        take(next, line.map_err(|reason| JournalError::damaged(format!("entry {next}: {reason}")))?)?;
        next += 1;
    }
    Ok(next)
}
