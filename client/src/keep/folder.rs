//! States on disk.
//!
//! ```text
//! ROOT/PLAN DIGEST/round-000003.state = plan digest, 32 bytes | round u64 LE | state
//! ```

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use synod_common::ids::{Digest, RoundId};
use synod_common::state::{State, StateError};

use super::durable;

/// Most vectors that a site keeps, each as long as the model: of algorithms, and a model of its own.
const VECTORS_MAX: usize = 4;
/// Most numbers that a loss remembers of a sample, and of the site as a whole.
const OF_A_SAMPLE_MAX: usize = 8;
const OF_THE_SITE_MAX: usize = 1 << 20;
/// Room for what is not values: digests, names, lengths.
pub(super) const FIXED_BYTES: u64 = 4096;

/// Most values of `vectors` vectors of a model's `parameters` with what a loss remembers of `samples` samples.
pub(super) fn values_of(parameters: usize, vectors: usize, samples: usize) -> usize {
    let of_loss = samples.saturating_mul(OF_A_SAMPLE_MAX).saturating_add(OF_THE_SITE_MAX);
    parameters.saturating_mul(vectors).saturating_add(of_loss)
}

/// The states of one site for one plan.
#[derive(Clone, Debug)]
pub struct StateFolder {
    folder: PathBuf,
    plan: Digest,
    values_max: usize,
}

/// Why a state is not there or cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no such file.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is of another plan or round, or longer than any state of this plan.
    #[error("{} does not hold what belongs to this plan and round", .0.display())]
    Foreign(PathBuf),
    /// The content is no state.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StateError,
    },
    /// The state cannot be made durable.
    #[error("cannot keep what the site must remember in {}: {source}; make room and check the permissions of the folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StateFolder {
    /// The folder for `plan` below `root`, for a model of `parameters` values and a site with `samples` training samples.
    /// Nothing is made until something is kept.
    #[must_use]
    pub fn new(root: &Path, plan: Digest, parameters: usize, samples: usize) -> Self {
        let values_max = values_of(parameters, VECTORS_MAX, samples);
        Self { folder: root.join(plan.to_string()), plan, values_max }
    }

    /// What the site kept of `round`, from which a task goes on; round 0 is the beginning, of which nothing is known. The
    /// states of all other rounds are removed: no task asks for them any more.
    ///
    /// # Errors
    /// When the file is not there, cannot be read, is of another plan or round, or is damaged.
    pub fn begin_from(&self, round: RoundId) -> Result<State, KeepError> {
        self.remove_all_but(&self.path(round));
        self.load(round)
    }

    fn load(&self, round: RoundId) -> Result<State, KeepError> {
        if round.0 == 0 {
            return Ok(State::default());
        }
        let path = self.path(round);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(KeepError::Missing(path)),
            Err(source) => return Err(KeepError::Read { path, source }),
        };
        let bytes_max = FIXED_BYTES + 4 * self.values_max as u64;
        let mut bytes = Vec::new();
        if let Err(source) = file.take(bytes_max + 1).read_to_end(&mut bytes) {
            return Err(KeepError::Read { path, source });
        }
        match bytes.strip_prefix(self.prefix(round).as_slice()) {
            Some(state) if bytes.len() as u64 <= bytes_max => {
                State::from_bytes(state, self.values_max).map_err(|source| KeepError::State { path, source })
            }
            _ => Err(KeepError::Foreign(path)),
        }
    }

    /// Keeps the state after `round`, so that a crash leaves it whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, round: RoundId, state: &State) -> Result<(), KeepError> {
        let path = self.path(round);
        let content = |file: &mut std::io::BufWriter<File>| {
            file.write_all(&self.prefix(round))?;
            file.write_all(&state.to_bytes())
        };
        durable::write(&path, content).map_err(|source| KeepError::Write { path, source })
    }

    /// Best effort: what cannot be removed now is removed by a later task, and does no harm meanwhile.
    fn remove_all_but(&self, kept: &Path) {
        for path in fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|e| e == "state" || e == "partial") && path != kept {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, round: RoundId) -> PathBuf {
        self.folder.join(format!("round-{:06}.state", round.0))
    }

    /// What the state is bound to.
    fn prefix(&self, round: RoundId) -> Vec<u8> {
        [self.plan.0.as_slice(), &round.0.to_le_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(values: &[f32]) -> State {
        let mut state = State::default();
        state.set_vector("v", values.to_vec());
        state
    }

    fn rounds(folder: &StateFolder) -> Vec<String> {
        let mut all: Vec<String> =
            fs::read_dir(&folder.folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    #[test]
    fn a_task_goes_on_from_the_round_it_names_and_other_states_go() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder { values_max: 6, ..StateFolder::new(root.path(), Digest([1; 32]), 2, 0) };
        assert_eq!(folder.begin_from(RoundId(0)).unwrap(), State::default());
        assert!(matches!(folder.load(RoundId(1)), Err(KeepError::Missing(_))));
        folder.save(RoundId(1), &state(&[1.0])).unwrap();
        // Round 1 counted; round 2 is trained twice, in vain.
        for value in [2.0, 2.5] {
            assert_eq!(folder.begin_from(RoundId(1)).unwrap(), state(&[1.0]));
            folder.save(RoundId(2), &state(&[value])).unwrap();
            assert_eq!(rounds(&folder), ["round-000001.state", "round-000002.state"]);
        }
        fs::write(folder.folder.join("round-000009.partial"), "cut short").unwrap();
        assert_eq!(folder.begin_from(RoundId(1)).unwrap(), state(&[1.0]));
        folder.save(RoundId(4), &state(&[4.0])).unwrap();
        assert_eq!(rounds(&folder), ["round-000001.state", "round-000004.state"]);
        assert_eq!(folder.begin_from(RoundId(4)).unwrap(), state(&[4.0]));
        assert_eq!(rounds(&folder), ["round-000004.state"]);
    }

    #[test]
    fn what_is_damaged_foreign_or_too_large_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder { values_max: 6, ..StateFolder::new(root.path(), Digest([1; 32]), 2, 0) };
        folder.save(RoundId(1), &state(&[1.0, 2.0])).unwrap();
        let path = folder.path(RoundId(1));
        let good = fs::read(&path).unwrap();
        for at in [0, 33, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            assert!(matches!(folder.load(RoundId(1)), Err(KeepError::Foreign(_) | KeepError::State { .. })), "{at}");
        }
        fs::write(&path, [good.as_slice(), &[0; 5000]].concat()).unwrap();
        assert!(matches!(folder.load(RoundId(1)), Err(KeepError::Foreign(_))));
        fs::write(folder.path(RoundId(2)), &good).unwrap();
        assert!(matches!(folder.load(RoundId(2)), Err(KeepError::Foreign(_))), "the file of another round");
        folder.save(RoundId(1), &state(&[0.0; 7])).unwrap();
        assert!(matches!(folder.load(RoundId(1)), Err(KeepError::State { source: StateError::TooLarge { .. }, .. })));
    }
}
