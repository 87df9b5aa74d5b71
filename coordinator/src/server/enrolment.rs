//! The door of a coordinator: who comes in, who may ask what, and who has to go.
//!
//! The handshake lets through whoever has a certificate of the authority, and, where the coordinator enrols, also who has none or
//! an expired one. Here the protocol that was agreed on decides: a run needs a site in good standing, commands an operator or
//! observer in good standing; who joins or renews is answered and shown out.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use synod_certs::tls::Protocol;
use synod_certs::{Identity, PeerIdentity, Role, peer_of};
use synod_common::event::{EventSink, RunEvent};
use synod_common::ids::SiteName;
use synod_common::wire::{AdminAnswer, AdminRequest, Enrolled, FrameHeader, Join, Kind, Probe, Renew, shorten};
use synod_transport::{
    CloseReason, EndpointError, Entry, Origin, StreamError, explain_connection_error, let_in, peer_certificates,
    protocol_of, receive_body, receive_header, send, server_config,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::Shared;
use super::serve::Input;
use crate::enrol::{Admitted, Effects, Expelled, Office};
use crate::round::Event;

/// How often it is looked at what is due.
const MAINTAIN_EVERY: Duration = Duration::from_secs(2);
/// How long a stranger may stay, all its questions together.
const STRANGER_MAX: Duration = Duration::from_secs(5);
/// Strangers at a time.
const STRANGERS_MAX: usize = 32;
/// Questions on one connection of a stranger: who it is talking to, then its request.
const STRANGER_QUESTIONS_MAX: usize = 4;
/// How long an operator's connection may be silent.
const COMMAND_MAX: Duration = Duration::from_secs(30);

/// Who may take part.
#[derive(Clone)]
pub enum Members {
    /// Whoever the authority of this coordinator's identity certified.
    Certified(Arc<Identity>),
    /// The members of an office, which also enrols, renews and revokes.
    Of(Arc<Office>),
}

impl Members {
    pub(super) fn identity(&self) -> Arc<Identity> {
        match self {
            Self::Certified(identity) => Arc::clone(identity),
            Self::Of(office) => office.identity(),
        }
    }

    pub(super) fn entry(&self) -> Entry {
        match self {
            Self::Certified(_) => Entry::Members,
            Self::Of(office) => Entry::Enrolling { grace: Duration::from_secs(office.settings().grace_seconds) },
        }
    }

    pub(super) fn door(&self) -> Option<Door> {
        match self {
            Self::Certified(_) => None,
            Self::Of(office) => Some(Door::new(Arc::clone(office))),
        }
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Members").field(self.identity().as_peer()).finish()
    }
}

/// The configuration for connections from this machine itself, the newest.
pub(super) struct Loopback(Mutex<Arc<ServerConfig>>);

impl Loopback {
    pub(super) fn new(members: &Members) -> Result<Self, EndpointError> {
        Ok(Self(Mutex::new(server_config(&members.identity(), members.entry(), Origin::Loopback)?)))
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes new connections meet the newest identity; those that are open go on.
    fn renew(&self, members: &Members, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let (identity, entry) = (members.identity(), members.entry());
        let anywhere = server_config(&identity, entry, Origin::Anywhere)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = server_config(&identity, entry, Origin::Loopback)?;
        endpoint.set_server_config(Some(ServerConfig::clone(&anywhere)));
        Ok(())
    }
}

/// Does what is due from time to time, until it is aborted.
pub(super) async fn keep(members: Members, endpoint: Endpoint, loopback: Arc<Loopback>, shared: Arc<Shared>) {
    let Some(door) = &shared.door else { return };
    let mut ticks = tokio::time::interval(MAINTAIN_EVERY);
    loop {
        let is_told = tokio::select! {
            _ = ticks.tick() => false,
            () = door.renewed.notified() => true,
        };
        if blocking(|| door.office.maintain()) || is_told {
            // The old identity stays good for as long as this fails.
            let _ = loopback.renew(&members, &endpoint);
        }
    }
}

/// Counts rounds for members beside passing events on.
pub(super) fn counting(sink: Arc<dyn EventSink>, shared: &Arc<Shared>) -> Arc<dyn EventSink> {
    let Some(door) = &shared.door else { return sink };
    let office = Arc::clone(&door.office);
    Arc::new(move |event: &RunEvent| {
        if let RunEvent::RoundCommitted { took_part, .. } = event {
            office.took_part(took_part);
        }
        sink.publish(event);
    })
}

/// Whether what came is of a member that is still one. What an expelled site sent just before waits in the queue.
pub(super) fn is_welcome(input: &Input, shared: &Shared) -> bool {
    let Some(door) = &shared.door else { return true };
    match input {
        Input::Arrived { site, .. }
        | Input::Update { site, .. }
        | Input::Event(Event::Progress { site, .. } | Event::Evaluated { site, .. } | Event::Declined { site, .. }) => {
            door.office.is_active(site)
        }
        Input::Left { .. } | Input::Event(_) => true,
    }
}

/// What a coordinator with members of its own needs at its door.
pub(super) struct Door {
    pub(super) office: Arc<Office>,
    /// The members whose connections are open.
    inside: Mutex<HashMap<u64, (Admitted, Connection)>>,
    strangers: Semaphore,
    /// Told when the coordinator's identity is another one.
    pub(super) renewed: tokio::sync::Notify,
}

impl Door {
    pub(super) fn new(office: Arc<Office>) -> Self {
        let (inside, strangers) = (Mutex::default(), Semaphore::new(STRANGERS_MAX));
        Self { office, inside, strangers, renewed: tokio::sync::Notify::new() }
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<u64, (Admitted, Connection)>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a member in, unless it was expelled in this very moment.
    fn remember(&self, id: u64, admitted: &Admitted, connection: &Connection) -> bool {
        self.inside().insert(id, (admitted.clone(), connection.clone()));
        let stays = self.office.is_admitted(admitted);
        if !stays {
            self.inside().remove(&id);
        }
        stays
    }

    /// Ends the connections of `expelled`.
    fn expel(&self, expelled: &Expelled) {
        let reason = shorten(&expelled.reason);
        let code = if expelled.returns { CloseReason::Leaving } else { CloseReason::Expelled };
        for (_, connection) in self.inside().values().filter(|(admitted, _)| admitted.name == expelled.name) {
            connection.close(code.code(), reason.as_bytes());
        }
    }
}

/// A member's stay: it ends with the connection.
pub(super) struct Presence<'a> {
    shared: &'a Shared,
    id: u64,
}

impl<'a> Presence<'a> {
    pub(super) fn new(shared: &'a Shared, id: u64) -> Self {
        Self { shared, id }
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if let Some(door) = &self.shared.door {
            door.inside().remove(&self.id);
        }
    }
}

/// The site behind a connection that may take part. Everybody else is served here, or shown out.
pub(super) async fn enter(connection: &Connection, id: u64, shared: &Shared) -> Option<SiteName> {
    let peer = peer_certificates(connection).first().and_then(|certificate| peer_of(certificate).ok());
    let Some(door) = &shared.door else {
        let site = peer.filter(|peer| peer.role == Role::Site).map(|peer| peer.name);
        if site.is_none() {
            connection.close(CloseReason::Role.code(), b"");
        }
        return site;
    };
    let protocol = protocol_of(connection);
    if protocol == Some(Protocol::Join) {
        serve_stranger(connection, peer.as_ref(), door, shared).await;
        return None;
    }
    let Some(peer) = peer else {
        connection.close(CloseReason::Role.code(), b"this needs a certificate: join first");
        return None;
    };
    let admitted = match door.office.admit(&peer, address_of(connection)) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            connection.close(CloseReason::Expelled.code(), refusal.to_string().as_bytes());
            return None;
        }
    };
    let wanted = match protocol {
        Some(Protocol::Run) => admitted.role == Role::Site,
        Some(Protocol::Admin) => admitted.role != Role::Site,
        Some(Protocol::Join) | None => false,
    };
    if !wanted || !door.remember(id, &admitted, connection) {
        let code = if wanted { CloseReason::Expelled } else { CloseReason::Role };
        connection.close(code.code(), b"");
        return None;
    }
    let_in(connection);
    if protocol == Some(Protocol::Run) {
        return Some(admitted.name);
    }
    let _presence = Presence::new(shared, id);
    serve_commands(connection, &admitted, door, shared).await;
    None
}

