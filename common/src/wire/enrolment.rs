//! Messages of enrolment and administration. Their frames have versions of their own, so that programs whose runs cannot meet
//! can still enrol, renew, and tell each other which one to upgrade.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::messages::{Kind, Message, REASON_BYTES_MAX, VERSION_BYTES_MAX, short};
use crate::ids::SiteName;

/// Version of the frames of enrolment: the number in `synod-join/1`.
pub const JOIN_VERSION: u8 = 1;
/// Version of the frames of administration: the number in `synod-admin/1`.
pub const ADMIN_VERSION: u8 = 1;
/// Longest certificate request in a message, in bytes. Ours take about 200.
const REQUEST_BYTES_MAX: usize = 2 * 1024;
/// Most certificates in one list of a message.
const CERTIFICATES_MAX: usize = 8;
/// Longest certificate in a message, in bytes. Ours take about 500.
const CERTIFICATE_BYTES_MAX: usize = 4 * 1024;
/// Most members that one answer lists.
pub const MEMBERS_MAX: usize = 2048;
/// Longest text in a row of the list of members, in bytes.
const CELL_BYTES_MAX: usize = 80;
/// Bytes of a row of the list of members at most: its cells with their lengths, and its numbers.
const ROW_BYTES_MAX: usize = 660;

/// Most bytes of a body of this kind.
pub(super) const JOIN_BYTES_MAX: usize = 512 + REQUEST_BYTES_MAX;
pub(super) const ENROLLED_BYTES_MAX: usize =
    512 + REASON_BYTES_MAX + 3 * CERTIFICATES_MAX * (8 + CERTIFICATE_BYTES_MAX);
pub(super) const ADMIN_BYTES_MAX: usize = 1024;
pub(super) const ADMIN_ANSWER_BYTES_MAX: usize = 4096 + MEMBERS_MAX * ROW_BYTES_MAX;

/// Asks a coordinator who it is and what time it has. Needs no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The asker's release.
    pub release: String,
}

impl Message for Probe {
    const KIND: Kind = Kind::Probe;
    fn check(&self) -> Result<(), String> {
        short("the release", &self.release, VERSION_BYTES_MAX)
    }
}

/// The answer to a [`Probe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The coordinator's release.
    pub release: String,
    /// The protocol version of its runs.
    pub protocol: u8,
    /// Its clock, in seconds since 1970.
    pub unix_seconds: u64,
}

impl Message for Presence {
    const KIND: Kind = Kind::Presence;
    fn check(&self) -> Result<(), String> {
        short("the release", &self.release, VERSION_BYTES_MAX)
    }
}

/// Asks for a first certificate. `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The asker's release.
    pub release: String,
    /// What it believes to be called; the invitation decides, and another name is refused.
    pub name: Option<SiteName>,
    /// The secret of the invitation.
    pub token: [u8; 20],
    /// The certificate request (PKCS#10, DER).
    pub request: Vec<u8>,
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Message for Join {
    const KIND: Kind = Kind::Join;
    fn check(&self) -> Result<(), String> {
        short("the release", &self.release, VERSION_BYTES_MAX)?;
        short_bytes("the certificate request", &self.request, REQUEST_BYTES_MAX)
    }
}

/// Asks for another certificate, on a connection with the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// The asker's release.
    pub release: String,
    /// The certificate request (PKCS#10, DER), for the same key or a new one.
    pub request: Vec<u8>,
}

impl Message for Renew {
    const KIND: Kind = Kind::Renew;
    fn check(&self) -> Result<(), String> {
        short("the release", &self.release, VERSION_BYTES_MAX)?;
        short_bytes("the certificate request", &self.request, REQUEST_BYTES_MAX)
    }
}

/// The answer to [`Join`] and [`Renew`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enrolled {
    /// Done.
    Certified {
        /// The new certificate (DER).
        certificate: Vec<u8>,
        /// The authorities to trust from now on (DER).
        authorities: Vec<Vec<u8>>,
        /// Certificates with which older authorities sign the keys of newer ones (DER).
        crossed: Vec<Vec<u8>>,
    },
    /// The operator has to approve the key first; ask again with the same key.
    Waiting,
    /// No.
    Refused {
        /// What, why, what to do.
        reason: String,
    },
}

impl Message for Enrolled {
    const KIND: Kind = Kind::Enrolled;
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Certified { certificate, authorities, crossed } => {
                if authorities.len().max(crossed.len()) > CERTIFICATES_MAX {
                    return Err(format!("more than {CERTIFICATES_MAX} certificates in a list"));
                }
                std::iter::once(certificate)
                    .chain(authorities)
                    .chain(crossed)
                    .try_for_each(|der| short_bytes("a certificate", der, CERTIFICATE_BYTES_MAX))
            }
            Self::Waiting => Ok(()),
            Self::Refused { reason } => short("the reason", reason, REASON_BYTES_MAX),
        }
    }
}

