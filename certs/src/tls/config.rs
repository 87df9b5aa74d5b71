//! The two configurations and the cryptography they use.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use super::clock::Clock;
use super::verifier::{ClientVerifier, CoordinatorVerifier};
use crate::identity::Identity;
use crate::role::Role;

/// The protocol both sides must name in the handshake; another version of Synod that cannot talk to this one has another.
pub const ALPN: &[u8] = b"synod/2";

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

/// How a coordinator meets those who connect.
///
/// # Errors
/// When `identity` is not a coordinator's.
pub fn server(identity: &Identity, clock: Clock) -> Result<Arc<ServerConfig>, TlsError> {
    if identity.role() != Role::Coordinator {
        return Err(wrong_role(identity, "serve", "only a coordinator can"));
    }
    let provider = provider();
    let verifier = ClientVerifier::new(identity.authority(), &provider).map_err(TlsError::Setup)?;
    let key = identity.certified_key().map_err(TlsError::Setup)?;
    let mut config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// How everybody else meets a coordinator.
///
/// The name given when connecting goes out in the clear as the server name and is otherwise ignored: give
/// [`SERVER_NAME`](crate::SERVER_NAME), which is the name that is checked in any case.
///
/// # Errors
/// When `identity` is a coordinator's.
pub fn client(identity: &Identity, clock: Clock) -> Result<Arc<ClientConfig>, TlsError> {
    if identity.role() == Role::Coordinator {
        return Err(wrong_role(identity, "connect", "only a site, an operator or an observer can"));
    }
    let provider = provider();
    let verifier = CoordinatorVerifier::new(identity.authority(), &provider).map_err(TlsError::Setup)?;
    let key = identity.certified_key().map_err(TlsError::Setup)?;
    let mut config = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .dangerous() // rustls calls every verifier but its own so; ours is its own plus the role
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
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
