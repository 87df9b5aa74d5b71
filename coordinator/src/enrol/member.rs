//! What is kept of a member. Its form is the form of the file, so a change of a field is a new version of it.

use serde::{Deserialize, Serialize};
use synod_certs::{KeyFingerprint, Role, TokenDigest};

/// A time, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// `seconds` later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds since `earlier`; none where it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How a member stands. That a certificate has expired is no state of its own: time alone decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has an invitation and no key yet.
    Invited,
    /// Its key waits for the operator.
    Pending,
    /// It has a certificate and may take part.
    Active,
    /// It may not take part until the operator resumes it.
    Suspended,
    /// Its keys are never accepted again.
    Revoked,
}

/// Who decides that the key of whoever shows an invitation is certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The invitation is enough.
    Automatic,
    /// The operator compares the key's fingerprint and approves it.
    ByOperator,
}

/// An invitation. Its token is stored as a digest only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// The digest of the token.
    pub token: TokenDigest,
    /// Until when it may be shown first.
    pub expires: UnixSeconds,
    /// Who decides.
    pub approval: Approval,
    /// The key that it was shown with, to which it is bound from then on.
    pub claim: Option<Claim>,
}

/// The use of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The key.
    pub key: KeyFingerprint,
    /// Whether it may be certified.
    pub approved: bool,
    /// When it was certified first.
    pub certified: Option<UnixSeconds>,
}

/// When and where a member was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// When.
    pub at: UnixSeconds,
    /// From which address.
    pub address: String,
    /// With which release; unknown until it says so.
    pub release: Option<String>,
}

/// What is kept of a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What it is.
    pub role: Role,
    /// How it stands.
    pub standing: Standing,
    /// Its key.
    pub key: Option<KeyFingerprint>,
    /// The key of a renewal that was not seen in use yet: the answer may have been lost, so both are good until it is.
    pub next_key: Option<KeyFingerprint>,
    /// Keys that were revoked.
    pub revoked_keys: Vec<KeyFingerprint>,
    /// Until when its newest certificate is valid.
    pub expires: Option<UnixSeconds>,
    /// Its invitation, also for some time after it was used.
    pub invitation: Option<Invitation>,
    /// When it was seen last.
    pub seen: Option<Seen>,
    /// Rounds in which its update counted.
    pub rounds: u64,
    /// Times that its invitation was shown in vain.
    pub refused: u64,
}

impl Member {
    /// One that has nothing but its invitation.
    #[must_use]
    pub fn invited(role: Role, invitation: Invitation) -> Self {
        Self {
            role,
            standing: Standing::Invited,
            key: None,
            next_key: None,
            revoked_keys: Vec::new(),
            expires: None,
            invitation: Some(invitation),
            seen: None,
            rounds: 0,
            refused: 0,
        }
    }

    /// Whether it has, or had, a certificate for `key`.
    #[must_use]
    pub fn holds(&self, key: KeyFingerprint) -> bool {
        self.key == Some(key) || self.next_key == Some(key)
    }

    /// Whether its newest certificate has ended.
    #[must_use]
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires.is_some_and(|end| now > end)
    }

    /// The one word for people.
    #[must_use]
    pub fn state(&self, now: UnixSeconds) -> &'static str {
        match self.standing {
            Standing::Invited if self.invitation.as_ref().is_some_and(|i| now > i.expires) => "expired",
            Standing::Invited => "invited",
            Standing::Pending => "pending",
            Standing::Active if self.is_expired(now) => "expired",
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Revoked => "revoked",
        }
    }
}
