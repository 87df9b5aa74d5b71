//! Random streams: one ChaCha stream per (seed, round, client, purpose).
//!
//! Each use draws from a stream of its own, so adding a draw in one place never moves another, and a stream does not
//! depend on which thread runs it or when. Randomness for keys never comes from here.

use rand::SeedableRng;
pub use rand_chacha::ChaCha12Rng;

use crate::ids::{ClientId, RoundId};

/// What a stream is for. The text is hashed into the stream's key: renaming a purpose changes its draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// First values of the global model.
    Initialise,
    /// Which sites take part in a round.
    Cohort,
    /// How simulated data is split over sites.
    Partition,
    /// Which samples are set aside for the central test set.
    TestSplit,
    /// Which samples of a site are held out for its own evaluation.
    Holdout,
    /// The order of samples in local training.
    Shuffle,
    /// The order of samples in a site's training of a model of its own.
    Personal,
    /// Noise that makes views of samples.
    Views,
    /// How long a task takes in a simulation.
    Pace,
    /// Which sites of a simulation are hostile, and what they draw.
    Attack,
    /// How the inputs of a simulated site look.
    Shift,
    /// Which labels of a simulated site are wrong, permuted or missing.
    Labels,
    /// Which samples of a rare class a simulation keeps.
    LongTail,
    /// Which sites of a simulation come late or go.
    Arrival,
    /// Which samples of a simulated site change while a run goes on.
    Drift,
    /// Which machine a simulated site has, when it is there, and what fails.
    Systems,
}

impl Purpose {
    fn text(self) -> &'static str {
        match self {
            Self::Initialise => "initialise",
            Self::Cohort => "cohort",
            Self::Partition => "partition",
            Self::TestSplit => "test split",
            Self::Holdout => "holdout",
            Self::Shuffle => "shuffle",
            Self::Personal => "personal",
            Self::Pace => "pace",
            Self::Attack => "attack",
            Self::Shift => "shift",
            Self::Labels => "labels",
            Self::LongTail => "long tail",
            Self::Arrival => "arrival",
            Self::Drift => "drift",
            Self::Systems => "systems",
            Self::Views => "views",
        }
    }
}

/// The client id of draws that belong to no client.
pub const NO_CLIENT: ClientId = ClientId([0; 16]);

/// The random stream of (`seed`, `round`, `client`, `purpose`).
#[must_use]
pub fn stream(seed: u64, round: RoundId, client: ClientId, purpose: Purpose) -> ChaCha12Rng {
    let mut hasher = blake3::Hasher::new_derive_key("synod 2026 random stream");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&round.0.to_le_bytes());
    hasher.update(&client.0);
    hasher.update(purpose.text().as_bytes());
    ChaCha12Rng::from_seed(*hasher.finalize().as_bytes())
}

/// The random stream of a draw made once for the whole run.
#[must_use]
pub fn run_stream(seed: u64, purpose: Purpose) -> ChaCha12Rng {
    stream(seed, RoundId(0), NO_CLIENT, purpose)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_are_pinned_and_differ_in_every_coordinate() {
        let client = ClientId([7; 16]);
        let first = |mut rng: ChaCha12Rng| rng.next_u64();
        let base = first(stream(1, RoundId(2), client, Purpose::Shuffle));
        // Pinned: if this changes, every recorded result changes with it.
        assert_eq!(base, first(stream(1, RoundId(2), client, Purpose::Shuffle)));
        assert_ne!(base, first(stream(2, RoundId(2), client, Purpose::Shuffle)));
        assert_ne!(base, first(stream(1, RoundId(3), client, Purpose::Shuffle)));
        assert_ne!(base, first(stream(1, RoundId(2), NO_CLIENT, Purpose::Shuffle)));
        assert_ne!(base, first(stream(1, RoundId(2), client, Purpose::Holdout)));
    }
}
