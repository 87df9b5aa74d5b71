//! Updates on their way in: who reads when, and what is kept of one that broke off.
//!
//! One update of a site is read at a time, over whichever of its connections, and [`UPLOADS_MAX`](super::UPLOADS_MAX) in all.
//! What came of an update whose connection broke stays here until the rest comes, the round is over, or newer ones need the
//! room.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::RecvStream;
use synod_common::event::RunEvent;
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::update::Buffer;
use synod_common::wire::{CHUNK_BYTES, Intake, Offer, ValuesError};
use synod_transport::StreamError;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

/// Most interrupted uploads that are kept: sites whose line broke within one round.
const KEPT_MAX: usize = 16;
/// Most bytes of values that they have room for together.
const KEPT_BYTES_MAX: u64 = 1 << 30;

/// How slow an upload may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Without a byte for so long it gives its place back: as long as a connection may be silent.
    pub(super) idle: Duration,
    /// Where all places are taken, one that brings less than `bytes` in this time gives its place back.
    pub(super) window: Duration,
    /// 2 Mbit/s, of which a tenth is the slowest line that is common: eight slower sites would hold up all others.
    pub(super) bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { idle: Duration::from_secs(20), window: Duration::from_secs(30), bytes: 750_000 }
    }
}

/// All uploads of a run.
pub(super) struct Uploads {
    places: Semaphore,
    pace: Pace,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Whose update is being read: over a new connection only when the old one has given it up.
    turns: HashMap<SiteName, Arc<Turn<()>>>,
    partial: BTreeMap<SiteName, Partial>,
    /// Grows with everything that is put aside.
    age: u64,
    /// What each site was told that counts, for a site that lost the answer.
    counted: HashMap<SiteName, (RoundId, Digest)>,
}

struct Partial {
    round: RoundId,
    digest: Digest,
    intake: Intake,
    age: u64,
}

impl Uploads {
    /// At most `places` at a time.
    pub(super) fn new(places: usize, pace: Pace) -> Self {
        Self { places: Semaphore::new(places), pace, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `site` may send what it offers. It goes on where it broke off, or into `fresh` vectors. `None` if it
    /// counts already.
    pub(super) async fn begin(
        &self,
        site: &SiteName,
        offer: &Offer,
        fresh: impl FnOnce() -> Vec<Buffer>,
    ) -> Option<Transfer<'_>> {
        let turn = {
            let mut kept = self.kept();
            if kept.counted.get(site) == Some(&(offer.round, offer.digest)) {
                return None;
            }
            kept.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(kept.turns.entry(site.clone()).or_default())
        };
        let turn = turn.lock_owned().await;
        let place = self.places.acquire().await.ok()?;
        let partial = self.kept().partial.remove(site);
        let known = partial.filter(|partial| (partial.round, partial.digest) == (offer.round, offer.digest));
        let intake = known.map_or_else(|| Intake::new(fresh()), |partial| partial.intake);
        let (site, round, digest) = (site.clone(), offer.round, offer.digest);
        Some(Transfer { uploads: self, site, round, digest, intake: Some(intake), _turn: turn, _place: place })
    }

    /// `site` was told that its update counts.
    pub(super) fn counted(&self, site: &SiteName, offer: &Offer) {
        self.kept().counted.insert(site.clone(), (offer.round, offer.digest));
    }

    /// What happens in the run decides what is still of use.
    pub(super) fn hear(&self, event: &RunEvent) {
        match event {
            RunEvent::RoundCommitted { round, .. } => {
                self.kept().partial.retain(|_, partial| partial.round > *round);
            }
            // The same updates are asked for again.
            RunEvent::RoundRetried { .. } => self.kept().counted.clear(),
            _ => {}
        }
    }
}

impl Kept {
    fn put_aside(&mut self, site: SiteName, round: RoundId, digest: Digest, intake: Intake) {
        self.age += 1;
        self.partial.insert(site, Partial { round, digest, intake, age: self.age });
        let bytes = |all: &BTreeMap<_, Partial>| all.values().map(|partial| partial.intake.bytes()).sum::<u64>();
        while self.partial.len() > KEPT_MAX || bytes(&self.partial) > KEPT_BYTES_MAX {
            let oldest = self.partial.iter().min_by_key(|(_, partial)| partial.age).map(|(site, _)| site.clone());
            oldest.and_then(|site| self.partial.remove(&site));
        }
    }
}

/// An update that is being read. Dropped before its end, whatever the reason, it is put aside.
pub(super) struct Transfer<'a> {
    uploads: &'a Uploads,
    site: SiteName,
    round: RoundId,
    digest: Digest,
    /// Empty once it is finished.
    intake: Option<Intake>,
    _turn: OwnedMutexGuard<()>,
    _place: SemaphorePermit<'a>,
}

