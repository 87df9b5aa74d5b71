//! Handshake errors in words for people: what failed, why, what to do.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::peer::PeerError;
use crate::when;

/// A handshake error in words. Shown as `what: why; help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what, self.why, self.help)
    }
}

/// Whose certificate a TLS alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateOf {
    /// This machine's: the alert came from the peer.
    ThisMachine,
    /// The peer's: this machine sent the alert.
    Peer,
}

/// Explains an error of the TLS library on this machine.
#[must_use]
pub fn explain(error: &Error) -> Explanation {
    match error {
        Error::InvalidCertificate(problem) => explain_certificate(problem),
        Error::AlertReceived(alert) => explain_alert(u8::from(*alert), CertificateOf::ThisMachine),
        Error::NoCertificatesPresented => refused_peer(
            "it showed no certificate",
            "give the client on the other side its identity folder, which `synod certs` makes",
        ),
        Error::NoApplicationProtocol => explanation(
            "the handshake failed",
            "the other side speaks another protocol version, or is no synod at all",
            "check the address, and upgrade the older side so that both run the same version",
        ),
        Error::PeerIncompatible(problem) => explain_incompatible(problem),
        Error::FailedToGetCurrentTime => explanation(
            "the handshake failed",
            "this machine's clock gave no time",
            "set the clock of this machine and try again",
        ),
        other => explanation(
            "the handshake failed",
            &other.to_string(),
            "check that both sides run the same version of synod; if they do, report this",
        ),
    }
}

/// Explains a TLS alert, known by the number it has in the standard.
#[must_use]
pub fn explain_alert(alert: u8, about: CertificateOf) -> Explanation {
    let (what, whose, there) = match about {
        CertificateOf::ThisMachine => ("the peer refused this machine", "this machine's", "on this machine"),
        CertificateOf::Peer => ("this machine refused the peer", "the peer's", "on the other side"),
    };
    let (why, help) = match AlertDescription::from(alert) {
        AlertDescription::CertificateExpired => (
            format!("{whose} certificate has expired or is not valid yet"),
            format!(
                "check the clocks of both machines; if they are right, get a new certificate {there} (`synod certs`)"
            ),
        ),
        // A certificate of an authority with the same name fails at its signature, hence DecryptError.
        AlertDescription::UnknownCA | AlertDescription::DecryptError => (
            format!("{whose} certificate was signed by another authority"),
            format!("use an identity from the authority of this federation {there}"),
        ),
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => (
            "no certificate was shown".to_owned(),
            format!("give synod its identity folder {there}, which `synod certs` makes"),
        ),
        AlertDescription::UnsupportedCertificate | AlertDescription::CertificateUnknown => (
            format!("{whose} certificate is for another role"),
            format!("use a coordinator's identity to serve and a site's, operator's or observer's to connect {there}"),
        ),
        AlertDescription::CertificateRevoked | AlertDescription::AccessDenied => {
            (format!("{whose} identity was revoked or suspended"), "ask the operator of the federation".to_owned())
        }
        AlertDescription::BadCertificate => (
            format!("{whose} certificate is damaged or is not one of synod's"),
            format!("make the identity {there} again with `synod certs`"),
        ),
        AlertDescription::NoApplicationProtocol
        | AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => (
            "the two sides speak no common protocol version".to_owned(),
            "check the address, and upgrade the older side so that both run the same version".to_owned(),
        ),
        other => (
            format!("the TLS alert was {other:?} ({alert})"),
            "check that both sides run the same version of synod; if they do, report this".to_owned(),
        ),
    };
    explanation(what, &why, &help)
}

/// The TLS alert in a QUIC close code, or `None` when the code means something else (RFC 9001, section 4.8).
#[must_use]
pub fn alert_of_quic_code(code: u64) -> Option<u8> {
    code.checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())
}

fn explain_certificate(problem: &CertificateError) -> Explanation {
    match problem {
        CertificateError::ExpiredContext { time, not_after } => {
            let (now, end) = (to_system_time(*time), to_system_time(*not_after));
            refused_peer(
                &format!(
                    "its certificate expired on {}, {} ago by this machine's clock",
                    when::text(end),
                    when::span(when::between(end, now))
                ),
                "get a new certificate on the other side (`synod certs`), or set this machine's clock if it is wrong",
            )
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (now, start) = (to_system_time(*time), to_system_time(*not_before));
            refused_peer(
                &format!(
                    "its certificate is valid from {}, in {} by this machine's clock",
                    when::text(start),
                    when::span(when::between(now, start))
                ),
                "set the clock of the machine that is wrong, this one or the one that signed",
            )
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => refused_peer(
            "its certificate was signed by another authority, or it does not hold the key of its certificate",
            "use identities from the same authority on both sides",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => refused_peer(
            "its certificate is for another role",
            "serve with a coordinator's identity, connect with a site's, an operator's or an observer's",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => refused_peer(
            "its certificate does not carry the name of a coordinator",
            "check the address; if it is right, make the coordinator's identity again with `synod certs`",
        ),
        CertificateError::Other(other) => match other.0.downcast_ref::<PeerError>() {
            Some(ours) => refused_peer(&ours.to_string(), "see which identity folder the other side uses"),
            None => damaged(&other.to_string()),
        },
        // Expired and NotValidYet without their times included: explaining them as an alert loses nothing.
        CertificateError::Expired | CertificateError::NotValidYet | CertificateError::Revoked => {
            explain_alert(u8::from(AlertDescription::from(problem.clone())), CertificateOf::Peer)
        }
        other => damaged(&other.to_string()),
    }
}

fn explain_incompatible(problem: &PeerIncompatible) -> Explanation {
    match problem {
        PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => refused_peer(
            "it does not speak TLS 1.3",
            "check the address and what stands between the two machines; synod never speaks an older version",
        ),
        other => refused_peer(
            &format!("the two sides have no cryptography in common ({other:?})"),
            "run the same version of synod on both sides",
        ),
    }
}

fn damaged(why: &str) -> Explanation {
    refused_peer(
        &format!("its certificate is damaged or is not one of synod's ({why})"),
        "make the identity on the other side again with `synod certs`",
    )
}

fn refused_peer(why: &str, help: &str) -> Explanation {
    explanation("this machine refused the peer", why, help)
}

fn explanation(what: &str, why: &str, help: &str) -> Explanation {
    Explanation { what: what.to_owned(), why: why.to_owned(), help: help.to_owned() }
}

fn to_system_time(time: UnixTime) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs())).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_an_explanation_on_both_sides() {
        for alert in 0..=u8::MAX {
            for about in [CertificateOf::ThisMachine, CertificateOf::Peer] {
                let told = explain_alert(alert, about);
                assert!(!told.what.is_empty() && !told.why.is_empty() && !told.help.is_empty(), "{told}");
            }
        }
    }

    #[test]
    fn expiry_is_told_with_its_date() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let error =
            CertificateError::ExpiredContext { time: at(1_795_502_530 + 172_800), not_after: at(1_795_502_530) };
        let told = explain(&Error::InvalidCertificate(error)).to_string();
        assert!(told.contains("expired on 2026-11-24 06:42:10 UTC, 2 days ago"), "{told}");
    }

    #[test]
    fn quic_codes_hold_alerts_from_256_on() {
        assert_eq!(alert_of_quic_code(0x100 + 45), Some(45));
        assert_eq!(alert_of_quic_code(0), None);
        assert_eq!(alert_of_quic_code(0x200), None);
        assert_eq!(alert_of_quic_code(u64::MAX), None);
    }
}