/// Answers one who joins, renews or asks who is here, for a few seconds.
async fn serve_stranger(connection: &Connection, peer: Option<&PeerIdentity>, door: &Door, shared: &Shared) {
    let Ok(_permit) = door.strangers.try_acquire() else {
        connection.close(CloseReason::Full.code(), b"");
        return;
    };
    let address = address_of(connection);
    let answering = async {
        for _ in 0..STRANGER_QUESTIONS_MAX {
            let Ok((mut down, mut up)) = connection.accept_bi().await else { return Ok(()) };
            if !door.office.may_ask(address) {
                connection.close(CloseReason::Full.code(), b"too many questions from this network; wait a minute");
                return Ok(());
            }
            let header = receive_header(&mut up).await?.ok_or(StreamError::Ended)?;
            match (header.kind, peer) {
                (Kind::Probe, _) => {
                    let _probe: Probe = receive_body(&mut up, header).await?;
                    send(&mut down, &door.office.presence(&shared.release)).await?;
                }
                (Kind::Renew, Some(peer)) => {
                    let renew: Renew = receive_body(&mut up, header).await?;
                    send(&mut down, &blocking(|| door.office.renew(peer, &renew, address))).await?;
                }
                // Every other kind is refused by the body's reader, with the kinds' names.
                _ => {
                    let join: Join = receive_body(&mut up, header).await?;
                    send(&mut down, &blocking(|| door.office.join(&join, address))).await?;
                }
            }
            let _ = down.finish();
        }
        Ok::<(), StreamError>(())
    };
    let (code, reason) = match timeout(STRANGER_MAX, answering).await {
        Ok(Ok(())) => (CloseReason::Finished, String::new()),
        Ok(Err(error)) if error.is_protocol() => (CloseReason::Protocol, error.to_string()),
        Ok(Err(error)) => (CloseReason::Silent, error.to_string()),
        Err(_) => (CloseReason::Silent, String::new()),
    };
    connection.close(code.code(), shorten(&reason).as_bytes());
}

