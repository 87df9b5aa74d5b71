//! A site's work on disk: the update that it finished, or how far a training is.
//!
//! ```text
//! ROOT/PLAN DIGEST/finished.update, begun.progress =
//!   "SYNK" | version u16 | kind u8 | plan digest | round u64 | model digest | body | BLAKE3 of everything before
//! body of an update   = length u32 | header as a frame | vectors u8 | vectors x (length u64, length x f32)
//! body of a progress  = a state
//! ```
//!
//! All little-endian. There is one task in hand at a time, so there is one file of each kind.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use synod_common::ids::{Digest, RoundId};
use synod_common::state::State;
use synod_common::update::{Buffer, Update, UpdateHeader};
use synod_common::wire::{FRAME_HEADER_BYTES, FrameHeader, chunks, decode, encode};

use super::durable;
use super::folder::{FIXED_BYTES, KeepError, values_of};
use crate::session::JobKey;

const MAGIC: &[u8; 4] = b"SYNK";
const VERSION: u16 = 1;
const DIGEST_BYTES: usize = 32;
/// Most vectors of the model's length in one file: two models in training, with two moments each, and what is beside them.
const VECTORS_MAX: usize = 8;
/// Room for an update's header.
const HEADER_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Update = 1,
    Progress = 2,
}

/// The work of one site for one plan.
#[derive(Clone, Debug)]
pub struct WorkFolder {
    folder: PathBuf,
    plan: Digest,
    values_max: usize,
}

impl WorkFolder {
    /// The folder for `plan` below `root`, for a model of `parameters` values and a site with `samples` training samples.
    /// Nothing is made until something is kept.
    #[must_use]
    pub fn new(root: &Path, plan: Digest, parameters: usize, samples: usize) -> Self {
        Self { folder: root.join(plan.to_string()), plan, values_max: values_of(parameters, VECTORS_MAX, samples) }
    }

    /// Keeps a finished update. What was kept of its training goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_update(&self, key: JobKey, update: &Update) -> Result<(), KeepError> {
        let path = self.path(Kind::Update);
        let frame = encode(&update.header)
            .map_err(|e| KeepError::Write { path: path.clone(), source: std::io::Error::other(e.to_string()) })?;
        let vectors: Vec<&[f32]> = vectors(update).collect();
        self.write(Kind::Update, key, |out| {
            out(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes())?;
            out(&frame)?;
            out(&[u8::try_from(vectors.len()).unwrap_or(u8::MAX)])?;
            for values in vectors {
                out(&(values.len() as u64).to_le_bytes())?;
                chunks(values).try_for_each(|chunk| out(&chunk))?;
            }
            Ok(())
        })?;
        let _ = fs::remove_file(self.path(Kind::Progress));
        Ok(())
    }

    /// Keeps how far a training is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_progress(&self, key: JobKey, progress: &State) -> Result<(), KeepError> {
        self.write(Kind::Progress, key, |out| out(&progress.to_bytes()))
    }

    /// The update that was kept; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, of another plan, or was written by another release.
    pub fn update(&self) -> Result<Option<(JobKey, Update)>, KeepError> {
        let Some((key, body)) = self.read(Kind::Update)? else { return Ok(None) };
        let update = read_update(&body, self.values_max).filter(|update| update.header.round == key.round);
        update.map(|update| Some((key, update))).ok_or_else(|| KeepError::Foreign(self.path(Kind::Update)))
    }

    /// The progress that was kept; `None` if there is none.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn progress(&self) -> Result<Option<(JobKey, State)>, KeepError> {
        let Some((key, body)) = self.read(Kind::Progress)? else { return Ok(None) };
        let progress = State::from_bytes(&body, self.values_max);
        let path = self.path(Kind::Progress);
        progress.map(|state| Some((key, state))).map_err(|source| KeepError::State { path, source })
    }

    /// Removes what is kept. Best effort: what stays is found to be of another task later.
    pub fn forget(&self) {
        for kind in [Kind::Update, Kind::Progress] {
            let _ = fs::remove_file(self.path(kind));
        }
    }

    fn path(&self, kind: Kind) -> PathBuf {
        self.folder.join(match kind {
            Kind::Update => "finished.update",
            Kind::Progress => "begun.progress",
        })
    }

    fn prefix(&self, kind: Kind) -> Vec<u8> {
        [MAGIC.as_slice(), &VERSION.to_le_bytes(), &[kind as u8], &self.plan.0].concat()
    }

    fn write(
        &self,
        kind: Kind,
        key: JobKey,
        body: impl FnOnce(&mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()>,
    ) -> Result<(), KeepError> {
        let path = self.path(kind);
        let content = |file: &mut std::io::BufWriter<File>| {
            let mut hasher = blake3::Hasher::new();
            let mut out = |bytes: &[u8]| {
                hasher.update(bytes);
                file.write_all(bytes)
            };
            out(&self.prefix(kind))?;
            out(&key.round.0.to_le_bytes())?;
            out(&key.model.0)?;
            body(&mut out)?;
            file.write_all(hasher.finalize().as_bytes())
        };
        durable::write(&path, content).map_err(|source| KeepError::Write { path, source })
    }

    /// The key and the body of the file of this kind.
    fn read(&self, kind: Kind) -> Result<Option<(JobKey, Vec<u8>)>, KeepError> {
        let path = self.path(kind);
        let bytes_max = FIXED_BYTES + HEADER_BYTES_MAX + 4 * self.values_max as u64;
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeepError::Read { path, source }),
        }
        let is_whole = |bytes: &[u8]| {
            let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
            (blake3::hash(content).as_bytes() == digest).then_some(content.len())
        };
        let parse = |content: &[u8]| {
            let (round, rest) = content.strip_prefix(self.prefix(kind).as_slice())?.split_first_chunk()?;
            let (model, body) = rest.split_first_chunk()?;
            Some((JobKey { round: RoundId(u64::from_le_bytes(*round)), model: Digest(*model) }, body.len()))
        };
        if let Some(end) = is_whole(&bytes).filter(|_| bytes.len() as u64 <= bytes_max)
            && let Some((key, body)) = parse(bytes.get(..end).unwrap_or_default())
        {
            bytes.truncate(end);
            return Ok(Some((key, bytes.split_off(end - body))));
        }
        Err(KeepError::Foreign(path))
    }
}

