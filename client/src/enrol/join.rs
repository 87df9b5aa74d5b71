//! Joining: checks with names, a key made here, a certificate for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use synod_certs::tls::{self, Clock, Dates, Pin, TlsError, pinned_authority};
use synod_certs::{
    CLOCK_SKEW_ALLOWANCE, Identity, IdentityError, IdentityProblem, KeyFingerprint, Overwrite, PendingIdentity,
    RotationProblem, Token, make_folder, trusted_after,
};
use synod_common::ids::SiteName;
use synod_common::wire::{Enrolled, Join, PROTOCOL_VERSION, Presence, Probe};
use synod_transport::{Line, LineError};
use tokio::time::{Instant, sleep};

use super::folder::{FolderError, Membership, identity_folder};
use super::wallet::{ders, now};

/// How often it is asked whether the operator has approved.
const POLL_EVERY: Duration = Duration::from_secs(5);
/// Bytes written to see whether the folder takes them.
const TRIAL_BYTES: usize = 64 * 1024;

/// An invitation, and what to do with it.
#[derive(Debug)]
pub struct Invited {
    /// The coordinator, as `host:port`.
    pub address: String,
    /// The secret.
    pub token: Token,
    /// The authority to trust.
    pub pin: Pin,
    /// The name that this member believes to have; the invitation decides.
    pub name: Option<SiteName>,
    /// Where the membership is kept.
    pub folder: PathBuf,
    /// This program's release, for the other side's eyes.
    pub release: String,
    /// How long to wait for the operator's approval.
    pub wait_max: Duration,
}

/// What was looked at before the invitation is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The folder can be written.
    Folder,
    /// The coordinator's name has an address.
    Name,
    /// The coordinator answers over UDP, and its authority is the pinned one.
    Coordinator,
    /// Both sides speak one version.
    Version,
    /// The two clocks agree.
    Clock,
}

impl Check {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Name => "name",
            Self::Coordinator => "coordinator",
            Self::Version => "version",
            Self::Clock => "clock",
        }
    }
}

