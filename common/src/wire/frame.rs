//! Frames: a header of six bytes and a bincode body.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};

use super::messages::{Kind, Message};

/// The protocol version in every frame of a run, and the number behind `synod/` in the connection's ALPN name.
pub const PROTOCOL_VERSION: u8 = 3;
/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 6;

/// Most bytes that decoding one body may claim, whatever lengths it states inside: twice the longest plan. Without it a
/// forged length would abort the process in the allocator.
const CLAIM_BYTES_MAX: usize = 2 << 20;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<CLAIM_BYTES_MAX>> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<CLAIM_BYTES_MAX>();

/// Why bytes are no frame, or no message of the expected kind. All of these are the peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another protocol version.
    #[error(
        "the peer speaks protocol version {0}, this program speaks {PROTOCOL_VERSION}: use the same Synod release on both sides"
    )]
    Version(u8),
    /// A kind that does not exist.
    #[error("a frame has the unknown kind {0}")]
    UnknownKind(u8),
    /// A kind that does not belong here.
    #[error("a frame of kind {found:?} came where {expected:?} was expected")]
    UnexpectedKind {
        /// What came.
        found: Kind,
        /// What belongs there.
        expected: Kind,
    },
    /// A length above the kind's limit; nothing was allocated.
    #[error("a frame of kind {kind:?} claims {bytes} bytes, at most {limit} are allowed")]
    TooLong {
        /// The kind.
        kind: Kind,
        /// The claimed length.
        bytes: u64,
        /// The kind's limit.
        limit: usize,
    },
    /// A body that is not the message's encoding, or has bytes left over.
    #[error("the body of a frame of kind {kind:?} cannot be read: {reason}")]
    Body {
        /// The kind.
        kind: Kind,
        /// What is wrong with it.
        reason: String,
    },
    /// A message whose values break its rules.
    #[error("a message of kind {kind:?} breaks its rules: {reason}")]
    Rules {
        /// The kind.
        kind: Kind,
        /// Which rule.
        reason: String,
    },
}

/// A checked frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body is.
    pub kind: Kind,
    /// Bytes of the body, within the kind's limit.
    pub body_bytes: usize,
}

impl FrameHeader {
    /// Reads and checks a header, before anything is allocated for the body.
    ///
    /// # Errors
    /// Another version, an unknown kind, or a length above the kind's limit.
    pub fn parse(header: [u8; FRAME_HEADER_BYTES]) -> Result<Self, FrameError> {
        let [version, kind, a, b, c, d] = header;
        let known = Kind::from_byte(kind);
        if version != known.map_or(PROTOCOL_VERSION, Kind::version) {
            return Err(FrameError::Version(version));
        }
        let kind = known.ok_or(FrameError::UnknownKind(kind))?;
        let claimed = u32::from_le_bytes([a, b, c, d]);
        let limit = kind.body_bytes_max();
        match usize::try_from(claimed) {
            Ok(body_bytes) if body_bytes <= limit => Ok(Self { kind, body_bytes }),
            _ => Err(FrameError::TooLong { kind, bytes: u64::from(claimed), limit }),
        }
    }

    /// This header, if it is of the message `M`.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn expect<M: Message>(self) -> Result<Self, FrameError> {
        if self.kind == M::KIND {
            Ok(self)
        } else {
            Err(FrameError::UnexpectedKind { found: self.kind, expected: M::KIND })
        }
    }
}

/// The whole frame of a message.
///
/// # Errors
/// When the message is longer than its kind allows or breaks its own rules: a mistake on this side.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, FrameError> {
    let kind = M::KIND;
    message.check().map_err(|reason| FrameError::Rules { kind, reason })?;
    let mut frame = vec![kind.version(), kind.to_byte(), 0, 0, 0, 0];
    bincode::serde::encode_into_std_write(message, &mut frame, CONFIG)
        .map_err(|e| FrameError::Body { kind, reason: e.to_string() })?;
    let body_bytes = frame.len() - FRAME_HEADER_BYTES;
    let limit = kind.body_bytes_max();
    match u32::try_from(body_bytes) {
        Ok(length) if body_bytes <= limit => {
            frame[2..FRAME_HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
            Ok(frame)
        }
        _ => Err(FrameError::TooLong { kind, bytes: body_bytes as u64, limit }),
    }
}

/// Reads the body of a message. `body` is exactly as long as the frame's header said.
///
/// # Errors
/// When the bytes are no such message, some are left over, or the message breaks its rules.
pub fn decode<M: Message>(body: &[u8]) -> Result<M, FrameError> {
    let kind = M::KIND;
    let limit = kind.body_bytes_max();
    if body.len() > limit {
        return Err(FrameError::TooLong { kind, bytes: body.len() as u64, limit });
    }
    let (message, used): (M, usize) = bincode::serde::decode_from_slice(body, CONFIG)
        .map_err(|e| FrameError::Body { kind, reason: e.to_string() })?;
    if used != body.len() {
        return Err(FrameError::Body { kind, reason: format!("{} bytes are left over", body.len() - used) });
    }
    message.check().map_err(|reason| FrameError::Rules { kind, reason })?;
    Ok(message)
}
