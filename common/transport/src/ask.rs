//! One question, one answer: what enrolment and administration need of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint};
use synod_certs::CertificateDer;
use synod_certs::tls::{ClientConfig, Protocol};
use synod_common::wire::Message;
use tokio::time::timeout;

use crate::close::{CloseReason, explain_connection_error};
use crate::endpoint::{EndpointError, bind_client, connect_with};
use crate::stream::{StreamError, receive, send};

/// How long a handshake may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take. What it says is on disk before, and a disk that is busy with models makes it wait for seconds.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long the farewell may take.
const FAREWELL_MAX: Duration = Duration::from_millis(500);

/// A connection for questions. It ends when this is dropped.
#[derive(Debug)]
pub struct Line {
    endpoint: Endpoint,
    connection: Connection,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The name has no address.
    #[error("the name in {address} was not found: {reason}; check the address and this machine's DNS")]
    Name {
        /// What was looked for.
        address: String,
        /// Why.
        reason: String,
    },
    /// No socket.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody answers.
    #[error(
        "no answer from {0} over UDP; check the address, that the coordinator runs, and that firewalls let UDP through"
    )]
    Silent(SocketAddr),
    /// One side does not accept the other.
    #[error("{0}")]
    Refused(String),
    /// The line broke.
    #[error("the connection broke: {0}; try again")]
    Lost(String),
}

impl Line {
    /// Connects to `address` (`host:port`) as `tls` says.
    ///
    /// # Errors
    /// When the name is unknown, nobody answers, or one side refuses the other.
    pub async fn open(address: &str, tls: Arc<ClientConfig>) -> Result<Self, LineError> {
        let unknown = |reason: String| LineError::Name { address: address.to_owned(), reason };
        let mut found = tokio::net::lookup_host(address).await.map_err(|e| unknown(e.to_string()))?;
        let remote = found.next().ok_or_else(|| unknown("it has no address".to_owned()))?;
        let endpoint = bind_client(remote)?;
        match timeout(CONNECT_MAX, connect_with(&endpoint, tls, remote)?).await {
            Ok(Ok(connection)) => Ok(Self { endpoint, connection }),
            Ok(Err(error @ (quinn::ConnectionError::TimedOut | quinn::ConnectionError::Reset))) => {
                Err(LineError::Lost(explain_connection_error(&error)))
            }
            Ok(Err(error)) => Err(LineError::Refused(explain_connection_error(&error))),
            Err(_) => Err(LineError::Silent(remote)),
        }
    }

    /// Asks on this connection.
    ///
    /// # Errors
    /// When no answer of the right kind comes.
    pub async fn ask<Q: Message, A: Message>(&self, question: &Q) -> Result<A, LineError> {
        ask(&self.connection, question).await
    }

    /// The certificates that the coordinator has shown.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        peer_certificates(&self.connection)
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.connection.close(CloseReason::Leaving.code(), b"");
        let _ = timeout(FAREWELL_MAX, self.endpoint.wait_idle()).await;
    }
}

/// Asks on a stream of its own of `connection`.
///
/// # Errors
/// When no answer of the right kind comes.
pub async fn ask<Q: Message, A: Message>(connection: &Connection, question: &Q) -> Result<A, LineError> {
    let answer = async {
        let opened = connection.open_bi().await;
        let (mut up, mut down) = opened.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
        send(&mut up, question).await?;
        let _ = up.finish();
        receive(&mut down).await
    };
    match timeout(ANSWER_MAX, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(match connection.close_reason() {
            // With TLS 1.3 the server judges after the client already thinks itself connected.
            Some(reason) => LineError::Refused(explain_connection_error(&reason)),
            None => LineError::Lost(error.to_string()),
        }),
        Err(_) => Err(LineError::Lost(format!("no answer within {} s", ANSWER_MAX.as_secs()))),
    }
}

/// The certificates that the other side has shown, its own first; none where it showed none.
#[must_use]
pub fn peer_certificates(connection: &Connection) -> Vec<CertificateDer<'static>> {
    let shown = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    shown.map(|shown| *shown).unwrap_or_default()
}

/// What both sides agreed to speak.
#[must_use]
pub fn protocol_of(connection: &Connection) -> Option<Protocol> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    Protocol::from_alpn(&data.protocol?)
}
