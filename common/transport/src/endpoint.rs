//! UDP sockets and QUIC settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    ClientConfig, Connecting, Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig,
    VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use socket2::{Domain, Protocol, Socket, Type};
use synod_certs::{Identity, SERVER_NAME, Zeroizing, tls};

/// Bytes of the kernel's buffers: with the default of about 200 KiB bursts overflow and QUIC takes it for a bad path.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// The datagram size on loopback, where it doubles the speed. More than 6500 loses whole trains of datagrams to the
/// kernel's 64 KiB limit on segmentation offload.
const LOOPBACK_MTU: u16 = 6500;
/// Largest datagram accepted.
const DATAGRAM_BYTES_MAX: u16 = 65_527;
/// A connection without a sign of life for this long is gone.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// A sign of life is sent this often; training never delays it, since it has threads of its own.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// On loopback it costs nothing, and a coordinator that was started again is noticed at once.
const KEEP_ALIVE_LOOPBACK: Duration = Duration::from_millis(200);
/// Streams a peer may open at a time: the client a control and an update stream, the coordinator tasks.
const STREAMS_MAX: u32 = 4;
/// Bytes in flight per stream and per connection: 100 ms at 1 Gbit/s, and a bound on what a peer can make us hold.
const WINDOW_BYTES: u32 = 12 << 20;

/// Bytes that a stranger may have in flight: its question is smaller.
const STRANGER_WINDOW_BYTES: u32 = 64 << 10;

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Another program has the port.
    #[error("cannot listen on {address}: another program uses this UDP port; stop it or choose another with --listen")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address is not this machine's, or needs rights.
    #[error("cannot open a UDP socket on {address}: {source}; choose an address of this machine and a port above 1023")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The identity cannot be used for this.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The QUIC library refused the settings.
    #[error("cannot set up QUIC: {0}; this is a bug, please report it")]
    Quic(String),
}

fn transport(loopback: bool) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(IdleTimeout::try_from(IDLE_MAX).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .datagram_receive_buffer_size(None);
    if loopback {
        config.initial_mtu(LOOPBACK_MTU).min_mtu(1200).keep_alive_interval(Some(KEEP_ALIVE_LOOPBACK));
    }
    config
}

fn socket(address: SocketAddr) -> Result<std::net::UdpSocket, EndpointError> {
    let bind = || -> std::io::Result<std::net::UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // The kernel may grant less than asked for; that only costs speed.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        if address.is_ipv6() {
            // [::] then takes IPv4 too, where the system allows it.
            let _ = socket.set_only_v6(false);
        }
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    bind().map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => EndpointError::InUse { address },
        _ => EndpointError::Bind { address, source },
    })
}

/// Lets an endpoint say, after its process was started again, that it knows nothing of a connection any more: the peer hears it with
/// its next packet and connects anew, and need not wait until the silence is too long.
fn lasting(identity: &Identity) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(identity.derive_secret("synod 2026 stateless reset"))));
    let ids = identity.derive_secret("synod 2026 connection ids");
    let key = ids.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}

/// The key of the tokens by which a peer knows that a reset comes from whom it spoke to.
struct ResetKey(Zeroizing<[u8; 32]>);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        blake3::Hasher::new_keyed(&self.0).update(data).finalize_xof().fill(signature_out);
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; blake3::OUT_LEN];
        self.sign(data, &mut expected);
        // Comparing hashes takes constant time.
        let found: [u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| CryptoError)?;
        if blake3::Hash::from(expected) == blake3::Hash::from(found) { Ok(()) } else { Err(CryptoError) }
    }
}

fn endpoint(
    address: SocketAddr,
    mut config: EndpointConfig,
    server: Option<ServerConfig>,
) -> Result<Endpoint, EndpointError> {
    config.max_udp_payload_size(DATAGRAM_BYTES_MAX).map_err(|e| EndpointError::Quic(e.to_string()))?;
    Endpoint::new(config, server, socket(address)?, Arc::new(TokioRuntime))
        .map_err(|source| EndpointError::Bind { address, source })
}

/// Whom a coordinator lets through the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Who has a valid certificate.
    Members,
    /// Also who has none, or one that expired less than `grace` ago: see [`tls::enrolling_server`]. The bytes that one of them may
    /// have in flight stay few until [`let_in`] is called.
    Enrolling {
        /// How long ago.
        grace: Duration,
    },
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This machine itself, which takes larger datagrams.
    Loopback,
    /// Anywhere.
    Anywhere,
}

/// The configuration of a coordinator for connections from `origin`.
///
/// # Errors
/// When the identity is not a coordinator's.
pub fn server_config(identity: &Identity, entry: Entry, origin: Origin) -> Result<Arc<ServerConfig>, EndpointError> {
    let mut transport = transport(origin == Origin::Loopback);
    let tls = match entry {
        Entry::Members => tls::server(identity, tls::system_clock())?,
        Entry::Enrolling { grace } => {
            transport.receive_window(VarInt::from_u32(STRANGER_WINDOW_BYTES));
            tls::enrolling_server(identity, grace, tls::system_clock())?
        }
    };
    let crypto = QuicServerConfig::try_from(tls).map_err(|e| EndpointError::Quic(e.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(Arc::new(config))
}

/// Gives a connection of a member the window that its updates need.
pub fn let_in(connection: &quinn::Connection) {
    connection.set_receive_window(VarInt::from_u32(WINDOW_BYTES));
}

/// Listens on `address` with the coordinator's identity; port 0 lets the system choose.
///
/// # Errors
/// When the port is taken, the address is not this machine's, or the identity is not a coordinator's.
pub fn bind_server(identity: &Identity, entry: Entry, address: SocketAddr) -> Result<Endpoint, EndpointError> {
    let config = server_config(identity, entry, Origin::Anywhere)?;
    endpoint(address, lasting(identity), Some(ServerConfig::clone(&config)))
}

/// An endpoint to connect from, on a port the system chooses, of the same address family as `remote`.
///
/// # Errors
/// When no socket can be opened.
pub fn bind_client(remote: SocketAddr) -> Result<Endpoint, EndpointError> {
    let any: IpAddr = match remote.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    endpoint(SocketAddr::new(any, 0), EndpointConfig::default(), None)
}

/// Begins to connect to the coordinator at `remote`.
///
/// # Errors
/// When the identity is not a site's or QUIC refuses the address.
pub fn connect(endpoint: &Endpoint, identity: &Identity, remote: SocketAddr) -> Result<Connecting, EndpointError> {
    connect_with(endpoint, tls::client(identity, tls::system_clock())?, remote)
}

/// Begins to connect to the coordinator at `remote` as `tls` says.
///
/// # Errors
/// When QUIC refuses the settings or the address.
pub fn connect_with(
    endpoint: &Endpoint,
    tls: Arc<tls::ClientConfig>,
    remote: SocketAddr,
) -> Result<Connecting, EndpointError> {
    let crypto = QuicClientConfig::try_from(tls).map_err(|e| EndpointError::Quic(e.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(remote.ip().is_loopback())));
    endpoint.connect_with(config, remote, SERVER_NAME).map_err(|e| EndpointError::Quic(e.to_string()))
}