/// What happens while joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinEvent {
    /// A check passed.
    Passed(Check, String),
    /// The key is there; this is its fingerprint.
    Key(KeyFingerprint),
    /// The operator has to approve the key.
    Waiting(KeyFingerprint),
}

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A check failed.
    #[error("the check {:?} failed: {reason}", check.as_str())]
    Check {
        /// Which.
        check: Check,
        /// Why, with what to do.
        reason: String,
    },
    /// The coordinator was not reached, or one side refused the other.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The coordinator said no.
    #[error("the coordinator refused: {0}")]
    Refused(String),
    /// The operator did not approve in time.
    #[error(
        "the operator has not approved the key {key} within {} s; run the same line again once it is approved, the key waits here",
        waited.as_secs()
    )]
    NotApproved {
        /// The key.
        key: KeyFingerprint,
        /// How long it was waited.
        waited: Duration,
    },
    /// There is a membership in the folder already.
    #[error("{0} holds a membership already; choose another folder with --home, or remove it if it may go")]
    Member(PathBuf),
    /// What came is of no use.
    #[error("the certificate that came was refused: {0}")]
    Problem(#[from] IdentityProblem),
    /// The authorities that came are of no use.
    #[error(transparent)]
    Authorities(#[from] RotationProblem),
    /// A file of the identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file of the folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Looks at everything that can be wrong before the invitation is used up. Nothing secret is sent.
///
/// # Errors
/// The first check that failed.
pub async fn preflight(invited: &Invited, clock: &Clock, report: &(dyn Fn(JoinEvent) + Sync)) -> Result<(), JoinError> {
    let failed = |check, reason: String| JoinError::Check { check, reason };
    let passed = |check, what: String| report(JoinEvent::Passed(check, what));
    if Membership::load(&invited.folder).is_ok() {
        return Err(JoinError::Member(invited.folder.clone()));
    }
    try_folder(&invited.folder).map_err(|reason| failed(Check::Folder, reason))?;
    passed(Check::Folder, format!("{} can be written", invited.folder.display()));

    // The dates are not checked yet: this is how a wrong clock is told from a wrong coordinator.
    let tls = tls::joining(invited.pin, Dates::Ignored, Arc::clone(clock))?;
    let line = Line::open(&invited.address, tls).await.map_err(|error| {
        let check = if let LineError::Name { .. } = error { Check::Name } else { Check::Coordinator };
        failed(check, error.to_string())
    })?;
    passed(Check::Name, format!("{} has an address", invited.address));
    passed(Check::Coordinator, "answers over UDP, and its authority is the one in the invitation".to_owned());
    let presence = line.ask::<_, Presence>(&Probe { release: invited.release.clone() }).await;
    line.close().await;
    let presence = presence.map_err(|error| failed(Check::Coordinator, error.to_string()))?;

    let upgrade = match presence.protocol.cmp(&PROTOCOL_VERSION) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some("upgrade the coordinator"),
        std::cmp::Ordering::Greater => Some("upgrade this machine"),
    };
    if let Some(upgrade) = upgrade {
        let reason = format!(
            "the coordinator runs release {} with protocol {}, this is release {} with protocol {PROTOCOL_VERSION}; {upgrade}",
            presence.release, presence.protocol, invited.release
        );
        return Err(failed(Check::Version, reason));
    }
    passed(Check::Version, format!("both sides speak protocol {PROTOCOL_VERSION}"));

    let here = now(clock).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let apart = here.abs_diff(presence.unix_seconds);
    if apart > CLOCK_SKEW_ALLOWANCE.as_secs() {
        let direction = if here > presence.unix_seconds { "ahead of" } else { "behind" };
        let reason = format!(
            "this machine's clock is {apart} s {direction} the coordinator's, {} s are allowed; set the clock that is wrong",
            CLOCK_SKEW_ALLOWANCE.as_secs()
        );
        return Err(failed(Check::Clock, reason));
    }
    passed(Check::Clock, format!("{apart} s apart"));
    Ok(())
}

/// Makes a key here, has it certified, and keeps the membership in the folder. Call [`preflight`] first.
///
/// A key that waits in the folder is used again, so running it again after a lost answer or a late approval goes on.
///
/// # Errors
/// When the coordinator refuses or is not reached, the operator does not approve in time, or the folder cannot be written.
pub async fn join(
    invited: &Invited,
    clock: &Clock,
    report: &(dyn Fn(JoinEvent) + Sync),
) -> Result<Identity, JoinError> {
    let folder = identity_folder(&invited.folder);
    let pending = PendingIdentity::load_or_generate(&folder)?;
    let key = pending.fingerprint();
    report(JoinEvent::Key(key));
    let question = Join {
        release: invited.release.clone(),
        name: invited.name.clone(),
        token: invited.token.to_bytes(),
        request: pending.request().to_vec(),
    };
    let started = Instant::now();
    let mut was_told = false;
    loop {
        let line = Line::open(&invited.address, tls::joining(invited.pin, Dates::Checked, Arc::clone(clock))?).await?;
        let shown = line.peer_certificates();
        let answer = line.ask::<_, Enrolled>(&question).await;
        line.close().await;
        match answer? {
            Enrolled::Certified { certificate, authorities, crossed } => {
                let pinned = pinned_authority(&shown, invited.pin).ok_or(RotationProblem::Unrelated)?;
                let trusted = trusted_after(&[pinned], &ders(authorities), &ders(crossed))?;
                let identity = pending.accept_chain(trusted, vec![certificate.into()], now(clock))?;
                identity.save(&folder, Overwrite::Replace)?;
                PendingIdentity::forget(&folder)?;
                Membership { coordinator: invited.address.clone() }.save(&invited.folder)?;
                return Ok(identity);
            }
            Enrolled::Refused { reason } => return Err(JoinError::Refused(reason)),
            Enrolled::Waiting => {
                if !was_told {
                    report(JoinEvent::Waiting(key));
                    was_told = true;
                }
                let waited = started.elapsed();
                if waited >= invited.wait_max {
                    return Err(JoinError::NotApproved { key, waited });
                }
                sleep(POLL_EVERY.min(invited.wait_max.saturating_sub(waited))).await;
            }
        }
    }
}

/// Writes and removes a file: the folder is ours, and the disk is not full.
fn try_folder(folder: &Path) -> Result<(), String> {
    make_folder(folder).map_err(|error| error.to_string())?;
    let trial = folder.join(".trial");
    let written = fs::write(&trial, vec![0; TRIAL_BYTES]);
    let removed = fs::remove_file(&trial);
    written.and(removed).map_err(|error| {
        format!("{} cannot be written: {error}; check who owns it and whether the disk is full", folder.display())
    })
}
