//! How long blobs are kept.

use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is kept of a run besides what it needs to go on. Entries are always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Models, each with the strategy's state.
    pub models: KeepModels,
    /// Updates.
    pub updates: KeepUpdates,
}

/// Which models are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepModels {
    /// The newest.
    Last(NonZeroU32),
    /// All.
    All,
}

/// Which updates are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepUpdates {
    /// Those of the round that is open.
    Open,
    /// All that were accepted.
    All,
}

impl Default for Keep {
    /// Two models: should the newest be damaged, there is one to begin anew with.
    fn default() -> Self {
        Self { models: KeepModels::Last(NonZeroU32::MIN.saturating_add(1)), updates: KeepUpdates::Open }
    }
}

/// Why a text says nothing about what to keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct KeepError {
    found: String,
    expected: &'static str,
}

impl FromStr for KeepModels {
    type Err = KeepError;
    fn from_str(text: &str) -> Result<Self, KeepError> {
        let wrong = || KeepError { found: text.to_owned(), expected: "a number of models from 1, or all" };
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Last).map_err(|_| wrong()) }
    }
}

impl FromStr for KeepUpdates {
    type Err = KeepError;
    fn from_str(text: &str) -> Result<Self, KeepError> {
        match text {
            "open" => Ok(Self::Open),
            "all" => Ok(Self::All),
            _ => Err(KeepError { found: text.to_owned(), expected: "open or all" }),
        }
    }
}
