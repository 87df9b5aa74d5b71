//! Frames and block streams over QUIC, the same for coordinator and client.
//!
//! What bytes mean is decided in [`synod_common::wire`], who may speak in [`synod_certs`]; here they meet quinn. Not here:
//! what to do with a message, when to reconnect.

mod ask;
mod close;
mod endpoint;
mod stream;

pub use ask::{Line, LineError, ask, peer_certificates, protocol_of};
pub use close::{CloseReason, explain_connection_error};
pub use endpoint::{
    EndpointError, Entry, Origin, bind_client, bind_server, connect, connect_with, let_in, server_config,
};
pub use stream::{
    StreamError, receive, receive_body, receive_header, receive_values, send, send_values, send_vectors_from,
};
