//! Why a connection ended, as a code on the wire and in words for people.

use quinn::{ConnectionError, VarInt};
use synod_certs::{CertificateOf, alert_of_quic_code, explain_alert};

/// Why one side closes a connection on purpose. The code travels in QUIC's application close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The run is over.
    Finished,
    /// This side stops: a person or a signal ended it.
    Leaving,
    /// The certificate is of a role that may not do this.
    Role,
    /// The same site connected again; the newer connection counts.
    Replaced,
    /// The peer broke the protocol.
    Protocol,
    /// The peer said nothing for too long.
    Silent,
    /// There is no room for another connection.
    Full,
    /// The peer is no member in good standing: unknown, suspended, revoked, or its certificate has expired.
    Expelled,
}

const REASONS: [CloseReason; 8] = [
    CloseReason::Finished,
    CloseReason::Leaving,
    CloseReason::Role,
    CloseReason::Replaced,
    CloseReason::Protocol,
    CloseReason::Silent,
    CloseReason::Full,
    CloseReason::Expelled,
];

impl CloseReason {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            // Not 0: that is what a connection that is merely dropped says.
            Self::Finished => 1,
            Self::Leaving => 2,
            Self::Role => 3,
            Self::Replaced => 4,
            Self::Protocol => 5,
            Self::Silent => 6,
            Self::Full => 7,
            Self::Expelled => 8,
        })
    }

    /// The reason behind a code.
    #[must_use]
    pub fn from_code(code: VarInt) -> Option<Self> {
        REASONS.into_iter().find(|r| r.code() == code)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Finished => "the run is over",
            Self::Leaving => "the other side was stopped",
            Self::Role => {
                "the certificate is of a role that may not do this; use a site's identity for a client and a coordinator's for a coordinator"
            }
            Self::Replaced => {
                "the same site connected again and the newer connection counts; run one client per identity"
            }
            Self::Protocol => {
                "the other side says that this one broke the protocol; use the same Synod release on both sides, and report this if it is the same"
            }
            Self::Silent => "the other side heard nothing for too long",
            Self::Expelled => "the coordinator does not count this machine among its members in good standing",
            Self::Full => "the coordinator has as many connections as it takes; try again later",
        }
    }
}

/// A connection's end in words: what, why, what to do.
#[must_use]
pub fn explain_connection_error(error: &ConnectionError) -> String {
    match error {
        ConnectionError::VersionMismatch => {
            "the other side speaks no common QUIC version; check the address".to_owned()
        }
        ConnectionError::TransportError(e) => match alert_of_quic_code(e.code.into()) {
            // This side sent the alert: the peer's certificate is at fault.
            Some(alert) => with_detail(&explain_alert(alert, CertificateOf::Peer).to_string(), &e.reason),
            None => format!("QUIC failed: {e}"),
        },
        ConnectionError::ConnectionClosed(close) => match alert_of_quic_code(close.error_code.into()) {
            Some(alert) => explain_alert(alert, CertificateOf::ThisMachine).to_string(),
            None => format!("the other side ended the connection: {close}"),
        },
        ConnectionError::ApplicationClosed(close) => {
            let detail = String::from_utf8_lossy(&close.reason).into_owned();
            match CloseReason::from_code(close.error_code) {
                Some(reason) => with_detail(reason.text(), &detail),
                None => with_detail("the other side ended the connection", &detail),
            }
        }
        ConnectionError::Reset => "the other side was restarted and does not know this connection any more".to_owned(),
        ConnectionError::TimedOut => {
            "nothing came from the other side for too long; check that it runs and that UDP gets through".to_owned()
        }
        ConnectionError::LocallyClosed => "this side ended the connection".to_owned(),
        ConnectionError::CidsExhausted => "QUIC ran out of connection ids".to_owned(),
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    let detail: String = detail.chars().filter(|c| !c.is_control()).take(300).collect();
    if detail.is_empty() { text.to_owned() } else { format!("{text} ({detail})") }
}
