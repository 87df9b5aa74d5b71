//! The `[screening]` and `[evaluate]` sections: how updates are checked and models measured.

use serde::Serialize;

use super::reader::Section;

/// Most sites of one run, virtual or real.
pub const SITES_MAX: u32 = 10_000_000;

/// What an update must satisfy before it counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Screening {
    /// Largest L2 norm of a delta.
    pub norm_max: f64,
    /// Most samples a site may claim.
    pub samples_max: u64,
}

impl Screening {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let screening = Self {
            norm_max: s.number("norm_max", 1e4, 1e-9..=1e12),
            samples_max: s.number("samples_max", 100_000_000, 1..=1_000_000_000),
        };
        s.finish();
        screening
    }
}

/// When and how models are measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluate {
    /// The global model on the central test set, each so many rounds; 0 only at the end.
    pub central_every: u32,
    /// Global and local models on each site's held-out samples, each so many rounds; 0 only at the end.
    pub site_every: u32,
    /// Samples of one evaluation batch.
    pub batch: u32,
}

impl Evaluate {
    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let evaluate = Self {
            central_every: s.number("central_every", 1, 0..=1_000_000),
            site_every: s.number("site_every", 1, 0..=1_000_000),
            batch: s.number("batch", 512, 1..=65_536),
        };
        s.finish();
        evaluate
    }

    /// Whether sites measure models in round `round` of `rounds`.
    #[must_use]
    pub fn sites_in(&self, round: u64) -> bool {
        self.site_every > 0 && round.is_multiple_of(u64::from(self.site_every))
    }

    /// Whether the global model of round `round` is measured centrally; the last one always is.
    #[must_use]
    pub fn central_in(&self, round: u64, rounds: u64) -> bool {
        round == rounds || (self.central_every > 0 && round.is_multiple_of(u64::from(self.central_every)))
    }
}
