//! Who is who: a private authority, the identities it issues, and the rustls configurations made from them.
//!
//! ```text
//!   the site's machine                         the operator's machine
//!   Identity::generate() ── request ─────────► Authority::issue(request, subject)
//!        PendingIdentity ◄─ certificate ──────        │
//!        │ accept                                     │ signs with the authority's key
//!   Identity ── save/load ── folder            Authority ── save/load ── folder
//!        │
//!        ├─► tls::client(…)  ◄── mutual TLS 1.3 ──►  tls::server(…)
//!        └─► the other side learns a PeerIdentity: role, name, key fingerprint
//! ```
//!
//! - An identity is a name and a key, certified by one authority. It does not depend on a build, a project or a plan, so
//!   changing any of those never needs a new certificate.
//! - Private keys are made on the machine that uses them and never leave it; what travels is a certificate request.
//! - Nothing here reads the clock: times come in as arguments, and the TLS configurations are given a [`tls::Clock`].
//! - Not here: sockets, who is invited, who is revoked. A revoked site holds a certificate that is still valid, so whoever accepts
//!   connections looks the [`PeerIdentity`] up after each handshake; sessions are never resumed, so there always is one.

mod authority;
mod explain;
mod files;
mod identity;
mod invitation;
mod key;
mod passphrase;
mod peer;
mod request;
mod role;
mod throwaway;
pub mod tls;
mod when;

pub use authority::{
    Authority, AuthorityError, CLOCK_SKEW_ALLOWANCE, RotationProblem, VALIDITY_MAX, VALIDITY_MIN, authority_key,
    trusted_after,
};
pub use explain::{CertificateOf, Explanation, alert_of_quic_code, explain, explain_alert};
pub use files::{
    FileError, Overwrite, PEM_FILE_BYTES_MAX, make_folder, read_certificates, write_certificates, write_secret,
};
pub use identity::{Identity, IdentityError, IdentityProblem, PendingIdentity};
pub use invitation::{Token, TokenDigest, TokenError};
pub use passphrase::{PASSPHRASE_CHARS_MIN, Passphrase, PassphraseError};
pub use peer::{CERTIFICATE_BYTES_MAX, FingerprintError, KeyFingerprint, PeerError, PeerIdentity, peer_of};
pub use request::{REQUEST_BYTES_MAX, RequestProblem, request_key};
pub use role::{Role, RoleError, SERVER_NAME, Subject};
pub use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, ServerName};
pub use throwaway::{Throwaway, ThrowawayError, throwaway};
pub use zeroize::Zeroizing;
