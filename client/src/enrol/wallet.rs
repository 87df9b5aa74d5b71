//! The identity that a member uses, renewed in time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn::Connection;
use synod_certs::tls::{self, Clock, Protocol, TlsError};
use synod_certs::{
    CertificateDer, Identity, IdentityError, IdentityProblem, Overwrite, PendingIdentity, RotationProblem,
    authority_key, trusted_after,
};
use synod_common::wire::{Enrolled, Renew};
use synod_transport::{Line, LineError, ask, peer_certificates};
use tokio::time::sleep;

/// Shortest pause before a renewal that failed is tried again.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const RETRY_MAX: Duration = Duration::from_secs(600);

/// Which key a renewed certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextKey {
    /// The same.
    Same,
    /// A new one, made here.
    New,
}

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The coordinator said no.
    #[error("the coordinator does not renew the certificate: {0}")]
    Refused(String),
    /// The coordinator was not reached, or the line broke.
    #[error("the certificate was not renewed: {0}")]
    Line(#[from] LineError),
    /// What came is of no use.
    #[error("the certificate that came was refused: {0}")]
    Problem(#[from] IdentityProblem),
    /// The authorities that came are of no use.
    #[error("the authorities that came were refused: {0}")]
    Authorities(#[from] RotationProblem),
    /// A file.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A member's identity in its folder.
pub struct Wallet {
    folder: PathBuf,
    identity: RwLock<Arc<Identity>>,
    next_key: NextKey,
    release: String,
    clock: Clock,
    notices: Box<dyn Fn(String) + Send + Sync>,
}

impl Wallet {
    /// Opens the identity in `folder`, which may have expired: then it has to be renewed before anything else.
    ///
    /// # Errors
    /// When there is none, others can read its key, or its files do not belong together.
    pub fn open(
        folder: &Path,
        next_key: NextKey,
        release: &str,
        clock: Clock,
        notices: Box<dyn Fn(String) + Send + Sync>,
    ) -> Result<Self, IdentityError> {
        let identity = Identity::load_expired(folder, now(&clock))?;
        let (folder, identity, release) = (folder.to_owned(), RwLock::new(Arc::new(identity)), release.to_owned());
        Ok(Self { folder, identity, next_key, release, clock, notices })
    }

    /// The identity, the newest.
    #[must_use]
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renews an expired certificate with the coordinator at `address`, which does so within its grace time. One that is valid stays.
    ///
    /// # Errors
    /// When the coordinator refuses or cannot be reached.
    pub async fn revive(&self, address: &str) -> Result<(), RenewError> {
        let identity = self.identity();
        if now(&self.clock) <= identity.as_peer().not_after {
            return Ok(());
        }
        self.renew_at(address).await
    }

    /// Renews the certificate with the coordinator at `address`, on a connection of its own.
    ///
    /// # Errors
    /// When the coordinator refuses or cannot be reached.
    pub async fn renew_at(&self, address: &str) -> Result<(), RenewError> {
        let tls = tls::client_for(&self.identity(), Protocol::Join, Arc::clone(&self.clock))?;
        let line = Line::open(address, tls).await?;
        let (pending, question) = self.prepare()?;
        let answer = line.ask(&question).await;
        line.close().await;
        self.accept(pending, answer?)
    }

    /// Renews the certificate on `connection` whenever it is due, for as long as the connection lasts. It is due at two thirds of its
    /// life, and at once when the coordinator shows an authority that is not known here.
    pub async fn keep_fresh(&self, connection: Connection) {
        let mut pause = RETRY_MIN;
        let mut is_due_now = self.sees_successor(&connection);
        loop {
            let due = self.identity().as_peer().renew_at();
            let wait =
                if is_due_now { Duration::ZERO } else { due.duration_since(now(&self.clock)).unwrap_or_default() };
            tokio::select! {
                () = sleep(wait) => {}
                _ = connection.closed() => return,
            }
            match self.renew_on(&connection).await {
                Ok(()) => {
                    pause = RETRY_MIN;
                    let until = self.identity().as_peer().not_after;
                    (self.notices)(format!(
                        "the certificate was renewed; it is valid for {} more",
                        left(until, now(&self.clock))
                    ));
                }
                Err(error) => {
                    (self.notices)(error.to_string());
                    if let RenewError::Refused(_) = error {
                        return;
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        _ = connection.closed() => return,
                    }
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
            is_due_now = false;
        }
    }

    async fn renew_on(&self, connection: &Connection) -> Result<(), RenewError> {
        let (pending, question) = self.prepare()?;
        self.accept(pending, ask(connection, &question).await?)
    }

    fn prepare(&self) -> Result<(PendingIdentity, Renew), RenewError> {
        let pending = match self.next_key {
            NextKey::Same => self.identity().renewal()?,
            // Kept until it has its certificate: asking again after a lost answer must name the same key.
            NextKey::New => PendingIdentity::load_or_generate(&self.folder)?,
        };
        let question = Renew { release: self.release.clone(), request: pending.request().to_vec() };
        Ok((pending, question))
    }

    fn accept(&self, pending: PendingIdentity, answer: Enrolled) -> Result<(), RenewError> {
        let (certificate, authorities, crossed) = match answer {
            Enrolled::Certified { certificate, authorities, crossed } => (certificate, authorities, crossed),
            Enrolled::Waiting => return Err(RenewError::Refused("it waits for the operator".to_owned())),
            Enrolled::Refused { reason } => return Err(RenewError::Refused(reason)),
        };
        let trusted = trusted_after(self.identity().authorities(), &ders(authorities), &ders(crossed))?;
        let renewed = pending.accept_chain(trusted, vec![certificate.into()], now(&self.clock))?;
        renewed.save(&self.folder, Overwrite::Replace)?;
        PendingIdentity::forget(&self.folder)?;
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
        Ok(())
    }

    fn sees_successor(&self, connection: &Connection) -> bool {
        let identity = self.identity();
        let known: Vec<_> = identity.authorities().iter().filter_map(authority_key).collect();
        peer_certificates(connection).iter().filter_map(authority_key).any(|key| !known.contains(&key))
    }
}

pub(super) fn ders(all: Vec<Vec<u8>>) -> Vec<CertificateDer<'static>> {
    all.into_iter().map(CertificateDer::from).collect()
}

pub(super) fn now(clock: &Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(clock.current_time().map_or(0, |time| time.as_secs()))
}

fn left(until: SystemTime, now: SystemTime) -> String {
    let seconds = until.duration_since(now).unwrap_or_default().as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