/// What a member may be, as invitations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberRole {
    /// Takes part in runs.
    Site,
    /// Gives commands.
    Operator,
    /// Looks.
    Observer,
}

/// A command or a question to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminRequest {
    /// Who is a member?
    Members,
    /// Invite somebody.
    Invite {
        /// The name, which the invitation is bound to.
        name: SiteName,
        /// What it will be.
        role: MemberRole,
        /// How long the invitation holds, in seconds.
        ttl_seconds: u64,
        /// Whether the operator must approve the key before it is certified.
        approve: bool,
    },
    /// Certify the key that waits.
    Approve {
        /// Whose.
        name: SiteName,
        /// The key's fingerprint (SHA-256), as the site shows it.
        key: [u8; 32],
    },
    /// Let it in no more until it is resumed.
    Suspend(SiteName),
    /// Let it in again.
    Resume(SiteName),
    /// Never accept its keys again.
    Revoke(SiteName),
    /// Forget it, or its invitation.
    Remove(SiteName),
    /// Call it something else.
    Rename {
        /// What it is called.
        from: SiteName,
        /// What it will be called.
        to: SiteName,
    },
    /// Make a new authority that the present one certifies; both are valid for so many seconds.
    RotateAuthority {
        /// How long the present one stays valid.
        window_seconds: u64,
    },
}

impl Message for AdminRequest {
    const KIND: Kind = Kind::AdminRequest;
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The answer to an [`AdminRequest`]. `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminAnswer {
    /// The members, ordered by name.
    Members(Vec<MemberRow>),
    /// An invitation.
    Invited {
        /// Its secret, which is shown this once.
        token: [u8; 20],
        /// The authority's key (SHA-256) to pin.
        pin: [u8; 32],
        /// Where sites reach the coordinator.
        address: String,
        /// Until when, in seconds since 1970.
        expires_unix_seconds: u64,
    },
    /// Done, in words.
    Done(String),
    /// No.
    Refused {
        /// What, why, what to do.
        reason: String,
    },
}

impl fmt::Debug for AdminAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Members(rows) => f.debug_tuple("Members").field(rows).finish(),
            Self::Invited { address, .. } => {
                f.debug_struct("Invited").field("address", address).finish_non_exhaustive()
            }
            Self::Done(what) => f.debug_tuple("Done").field(what).finish(),
            Self::Refused { reason } => f.debug_struct("Refused").field("reason", reason).finish(),
        }
    }
}

impl Message for AdminAnswer {
    const KIND: Kind = Kind::AdminAnswer;
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Members(rows) if rows.len() > MEMBERS_MAX => Err(format!("more than {MEMBERS_MAX} members")),
            Self::Members(rows) => rows.iter().try_for_each(MemberRow::check),
            Self::Invited { address, .. } => short("the address", address, 300),
            Self::Done(text) | Self::Refused { reason: text } => short("the text", text, REASON_BYTES_MAX),
        }
    }
}

/// One member, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// What it is called.
    pub name: SiteName,
    /// What it is: site, operator, observer.
    pub role: String,
    /// How it stands: invited, pending, active, suspended, revoked, expired.
    pub state: String,
    /// The fingerprint of its key, where there is one; of a pending member the one to approve.
    pub key: Option<String>,
    /// Until when its certificate or its invitation is valid, in seconds since 1970.
    pub expires_unix_seconds: Option<u64>,
    /// When it was last seen, in seconds since 1970.
    pub last_seen_unix_seconds: Option<u64>,
    /// Where from.
    pub address: Option<String>,
    /// The release that it runs.
    pub release: Option<String>,
    /// Rounds that it took part in.
    pub rounds: u64,
    /// Times that somebody showed its invitation in vain: used before, expired, or with another name.
    pub refused: u64,
    /// What an operator should look at.
    pub warning: Option<String>,
}

impl MemberRow {
    fn check(&self) -> Result<(), String> {
        let cells = [&self.key, &self.address, &self.release, &self.warning].into_iter().flatten();
        cells.chain([&self.role, &self.state]).try_for_each(|cell| short("a cell", cell, CELL_BYTES_MAX))
    }
}

fn short_bytes(what: &str, bytes: &[u8], most: usize) -> Result<(), String> {
    if bytes.len() <= most { Ok(()) } else { Err(format!("{what} has {} bytes, at most {most}", bytes.len())) }
}
