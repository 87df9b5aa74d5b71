//! The words that come before an update's values.

use serde::{Deserialize, Serialize};

use super::messages::{Answer, Kind, Message};
use crate::ids::{Digest, RoundId};

/// An update that the client has, before anything of it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The round it answers.
    pub round: RoundId,
    /// The digest of its values, all vectors one after the other: see [`vectors_digest`](crate::blocks::vectors_digest).
    pub digest: Digest,
    /// Bytes of its values.
    pub bytes: u64,
}

impl Message for Offer {
    const KIND: Kind = Kind::Offer;
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What the coordinator says to an [`Offer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// Send the header and the values from this byte on; what is before it is here already.
    From {
        /// Bytes that are here.
        offset: u64,
    },
    /// Nothing of it is needed.
    Answered(Answer),
}

impl Message for Grant {
    const KIND: Kind = Kind::Grant;
    fn check(&self) -> Result<(), String> {
        match self {
            Self::From { .. } => Ok(()),
            Self::Answered(answer) => answer.check(),
        }
    }
}