impl Transfer<'_> {
    /// Bytes that are here.
    pub(super) fn offset(&self) -> u64 {
        self.intake.as_ref().map_or(0, Intake::filled_bytes)
    }

    /// Reads to the end of the values.
    pub(super) async fn read(&mut self, up: &mut RecvStream) -> Result<(), StreamError> {
        let Pace { idle, window, bytes } = self.uploads.pace;
        let Some(intake) = &mut self.intake else { return Ok(()) };
        let (mut since, mut before) = (Instant::now(), intake.filled_bytes());
        while intake.missing_bytes() > 0 {
            let piece = timeout(idle, up.read_chunk(intake.missing_bytes().min(CHUNK_BYTES), true)).await;
            let piece = piece.map_err(|_| StreamError::Slow(idle.as_secs()))??;
            intake.push(&piece.ok_or(StreamError::Ended)?.bytes)?;
            if since.elapsed() >= window {
                let is_slow = intake.filled_bytes() - before < bytes;
                if is_slow && self.uploads.places.available_permits() == 0 {
                    return Err(StreamError::Slow(window.as_secs()));
                }
                (since, before) = (Instant::now(), intake.filled_bytes());
            }
        }
        Ok(())
    }

    /// The vectors, if they are whole and what was offered. What is damaged is not kept.
    pub(super) fn finish(&mut self) -> Result<Vec<Buffer>, ValuesError> {
        self.intake.take().map_or_else(|| Ok(Vec::new()), |intake| intake.finish(self.digest))
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        if let Some(intake) = self.intake.take().filter(|intake| intake.filled_bytes() > 0) {
            self.uploads.kept().put_aside(self.site.clone(), self.round, self.digest, intake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> SiteName {
        SiteName::new(name).unwrap()
    }

    fn offer(round: u64) -> Offer {
        Offer { round: RoundId(round), digest: Digest([round as u8; 32]), bytes: 8 }
    }

    fn fresh() -> Vec<Buffer> {
        vec![Buffer::from(vec![0.0; 2])]
    }

    /// Sends `bytes` of the update of `round` and breaks off; where it went on.
    async fn part(uploads: &Uploads, name: &str, round: u64, bytes: usize) -> u64 {
        let mut transfer = uploads.begin(&site(name), &offer(round), fresh).await.unwrap();
        let offset = transfer.offset();
        transfer.intake.as_mut().unwrap().push(&vec![0; bytes]).unwrap();
        offset
    }

    #[tokio::test]
    async fn what_broke_off_goes_on_where_it_was_until_its_round_is_over() {
        let uploads = Uploads::new(2, Pace::default());
        assert_eq!(part(&uploads, "a", 1, 3).await, 0);
        assert_eq!(part(&uploads, "a", 1, 4).await, 3);
        assert_eq!(part(&uploads, "b", 1, 1).await, 0, "of another site");
        assert_eq!(part(&uploads, "a", 2, 2).await, 0, "another update takes its place");
        let model = Digest([0; 32]);
        let (took_part, left_out) = (Vec::new(), Vec::new());
        let round = RoundId(1);
        uploads.hear(&RunEvent::RoundCommitted { round, took_part, left_out, model, step_norm: 0.0, ms: 0 });
        assert_eq!(part(&uploads, "a", 2, 1).await, 2);
        assert_eq!(part(&uploads, "b", 1, 1).await, 0, "its round was over");
    }

    #[tokio::test]
    async fn only_so_many_are_kept_and_the_oldest_go_first() {
        let uploads = Uploads::new(2, Pace::default());
        for index in 0..=KEPT_MAX {
            part(&uploads, &format!("site-{index}"), 1, 1).await;
        }
        assert_eq!(part(&uploads, "site-0", 1, 1).await, 0);
        assert_eq!(part(&uploads, &format!("site-{KEPT_MAX}"), 1, 1).await, 1);
    }

    #[tokio::test]
    async fn a_second_connection_of_a_site_waits_until_the_first_has_given_up() {
        let uploads = Uploads::new(2, Pace::default());
        let mut first = uploads.begin(&site("a"), &offer(1), fresh).await.unwrap();
        first.intake.as_mut().unwrap().push(&[0; 5]).unwrap();
        let name = site("a");
        let offered = offer(1);
        let second = uploads.begin(&name, &offered, fresh);
        let mut second = std::pin::pin!(second);
        assert!(timeout(Duration::ZERO, &mut second).await.is_err(), "it waits");
        drop(first);
        assert_eq!(second.await.unwrap().offset(), 5);
    }

    #[tokio::test]
    async fn what_counts_is_answered_without_a_byte_until_the_round_is_tried_again() {
        let uploads = Uploads::new(2, Pace::default());
        uploads.counted(&site("a"), &offer(1));
        assert!(uploads.begin(&site("a"), &offer(1), fresh).await.is_none());
        assert!(uploads.begin(&site("a"), &offer(2), fresh).await.is_some());
        let round = RoundId(1);
        uploads.hear(&RunEvent::RoundRetried { round, updates: 1, updates_min: 2, left_out: Vec::new() });
        assert!(uploads.begin(&site("a"), &offer(1), fresh).await.is_some());
    }

    #[tokio::test]
    async fn what_is_damaged_is_not_kept() {
        let uploads = Uploads::new(2, Pace::default());
        let mut transfer = uploads.begin(&site("a"), &offer(1), fresh).await.unwrap();
        transfer.intake.as_mut().unwrap().push(&[0; 8]).unwrap();
        assert_eq!(transfer.finish().unwrap_err(), ValuesError::Digest { bytes: 8 });
        drop(transfer);
        assert_eq!(part(&uploads, "a", 1, 1).await, 0);
    }
}
