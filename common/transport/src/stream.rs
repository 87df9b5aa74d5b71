//! Frames and block streams on QUIC streams.

use bytes::Bytes;
use quinn::{ReadExactError, RecvStream, SendStream};
use synod_common::blocks::values_digest;
use synod_common::wire::{
    DIGEST_BYTES, FRAME_HEADER_BYTES, FrameError, FrameHeader, Message, ValueReader, ValuesError, chunks, decode,
    encode,
};

use crate::close::explain_connection_error;

/// Why a frame or a block stream did not come or go.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The peer's bytes are no such message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer's bytes are no such values.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// The stream ended where more was expected.
    #[error("the stream ended in the middle of a message")]
    Ended,
    /// The peer gave the stream up.
    #[error("the other side gave up the transfer")]
    Stopped,
    /// Too little came in the time that a transfer is given.
    #[error("too little came for {0} s; what came is kept, and the rest may be sent later")]
    Slow(u64),
    /// The connection is gone.
    #[error("the connection is gone: {0}")]
    Connection(String),
}

impl StreamError {
    /// Whether the peer is at fault, rather than the line.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Values(_))
    }
}

impl From<quinn::WriteError> for StreamError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(_) | quinn::WriteError::ClosedStream => Self::Stopped,
            quinn::WriteError::ConnectionLost(e) => Self::Connection(explain_connection_error(&e)),
            quinn::WriteError::ZeroRttRejected => Self::Connection("early data was refused".to_owned()),
        }
    }
}

impl From<quinn::ReadError> for StreamError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(_) | quinn::ReadError::ClosedStream => Self::Stopped,
            quinn::ReadError::ConnectionLost(e) => Self::Connection(explain_connection_error(&e)),
            quinn::ReadError::IllegalOrderedRead => Self::Ended,
            quinn::ReadError::ZeroRttRejected => Self::Connection("early data was refused".to_owned()),
        }
    }
}

impl From<ReadExactError> for StreamError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => Self::Ended,
            ReadExactError::ReadError(e) => e.into(),
        }
    }
}

/// Sends one message.
///
/// # Errors
/// When the message breaks its rules or the connection is gone.
pub async fn send<M: Message>(stream: &mut SendStream, message: &M) -> Result<(), StreamError> {
    let frame = encode(message)?;
    stream.write_chunk(Bytes::from(frame)).await?;
    Ok(())
}

/// Receives a frame's header; `None` where the stream ended before one.
///
/// # Errors
/// When the header is refused or the connection is gone.
pub async fn receive_header(stream: &mut RecvStream) -> Result<Option<FrameHeader>, StreamError> {
    let mut header = [0; FRAME_HEADER_BYTES];
    match stream.read_exact(&mut header).await {
        Ok(()) => Ok(Some(FrameHeader::parse(header)?)),
        Err(ReadExactError::FinishedEarly(0)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Receives the body that belongs to `header`.
///
/// # Errors
/// When it is of another kind, is refused, or the connection is gone.
pub async fn receive_body<M: Message>(stream: &mut RecvStream, header: FrameHeader) -> Result<M, StreamError> {
    let header = header.expect::<M>()?;
    // Within the kind's limit: the header was checked.
    let mut body = vec![0; header.body_bytes];
    stream.read_exact(&mut body).await?;
    Ok(decode(&body)?)
}

/// Receives one message of the expected kind.
///
/// # Errors
/// When something else comes, nothing comes, or the connection is gone.
pub async fn receive<M: Message>(stream: &mut RecvStream) -> Result<M, StreamError> {
    match receive_header(stream).await? {
        Some(header) => receive_body(stream, header).await,
        None => Err(StreamError::Ended),
    }
}

/// Sends values as a block stream.
///
/// # Errors
/// When the connection is gone or the peer gave up.
pub async fn send_values(stream: &mut SendStream, values: &[f32]) -> Result<(), StreamError> {
    for chunk in chunks(values) {
        stream.write_all(&chunk).await?;
    }
    stream.write_all(&values_digest(values).0).await?;
    Ok(())
}

/// Sends the bytes of `vectors`, one after the other, from byte `offset` on and without a digest.
///
/// # Errors
/// When the connection is gone or the peer gave up.
pub async fn send_vectors_from(stream: &mut SendStream, vectors: &[&[f32]], offset: u64) -> Result<(), StreamError> {
    let mut at = 0;
    for chunk in vectors.iter().flat_map(|values| chunks(values)) {
        let skipped = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
        if let Some(rest) = chunk.get(skipped..) {
            stream.write_all(rest).await?;
        }
        at += chunk.len() as u64;
    }
    Ok(())
}

/// Receives exactly `values.len()` values and their digest.
///
/// # Errors
/// When too few come, they are damaged, or the connection is gone.
pub async fn receive_values(stream: &mut RecvStream, values: &mut [f32]) -> Result<(), StreamError> {
    let mut reader = ValueReader::new(values);
    while reader.missing_bytes() > 0 {
        let chunk = stream.read_chunk(reader.missing_bytes().min(synod_common::wire::CHUNK_BYTES), true).await?;
        reader.push(&chunk.ok_or(StreamError::Ended)?.bytes)?;
    }
    let mut digest = [0; DIGEST_BYTES];
    stream.read_exact(&mut digest).await?;
    reader.finish(digest)?;
    Ok(())
}