/// Carries out an operator's commands until it leaves.
async fn serve_commands(connection: &Connection, admitted: &Admitted, door: &Door, shared: &Shared) {
    let by = format!("{} {}", admitted.role, admitted.name);
    let serving = async {
        while let Ok(opened) = timeout(COMMAND_MAX, connection.accept_bi()).await {
            let (mut down, mut up) = opened.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
            let header = receive_header(&mut up).await?.ok_or(StreamError::Ended)?;
            let request: AdminRequest = receive_body(&mut up, header).await?;
            if !door.office.is_admitted(admitted) {
                return Ok(());
            }
            let (answer, effects) = blocking(|| door.office.admin(admitted.role, &by, &request));
            take_effect(effects, door, shared).await;
            send::<AdminAnswer>(&mut down, &answer).await?;
            let _ = down.finish();
        }
        Ok::<(), StreamError>(())
    };
    let code = match serving.await {
        Err(error) if error.is_protocol() => CloseReason::Protocol,
        Ok(()) | Err(_) => CloseReason::Finished,
    };
    connection.close(code.code(), b"");
}

async fn take_effect(effects: Effects, door: &Door, shared: &Shared) {
    if effects.is_new_identity {
        door.renewed.notify_one();
    }
    if let Some(expelled) = effects.expelled {
        door.expel(&expelled);
        let Expelled { name, reason, .. } = expelled;
        let _ = shared.inputs.send(Input::Event(Event::Expelled { site: name, reason })).await;
    }
}

/// Answers a member that renews on the connection of its run.
pub(super) async fn renew(
    connection: &Connection,
    (down, up): (&mut SendStream, &mut RecvStream),
    header: FrameHeader,
    shared: &Shared,
) -> Result<(), StreamError> {
    let renew: Renew = receive_body(up, header).await?;
    let peer = peer_certificates(connection).first().and_then(|certificate| peer_of(certificate).ok());
    let answer = match (&shared.door, peer) {
        (Some(door), Some(peer)) => blocking(|| door.office.renew(&peer, &renew, address_of(connection))),
        _ => Enrolled::Refused { reason: "this coordinator has no members of its own and renews nothing".to_owned() },
    };
    send(down, &answer).await?;
    let _ = down.finish();
    Ok(())
}

/// Signing and saving take milliseconds; other tasks of this thread move elsewhere meanwhile.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// The address of the other side, with IPv4 as itself.
fn address_of(connection: &Connection) -> SocketAddr {
    let address = connection.remote_address();
    let ip = match address.ip() {
        IpAddr::V6(six) if six != Ipv6Addr::LOCALHOST => six.to_ipv4_mapped().map_or(six.into(), IpAddr::from),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}
