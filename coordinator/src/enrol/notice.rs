//! What an operator should see of enrolment as it happens.

use std::fmt;

use serde::Serialize;
use synod_certs::{KeyFingerprint, Role};
use synod_common::ids::SiteName;

/// Something happened to a member, or somebody tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "enrolment", rename_all = "snake_case")]
pub enum Notice {
    /// A member has its first certificate, or a new one after an invitation.
    Joined {
        /// Who.
        name: SiteName,
        /// What it is.
        role: Role,
        /// Its key.
        key: KeyFingerprint,
        /// Where from.
        address: String,
    },
    /// A key waits for the operator.
    Waiting {
        /// Whose.
        name: SiteName,
        /// The key.
        key: KeyFingerprint,
        /// Where from.
        address: String,
    },
    /// Somebody was refused who wanted to join or renew.
    Refused {
        /// Where from.
        address: String,
        /// Why.
        reason: String,
    },
    /// A member has its next certificate.
    Renewed {
        /// Who.
        name: SiteName,
        /// Its key.
        key: KeyFingerprint,
    },
    /// A command was carried out.
    Changed {
        /// What, in words.
        what: String,
        /// By whom.
        by: String,
    },
    /// Something failed here.
    Failed {
        /// What, why, what to do.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { name, role, key, address } => {
                write!(f, "{role} {name} joined from {address} with the key {key}")
            }
            Self::Waiting { name, key, address } => write!(
                f,
                "{name} wants to join from {address}; compare the key and approve it: synod coordinator approve {name} --key {key}"
            ),
            Self::Refused { address, reason } => write!(f, "refused at the door: {address}: {reason}"),
            Self::Renewed { name, key } => write!(f, "{name} renewed its certificate for the key {key}"),
            Self::Changed { what, by } => write!(f, "{what} (by {by})"),
            Self::Failed { reason } => write!(f, "enrolment: {reason}"),
        }
    }
}