/// The vectors of an update, in the order in which they travel.
pub(crate) fn vectors(update: &Update) -> impl Iterator<Item = &[f32]> {
    std::iter::once(&*update.delta).chain(update.control.as_deref())
}

fn read_update(body: &[u8], values_max: usize) -> Option<Update> {
    let (length, rest) = body.split_first_chunk()?;
    let (frame, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let (head, header) = frame.split_first_chunk::<FRAME_HEADER_BYTES>()?;
    FrameHeader::parse(*head).ok()?.expect::<UpdateHeader>().ok()?;
    let header: UpdateHeader = decode(header).ok()?;
    let ([count], mut rest) = rest.split_first_chunk()?;
    let mut vectors = Vec::new();
    for _ in 0..*count {
        let (length, values) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|length| *length <= values_max)?;
        let (values, after) = values.split_at_checked(4 * length)?;
        let (values, _) = values.as_chunks::<4>();
        vectors.push(Buffer::from(values.iter().map(|v| f32::from_le_bytes(*v)).collect::<Vec<f32>>()));
        rest = after;
    }
    let mut vectors = vectors.into_iter();
    let (delta, control) = (vectors.next()?, vectors.next());
    (rest.is_empty() && vectors.next().is_none()).then_some(Update { header, delta, control })
}

#[cfg(test)]
mod tests {
    use synod_common::metrics::Metrics;

    use super::*;

    fn key(round: u64) -> JobKey {
        JobKey { round: RoundId(round), model: Digest([3; 32]) }
    }

    fn update(round: u64, control: Option<Vec<f32>>) -> Update {
        let header = UpdateHeader {
            round: RoundId(round),
            plan: Digest([1; 32]),
            layout: Digest([2; 32]),
            samples: 5,
            steps: 2,
            loss_before: Some(0.5),
            before: None,
            train: Metrics { samples: 5, ..Metrics::default() },
            after: None,
            train_ms: 7,
        };
        Update { header, delta: Buffer::from(vec![1.5, -2.0]), control: control.map(Buffer::from) }
    }

    fn folder(root: &Path) -> WorkFolder {
        WorkFolder::new(root, Digest([1; 32]), 2, 0)
    }

    #[test]
    fn an_update_and_a_progress_read_back_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path());
        assert!(folder.update().unwrap().is_none() && folder.progress().unwrap().is_none());
        let mut progress = State::default();
        progress.set_vector("model", vec![0.5, 0.25]);
        folder.save_progress(key(3), &progress).unwrap();
        assert_eq!(folder.progress().unwrap(), Some((key(3), progress)));
        for control in [None, Some(vec![0.125, 8.0])] {
            let kept = update(3, control);
            folder.save_update(key(3), &kept).unwrap();
            let (found, read) = folder.update().unwrap().unwrap();
            assert_eq!((found, &read.header, &*read.delta), (key(3), &kept.header, &*kept.delta));
            assert_eq!(read.control.as_deref(), kept.control.as_deref());
        }
        assert_eq!(folder.progress().unwrap(), None, "a finished training needs none");
        folder.forget();
        assert!(folder.update().unwrap().is_none());
    }

    #[test]
    fn what_is_cut_changed_foreign_or_too_large_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = folder(root.path());
        folder.save_update(key(3), &update(3, None)).unwrap();
        let path = folder.path(Kind::Update);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            assert!(matches!(folder.update(), Err(KeepError::Foreign(_))), "changed at {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(matches!(folder.update(), Err(KeepError::Foreign(_))), "cut at {at}");
        }
        fs::write(&path, &good).unwrap();
        assert!(folder.update().unwrap().is_some());
        let other = WorkFolder { plan: Digest([9; 32]), ..folder.clone() };
        assert!(matches!(other.update(), Err(KeepError::Foreign(_))), "of another plan");
        let small = WorkFolder { values_max: 1, ..folder.clone() };
        assert!(matches!(small.update(), Err(KeepError::Foreign(_))), "of a larger model");
        folder.save_update(key(4), &update(3, None)).unwrap();
        assert!(matches!(folder.update(), Err(KeepError::Foreign(_))), "the header is of another round");
    }
}
