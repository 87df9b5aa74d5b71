//! rustls configurations for QUIC, made from an identity.
//!
//! - TLS 1.3 only. Key exchange is X25519MLKEM768, which a quantum computer built later cannot undo for what was recorded today;
//!   X25519 and P-256 remain for middle boxes and for peers without it.
//! - Both sides show a certificate of the same authority; the system's own list of trusted authorities plays no part.
//! - A coordinator is recognised by authority, role and the fixed name [`SERVER_NAME`](crate::SERVER_NAME), never by its address.
//! - No session resumption, no tickets, no early data: every connection shows its certificate again, so a revocation is felt at
//!   the next handshake and nothing can be replayed.
//! - The cryptography is given explicitly and never through the process-wide default, which another library could have set.

mod clock;
mod config;
mod pinned;
pub(crate) mod verifier;

pub use clock::{Clock, fixed_clock, system_clock};
pub use config::{ALPN, Protocol, TlsError, client, client_for, enrolling_server, joining, server};
pub use pinned::{Dates, Pin, pinned_authority};

pub use rustls::pki_types::UnixTime;
pub use rustls::time_provider::TimeProvider;
pub use rustls::{ClientConfig, ServerConfig};
