//! The configurations and the cryptography they use.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, ServerConfig};

use super::clock::Clock;
use super::pinned::{Dates, Pin, PinnedVerifier};
use super::verifier::{ClientVerifier, CoordinatorVerifier, Expiry};
use crate::identity::Identity;
use crate::role::Role;

/// The protocol both sides must name in the handshake; another version of Synod that cannot talk to this one has another.
pub const ALPN: &[u8] = b"synod/3";

/// Why an identity gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Its role does not allow this side.
    #[error(
        "could not {purpose} as {role} {name}: {needed}; name the folder of another identity, or make one with `synod certs`"
    )]
    Role {
        /// What was to be done.
        purpose: &'static str,
        /// The role of the identity.
        role: Role,
        /// Its name.
        name: String,
        /// Which roles can.
        needed: &'static str,
    },
    /// The TLS library refused the identity or the settings.
    #[error("could not prepare TLS: {0}; make the identity again with `synod certs`, and report this if it comes back")]
    Setup(#[source] rustls::Error),
}

/// What a connection is for. Both sides name it in the handshake (ALPN); one that a side does not know is refused there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Taking part in a run.
    Run,
    /// Enrolling, renewing, and asking a coordinator for its version. It changes as seldom as possible, so that programs of
    /// different releases can tell each other which one to upgrade.
    Join,
    /// Commands of an operator, questions of an observer.
    Admin,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Run, Self::Join, Self::Admin];

    /// Its name in the handshake.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Run => ALPN,
            Self::Join => b"synod-join/1",
            Self::Admin => b"synod-admin/1",
        }
    }

    /// The protocol behind a name.
    #[must_use]
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == name)
    }
}

/// How a coordinator meets those who connect.
///
/// # Errors
/// When `identity` is not a coordinator's.
pub fn server(identity: &Identity, clock: Clock) -> Result<Arc<ServerConfig>, TlsError> {
    let key = identity.certified_key().map_err(TlsError::Setup)?;
    server_for(identity, Expiry::Strict, key, &[Protocol::Run], clock)
}

/// How a coordinator meets those who connect when it enrols sites too: it speaks every [`Protocol`], shows the authorities by which
/// it may be pinned, and lets through who has no certificate or one that expired less than `grace` ago.
///
/// Whoever accepts the connection must look at protocol, certificate and date: without a valid certificate nothing but
/// [`Protocol::Join`] may go on.
///
/// # Errors
/// When `identity` is not a coordinator's.
pub fn enrolling_server(identity: &Identity, grace: Duration, clock: Clock) -> Result<Arc<ServerConfig>, TlsError> {
    let key = identity.certified_key().map_err(TlsError::Setup)?;
    let mut shown = CertifiedKey::clone(&key);
    shown.cert.extend(identity.authorities().iter().cloned());
    server_for(identity, Expiry::GraceOrNone(grace), Arc::new(shown), &Protocol::ALL, clock)
}

fn server_for(
    identity: &Identity,
    expiry: Expiry,
    key: Arc<CertifiedKey>,
    protocols: &[Protocol],
    clock: Clock,
) -> Result<Arc<ServerConfig>, TlsError> {
    if identity.role() != Role::Coordinator {
        return Err(wrong_role(identity, "serve", "only a coordinator can"));
    }
    let provider = provider();
    let verifier = ClientVerifier::new(identity.authorities(), &provider, expiry).map_err(TlsError::Setup)?;
    let mut config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.alpn().to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// How everybody else meets a coordinator to take part in a run.
///
/// The name given when connecting goes out in the clear as the server name and is otherwise ignored: give
/// [`SERVER_NAME`](crate::SERVER_NAME), which is the name that is checked in any case.
///
/// # Errors
/// When `identity` is a coordinator's.
pub fn client(identity: &Identity, clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    client_for(identity, Protocol::Run, clock)
}

/// How everybody else meets a coordinator for `protocol`.
///
/// # Errors
/// When `identity` is a coordinator's.
pub fn client_for(identity: &Identity, protocol: Protocol, clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    if identity.role() == Role::Coordinator {
        return Err(wrong_role(identity, "connect", "only a site, an operator or an observer can"));
    }
    let verifier = CoordinatorVerifier::new(identity.authorities(), &provider()).map_err(TlsError::Setup)?;
    let key = identity.certified_key().map_err(TlsError::Setup)?;
    let config =
        connecting(Arc::new(verifier), clock)?.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    Ok(finished(config, protocol))
}

/// How somebody without an identity meets a coordinator to get one. The coordinator is trusted by the pinned key of its authority.
///
/// # Errors
/// When the TLS library refuses the settings.
pub fn joining(pin: Pin, dates: Dates, clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = PinnedVerifier { pin, dates, provider: provider() };
    Ok(finished(connecting(Arc::new(verifier), clock)?.with_no_client_auth(), Protocol::Join))
}

fn connecting(
    verifier: Arc<dyn ServerCertVerifier>,
    clock: Clock,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    Ok(ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .dangerous() // rustls calls every verifier but its own so; ours are its own plus the role or the pin
        .with_custom_certificate_verifier(verifier))
}

fn finished(mut config: ClientConfig, protocol: Protocol) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}

/// The cryptography: strongest first, and with `TLS13_AES_128_GCM_SHA256`, in which QUIC encrypts its first packets.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    })
}

fn wrong_role(identity: &Identity, purpose: &'static str, needed: &'static str) -> TlsError {
    TlsError::Role { purpose, role: identity.role(), name: identity.name().to_string(), needed }
}
