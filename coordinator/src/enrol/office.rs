//! Registry, authority and folder together: what a coordinator does about its members, one thing at a time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use synod_certs::tls::Clock;
use synod_certs::{
    Authority, AuthorityError, CertificateSigningRequestDer, Identity, KeyFingerprint, Overwrite, Passphrase,
    PeerIdentity, Role, Subject, Token, peer_of, request_key,
};
use synod_common::ids::SiteName;
use synod_common::wire::{AdminAnswer, AdminRequest, Enrolled, Join, PROTOCOL_VERSION, Presence, Renew, shorten};

use super::command::Effects;
use super::error::{HomeError, JoinRefusal};
use super::home::{COORDINATOR_LIFE, Home, OPERATOR_LIFE, Settings, operator_folder};
use super::limiter::Limiter;
use super::member::{Seen, Standing, UnixSeconds};
use super::notice::Notice;
use super::registry::{Claimed, Registry};
use super::rotation::Predecessor;

/// Who may go on after the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// What the registry calls it, which may be newer than its certificate.
    pub name: SiteName,
    /// What it is.
    pub role: Role,
    /// Its key.
    pub key: KeyFingerprint,
}

/// Why a certificate that the authority did sign is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// No member has this key.
    #[error("the key is no member's; ask the operator for an invitation")]
    Unknown,
    /// It was revoked.
    #[error("the operator revoked this member; ask for a new invitation if that was a mistake")]
    Revoked,
    /// It is suspended.
    #[error("the operator suspended this member; ask when it is resumed")]
    Suspended,
    /// Its certificate has expired.
    #[error(
        "the certificate has expired; `synod client run` renews it by itself within the grace time, after that ask for a new invitation"
    )]
    Expired,
}

/// What a coordinator does about its members. Every method may be called from any thread; each is one step.
pub struct Office {
    desk: Mutex<Desk>,
    clock: Clock,
    notices: Box<dyn Fn(Notice) + Send + Sync>,
}

pub(super) struct Desk {
    pub(super) home: Home,
    pub(super) settings: Settings,
    pub(super) registry: Registry,
    pub(super) unlocked: Option<(Authority, Passphrase)>,
    pub(super) identity: Arc<Identity>,
    pub(super) predecessor: Option<Predecessor>,
    limiter: Limiter,
    /// Whether the registry holds something that the file does not: who was seen, rounds.
    is_dirty: bool,
}

impl Office {
    /// Opens the coordinator in `folder`, and locks it. With the `passphrase` of its authority it can certify keys, and renews its
    /// own certificates when they are due.
    ///
    /// # Errors
    /// When there is none, another process works on it, a file is damaged, or the passphrase is another one.
    pub fn open(
        folder: &Path,
        passphrase: Option<Passphrase>,
        clock: Clock,
        notices: Box<dyn Fn(Notice) + Send + Sync>,
    ) -> Result<Self, HomeError> {
        let home = Home::open(folder)?;
        let now = system_time(&clock)?;
        super::rotation::finish_move(&home)?;
        let unlocked = match passphrase {
            Some(word) => Some((Authority::load_sealed(&home.authority(), &word)?, word)),
            None => None,
        };
        let mut desk = Desk {
            settings: home.settings()?,
            registry: home.registry()?,
            identity: Arc::new(Identity::load_expired(&home.coordinator(), now)?),
            predecessor: Predecessor::load(&home, unix(now))?,
            home,
            unlocked,
            limiter: Limiter::default(),
            is_dirty: false,
        };
        desk.renew_own(now)?;
        Ok(Self { desk: Mutex::new(desk), clock, notices })
    }

