//! An authority, identities of every role, and a handshake between two of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::quic::{ClientConnection, ServerConnection, Version};
use rustls::{AlertDescription, ClientConfig, Error, ServerConfig};
use synod_certs::{Authority, Identity, SERVER_NAME, ServerName, Subject};
use synod_common::ids::SiteName;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_502_530)
}

pub(crate) fn name(text: &str) -> SiteName {
    SiteName::new(text).unwrap()
}

pub(crate) fn authority() -> Authority {
    Authority::generate(&name("study-a"), now(), 100 * DAY).unwrap()
}

pub(crate) fn site() -> Subject {
    Subject::site(name("st-vincent"))
}

pub(crate) fn coordinator() -> Subject {
    Subject::coordinator(name("hub"), vec![ServerName::try_from("hub.example.org").unwrap()])
}

pub(crate) fn identity(authority: &Authority, subject: &Subject) -> Identity {
    let pending = Identity::generate().unwrap();
    let certificate = authority.issue(pending.request(), subject, now(), DAY).unwrap();
    pending.accept(authority.certificate().clone(), certificate, now()).unwrap()
}

/// Two ends whose handshake went through.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) server: ServerConnection,
    pub(crate) client: ClientConnection,
}

/// Why a handshake stopped, and the alert that the other side is sent.
#[derive(Debug)]
pub(crate) enum Stopped {
    ByServer(Error, AlertDescription),
    ByClient(Error, AlertDescription),
}

/// Carries the handshake bytes of QUIC's TLS back and forth until both ends are done.
pub(crate) fn handshake(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Result<Connected, Stopped> {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut client = ClientConnection::new(client, Version::V1, name, b"client parameters".to_vec()).unwrap();
    let mut server = ServerConnection::new(server, Version::V1, b"server parameters".to_vec()).unwrap();
    for _flight in 0..10 {
        while let Some(flight) = written(|out| client.write_hs(out).is_some()) {
            let heard = server.read_hs(&flight);
            heard.map_err(|error| Stopped::ByServer(error, server.alert().expect("a refusal sends an alert")))?;
        }
        while let Some(flight) = written(|out| server.write_hs(out).is_some()) {
            let heard = client.read_hs(&flight);
            heard.map_err(|error| Stopped::ByClient(error, client.alert().expect("a refusal sends an alert")))?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking(), "the handshake must end");
    Ok(Connected { server, client })
}

/// The bytes of one encryption level, which QUIC never mixes with the next; `None` when there is nothing more to say.
fn written(mut write: impl FnMut(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let changes_keys = write(&mut out);
    (changes_keys || !out.is_empty()).then_some(out)
}
