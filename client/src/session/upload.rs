//! One attempt to send an update, from where the coordinator has it.

use std::sync::Arc;

use quinn::Connection;
use synod_common::blocks::vectors_digest;
use synod_common::update::Update;
use synod_common::wire::{Answer, Grant, Offer};
use synod_transport::{StreamError, explain_connection_error, receive, send, send_vectors_from};

use super::actions::SiteEvent;
use super::run::Watch;
use crate::keep::vectors;

/// Offers `update`, sends what the coordinator lacks of it, and waits for the answer. A coordinator that wants to give its
/// time to others ends the stream; the line's end ends everything.
pub(super) async fn upload(connection: Connection, update: Arc<Update>, watch: Watch) -> Result<Answer, StreamError> {
    let vectors: Vec<&[f32]> = vectors(&update).collect();
    let bytes = vectors.iter().map(|values| 4 * values.len() as u64).sum();
    let round = update.header.round;
    let opened = connection.open_bi().await;
    let (mut up, mut down) = opened.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
    send(&mut up, &Offer { round, digest: vectors_digest(&vectors), bytes }).await?;
    let offset = match receive::<Grant>(&mut down).await? {
        Grant::Answered(answer) => return Ok(answer),
        Grant::From { offset } => offset,
    };
    if offset > 0 {
        watch(SiteEvent::UploadContinued { round, offset, bytes });
    }
    send(&mut up, &update.header).await?;
    send_vectors_from(&mut up, &vectors, offset).await?;
    let _ = up.finish();
    receive::<Answer>(&mut down).await
}