    /// The coordinator's identity, the newest.
    #[must_use]
    pub fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.lock().identity)
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    /// Whether keys can be certified.
    #[must_use]
    pub fn is_unlocked(&self) -> bool {
        self.lock().unlocked.is_some()
    }

    /// The digest of the authority's key, to pin.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn pin(&self) -> Result<KeyFingerprint, HomeError> {
        self.lock().pin()
    }

    /// Says, or takes back, where the coordinator listens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_serving(&self, address: Option<SocketAddr>) -> Result<(), HomeError> {
        self.lock().home.set_serving(address)
    }

    /// Whether a stranger at `address` may ask now. Asking counts.
    #[must_use]
    pub fn may_ask(&self, address: SocketAddr) -> bool {
        let now = self.now();
        self.lock().limiter.admit(address.ip(), now)
    }

    /// Who is here, and what time it is.
    #[must_use]
    pub fn presence(&self, release: &str) -> Presence {
        Presence { release: release.to_owned(), protocol: PROTOCOL_VERSION, unix_seconds: self.now().0 }
    }

    /// Whether whoever shows `peer` may go on, beyond joining and renewing: a member in good standing with a certificate of today.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, peer: &PeerIdentity, address: SocketAddr) -> Result<Admitted, PolicyRefusal> {
        let now = self.now();
        let mut desk = self.lock();
        let admitted = desk.standing_of(peer)?;
        if now > unix(peer.not_after) {
            return Err(PolicyRefusal::Expired);
        }
        desk.registry.seen(peer.fingerprint, Seen { at: now, address: address.to_string(), release: None });
        desk.is_dirty = true;
        Ok(admitted)
    }

    /// Whether a member that was admitted still is one: asked before each message is acted upon.
    #[must_use]
    pub fn is_admitted(&self, admitted: &Admitted) -> bool {
        let desk = self.lock();
        let member = desk.registry.member(&admitted.name);
        member.is_some_and(|member| member.standing == Standing::Active && member.holds(admitted.key))
    }

    /// Whether the member `name` may take part now.
    #[must_use]
    pub fn is_active(&self, name: &SiteName) -> bool {
        self.lock().registry.member(name).is_some_and(|member| member.standing == Standing::Active)
    }

    /// Answers who shows an invitation.
    #[must_use]
    pub fn join(&self, join: &Join, address: SocketAddr) -> Enrolled {
        let now = self.now();
        let answer = self.lock().join(join, address, now);
        self.conclude(answer, address)
    }

    /// Answers a member that wants its next certificate. `peer` is what it showed, which may have expired within the grace time.
    #[must_use]
    pub fn renew(&self, peer: &PeerIdentity, renew: &Renew, address: SocketAddr) -> Enrolled {
        let now = self.now();
        let answer = self.lock().renew(peer, renew, address, now);
        self.conclude(answer, address)
    }

    /// Carries out a command. `role` and `by` are of whoever gives it.
    #[must_use]
    pub fn admin(&self, role: Role, by: &str, request: &AdminRequest) -> (AdminAnswer, Effects) {
        let now = self.now();
        if !super::admin::permitted(role, request) {
            let reason = format!("a member with the role {role} may not give this command; ask an operator");
            (self.notices)(Notice::Refused { address: by.to_owned(), reason: reason.clone() });
            return (AdminAnswer::Refused { reason }, Effects::default());
        }
        let done = self.lock().command(request, now);
        match done {
            Ok((answer, effects)) => {
                if let AdminAnswer::Done(what) = &answer {
                    (self.notices)(Notice::Changed { what: what.clone(), by: by.to_owned() });
                }
                (answer, effects)
            }
            Err(error) => (AdminAnswer::Refused { reason: shorten(&error.to_string()) }, Effects::default()),
        }
    }

    /// Counts a round for each of `sites`. Durable with the next [`maintain`](Self::maintain).
    pub fn took_part(&self, sites: &[SiteName]) {
        let mut desk = self.lock();
        desk.registry.took_part(sites);
        desk.is_dirty = true;
    }

    /// What is due from time to time: saves who was seen, renews the coordinator's own certificate, ends a rotation. Says whether the
    /// identity changed.
    pub fn maintain(&self) -> bool {
        let before = self.identity();
        let maintained = system_time(&self.clock).and_then(|now| self.lock().maintain(now));
        if let Err(error) = maintained {
            (self.notices)(Notice::Failed { reason: error.to_string() });
        }
        !Arc::ptr_eq(&before, &self.identity())
    }

    fn conclude(&self, answer: Result<(Enrolled, Notice), HomeOrRefusal>, address: SocketAddr) -> Enrolled {
        match answer {
            Ok((enrolled, notice)) => {
                (self.notices)(notice);
                enrolled
            }
            Err(HomeOrRefusal::Refusal(refusal)) => {
                let reason = refusal.to_string();
                (self.notices)(Notice::Refused { address: address.to_string(), reason: reason.clone() });
                Enrolled::Refused { reason }
            }
            Err(HomeOrRefusal::Home(error)) => {
                (self.notices)(Notice::Failed { reason: error.to_string() });
                // What is wrong in the coordinator's folder is nothing for whoever asks.
                let reason = match error {
                    HomeError::Authority(AuthorityError::Request { problem, .. }) => problem.to_string(),
                    HomeError::AuthorityLocked => {
                        "the coordinator cannot certify keys at the moment; try again later, or ask the operator to unlock its authority".to_owned()
                    }
                    _ => "the coordinator failed; ask the operator to look at its messages".to_owned(),
                };
                Enrolled::Refused { reason }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixSeconds {
        system_time(&self.clock).map(unix).unwrap_or_default()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let mut desk = self.lock();
        let saved = desk.save_if_dirty();
        drop(desk);
        if let Err(error) = saved {
            (self.notices)(Notice::Failed { reason: error.to_string() });
        }
    }
}

pub(super) enum HomeOrRefusal {
    Home(HomeError),
    Refusal(JoinRefusal),
}

impl<E: Into<HomeError>> From<E> for HomeOrRefusal {
    fn from(error: E) -> Self {
        Self::Home(error.into())
    }
}

impl Desk {
    fn standing_of(&self, peer: &PeerIdentity) -> Result<Admitted, PolicyRefusal> {
        let key = peer.fingerprint;
        let Some((name, member)) = self.registry.holder(key) else {
            let is_revoked = self.registry.members().any(|(_, member)| member.revoked_keys.contains(&key));
            return Err(if is_revoked { PolicyRefusal::Revoked } else { PolicyRefusal::Unknown });
        };
        match member.standing {
            Standing::Active if member.role == peer.role => Ok(Admitted { name: name.clone(), role: member.role, key }),
            Standing::Active | Standing::Invited | Standing::Pending => Err(PolicyRefusal::Unknown),
            Standing::Suspended => Err(PolicyRefusal::Suspended),
            Standing::Revoked => Err(PolicyRefusal::Revoked),
        }
    }

    fn join(
        &mut self,
        join: &Join,
        address: SocketAddr,
        now: UnixSeconds,
    ) -> Result<(Enrolled, Notice), HomeOrRefusal> {
        let request = CertificateSigningRequestDer::from(join.request.as_slice());
        let key = request_key(&request).map_err(|problem| request_problem("who joins", problem))?;
        let token = Token::from_bytes(join.token).digest();
        let claimed = self.registry.claim(&token, join.name.as_ref(), key, now);
        // A refusal counts and a claim binds: both must outlive a crash.
        self.save()?;
        match claimed.map_err(HomeOrRefusal::Refusal)? {
            Claimed::Waiting { name } => {
                Ok((Enrolled::Waiting, Notice::Waiting { name, key, address: address.to_string() }))
            }
            Claimed::Certify { name, role } => {
                let (enrolled, expires) = self.certify(&request, &name, role, now)?;
                self.registry.certified(&name, key, expires, now);
                self.registry.seen(key, seen(now, address, &join.release));
                self.save()?;
                Ok((enrolled, Notice::Joined { name, role, key, address: address.to_string() }))
            }
        }
    }

    fn renew(
        &mut self,
        peer: &PeerIdentity,
        renew: &Renew,
        address: SocketAddr,
        now: UnixSeconds,
    ) -> Result<(Enrolled, Notice), HomeOrRefusal> {
        let request = CertificateSigningRequestDer::from(renew.request.as_slice());
        let key = request_key(&request).map_err(|problem| request_problem("who renews", problem))?;
        let admitted = self.standing_of(peer).map_err(|_| HomeOrRefusal::Refusal(JoinRefusal::Member))?;
        // Its newest certificate counts: a connection may be older than that, and outlive the one it was made with.
        let newest = self.registry.member(&admitted.name).and_then(|member| member.expires);
        if now.since(newest.unwrap_or_else(|| unix(peer.not_after))) > self.settings.grace_seconds {
            return Err(HomeOrRefusal::Refusal(JoinRefusal::Member));
        }
        let (name, role) = self.registry.renew(admitted.key, key).map_err(HomeOrRefusal::Refusal)?;
        let (enrolled, expires) = self.certify(&request, &name, role, now)?;
        self.registry.seen(admitted.key, seen(now, address, &renew.release));
        self.registry.renewed(&name, key, expires);
        self.save()?;
        Ok((enrolled, Notice::Renewed { name, key }))
    }

    fn certify(
        &self,
        request: &CertificateSigningRequestDer<'_>,
        name: &SiteName,
        role: Role,
        now: UnixSeconds,
    ) -> Result<(Enrolled, UnixSeconds), HomeError> {
        let (authority, _) = self.unlocked.as_ref().ok_or(HomeError::AuthorityLocked)?;
        let subject = match role {
            Role::Operator => Subject::operator(name.clone()),
            Role::Observer => Subject::observer(name.clone()),
            Role::Site | Role::Coordinator => Subject::site(name.clone()),
        };
        let life = Duration::from_secs(self.settings.certificate_seconds);
        let certificate = authority.issue(request, &subject, now.to_system_time()?, life)?;
        let expires = peer_of(&certificate).map_err(synod_certs::IdentityProblem::from)?.not_after;
        let (authorities, crossed) = self.trust(authority);
        let bytes = |all: Vec<synod_certs::CertificateDer<'static>>| all.iter().map(|der| der.to_vec()).collect();
        let enrolled = Enrolled::Certified {
            certificate: certificate.to_vec(),
            authorities: bytes(authorities),
            crossed: bytes(crossed),
        };
        Ok((enrolled, unix(expires)))
    }

    /// Renews the coordinator's certificate and the operator's in the folder, where they are due and the authority is unlocked.
    fn renew_own(&mut self, now: SystemTime) -> Result<(), HomeError> {
        let Some((authority, _)) = &self.unlocked else { return Ok(()) };
        let (authorities, crossed) = self.trust(authority);
        let is_due =
            |identity: &Identity| now >= identity.as_peer().renew_at() || identity.authorities() != authorities;
        let issue = |identity: &Identity, subject: &Subject, life, crossed: &[_]| -> Result<Identity, HomeError> {
            let pending = identity.renewal()?;
            let own = authority.issue(pending.request(), subject, now, life)?;
            let shown = std::iter::once(own).chain(crossed.iter().cloned()).collect();
            Ok(pending.accept_chain(authorities.clone(), shown, now)?)
        };
        if is_due(&self.identity) {
            let subject = Subject::coordinator(self.settings.name.clone(), Vec::new());
            let renewed = issue(&self.identity, &subject, COORDINATOR_LIFE, &crossed)?;
            renewed.save(&self.home.coordinator(), Overwrite::Replace)?;
            self.identity = Arc::new(renewed);
        }
        let folder = operator_folder(self.home.folder());
        // The operator's folder may have been moved to another machine.
        let Ok(operator) = Identity::load_expired(&folder, now) else { return Ok(()) };
        let key = operator.as_peer().fingerprint;
        let holder = self.registry.holder(key).filter(|(_, member)| member.standing == Standing::Active);
        let name = holder.map(|(name, _)| name.clone());
        if let Some(name) = name.filter(|_| is_due(&operator)) {
            let renewed = issue(&operator, &Subject::operator(name.clone()), OPERATOR_LIFE, &[])?;
            renewed.save(&folder, Overwrite::Replace)?;
            self.registry.renewed(&name, key, unix(renewed.as_peer().not_after));
            self.save()?;
        }
        Ok(())
    }

    fn maintain(&mut self, now: SystemTime) -> Result<(), HomeError> {
        self.save_if_dirty()?;
        if self.predecessor.as_ref().is_some_and(|before| before.is_over(unix(now))) {
            self.predecessor = None;
            self.home.remove("previous")?;
        }
        self.renew_own(now)
    }

    pub(super) fn after_rotation(&mut self, now: SystemTime) -> Result<(), HomeError> {
        self.renew_own(now)
    }

    pub(super) fn save(&mut self) -> Result<(), HomeError> {
        self.home.save_registry(&self.registry)?;
        self.is_dirty = false;
        Ok(())
    }

    fn save_if_dirty(&mut self) -> Result<(), HomeError> {
        if self.is_dirty { self.save() } else { Ok(()) }
    }
}

fn request_problem(subject: &str, problem: synod_certs::RequestProblem) -> HomeError {
    AuthorityError::Request { subject: subject.to_owned(), problem }.into()
}

fn seen(at: UnixSeconds, address: SocketAddr, release: &str) -> Seen {
    Seen { at, address: address.to_string(), release: Some(release.to_owned()) }
}

/// A system time in seconds; times before 1970 become 1970.
pub(super) fn unix(time: SystemTime) -> UnixSeconds {
    UnixSeconds(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn system_time(clock: &Clock) -> Result<SystemTime, HomeError> {
    let seconds = clock.current_time().ok_or(HomeError::Clock)?.as_secs();
    UnixSeconds(seconds).to_system_time()
}
