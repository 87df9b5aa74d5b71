//! From what the journal has to a machine that goes on.

use synod_common::event::Outcome;
use synod_common::extra::Extras;
use synod_common::ids::RoundId;
use synod_common::update::{BufferPool, Update};

use super::entry::{Accepted, Committed};
use super::error::JournalError;
use super::store::Journal;
use crate::round::{Machine, ModelVersion, OpenRound, Position, Recovered, ResumeError, Setup};

impl Journal {
    /// How the run ended, if it has all its rounds. A run that was stopped is gone on with: its reason may be gone.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        matches!(self.replay.ended, Some(Outcome::Completed))
    }

    /// What the journal says of the last committed round.
    #[must_use]
    pub fn last_commit(&self) -> Option<&Committed> {
        self.replay.committed.as_ref()
    }

    /// The model of `round`, or the last committed one, read into a buffer of `pool`; `None` if it is not kept.
    ///
    /// # Errors
    /// When it is damaged or gone.
    pub fn model(&self, round: Option<RoundId>, pool: &BufferPool) -> Result<Option<ModelVersion>, JournalError> {
        let mut newest_first = self.replay.models.iter().rev();
        let Some(model) = newest_first.find(|model| round.is_none_or(|round| model.round == round)) else {
            return Ok(None);
        };
        let of = format!("model of round {}", model.round);
        let blob = model.blobs.first().ok_or_else(|| JournalError::damaged(format!("the {of} has no values")))?;
        Ok(Some(ModelVersion {
            round: model.round,
            digest: model.digest,
            values: self.values(*blob, &of, pool.take())?,
        }))
    }

    /// The machine of `setup`: new where nothing has happened, otherwise as the run was when its coordinator ended.
    ///
    /// # Errors
    /// When the journal is of another plan or another model, the run is over, or a value is damaged.
    pub fn machine(&self, setup: Setup) -> Result<Machine, ResumeError<JournalError>> {
        match self.recover(&setup).map_err(ResumeError::Journal)? {
            None => Ok(Machine::new(setup)),
            Some(recovered) => {
                let (pool, extra) = (setup.pool.clone(), Extras::new(&setup.plan, &setup.layout).update);
                Machine::resume(setup, recovered, |accepted| self.update(accepted, &pool, extra))
            }
        }
    }

    fn recover(&self, setup: &Setup) -> Result<Option<Recovered>, JournalError> {
        let replay = &self.replay;
        let Some(started) = replay.started else { return Ok(None) };
        let given = setup.plan.digest();
        if started.plan != given {
            return Err(JournalError::OtherPlan { recorded: started.plan, given });
        }
        if started.layout != setup.layout.digest() {
            return Err(JournalError::damaged("it is of a model with another layout; use the release that wrote it"));
        }
        let model = self.model(None, &setup.pool)?;
        if let Some(model) = &model
            && setup.layout.model_digest(&model.values) != model.digest
        {
            return Err(JournalError::damaged(format!("the model of round {} has another hash", model.round)));
        }
        let state = match replay.models.back().and_then(|model| model.blobs.get(1)) {
            Some(blob) => self.state(*blob, "state of the strategy", &setup.layout, replay.known.len())?,
            None => synod_common::state::State::default(),
        };
        let last = replay.committed.as_ref();
        let position = match (&replay.ended, &replay.open, last) {
            (Some(Outcome::Completed), _, _) => return Err(JournalError::Over),
            (Some(Outcome::Stopped { .. } | Outcome::Interrupted), _, _) | (None, None, None) => Position::Assembling,
            (None, Some(open), _) => Position::Open(OpenRound {
                opened: open.opened.clone(),
                out: open.out.clone(),
                accepted: open.accepted.values().map(|(accepted, _)| accepted.clone()).collect(),
            }),
            (None, None, Some(_)) => Position::Committed,
        };
        Ok(Some(Recovered {
            initial: started.model,
            model,
            state,
            known: replay.known.clone(),
            last_counted: replay.last_counted.clone(),
            present: replay.present.clone(),
            position,
            bytes_down: last.map_or(0, |c| c.bytes_down),
            bytes_up: last.map_or(0, |c| c.bytes_up),
            run_ms: last.map_or(0, |c| c.run_ms),
        }))
    }

    /// An update that counts in the open round, with `extra` values beside its delta.
    fn update(&self, accepted: &Accepted, pool: &BufferPool, extra: Option<usize>) -> Result<Update, JournalError> {
        let of = format!("update of {}", accepted.site);
        let missing = || JournalError::damaged(format!("the {of} has no values"));
        let open = self.replay.open.as_ref().ok_or_else(missing)?;
        let (_, blobs) = open.accepted.get(&(accepted.site.clone(), accepted.header.round)).ok_or_else(missing)?;
        let lengths = std::iter::once(pool.len()).chain(extra);
        let mut values = blobs.iter().zip(lengths).map(|(blob, length)| self.values(*blob, &of, pool.take_of(length)));
        let delta = values.next().ok_or_else(missing)??;
        let extra = values.next().transpose()?;
        Ok(Update { header: accepted.header.clone(), delta, extra })
    }
}
