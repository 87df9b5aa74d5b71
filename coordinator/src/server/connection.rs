//! One connection of one site: who it is, its control stream, its tasks and its updates.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connecting, Connection, RecvStream, SendStream};
use synod_common::ids::{Digest, SiteName};
use synod_common::update::{Buffer, BufferPool, Update, UpdateHeader};
use synod_common::wire::{
    Answer, Declined, Evaluated, Finished, FrameHeader, Grant, Hello, Kind, Offer, Progress, Ready, Task, Welcome,
    shorten,
};
use synod_transport::{
    CloseReason, StreamError, explain_connection_error, receive, receive_body, receive_header, send, send_values,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::enrolment::{self, Door};
use super::serve::Input;
use super::uploads::Uploads;
use crate::round::{Event, OutTask, Received};

/// How long the handshake and the first words may take.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// How long one message may take once it has begun.
const MESSAGE_MAX: Duration = Duration::from_secs(30);
/// How long a download may take: a 2 GB model over 10 Mbit/s.
const TRANSFER_MAX: Duration = Duration::from_secs(1800);
/// Tasks and words that wait for a site.
const OUTGOING_MAX: usize = 8;

/// What every connection needs.
pub(super) struct Shared {
    pub(super) release: String,
    pub(super) plan_text: String,
    pub(super) plan_digest: Digest,
    pub(super) layout: Digest,
    /// Values beside the delta of an update, where the plan has them.
    pub(super) extra: Option<usize>,
    pub(super) pool: BufferPool,
    pub(super) uploads: Uploads,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) prepare_max: Duration,
    /// There where the coordinator has members of its own, rather than whoever the authority certified.
    pub(super) door: Option<Door>,
}

/// What goes to a site.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A task with its model.
    Task { task: OutTask, time_left_ms: u64 },
    /// The run is over.
    Finished(Finished),
    /// The connection is not wanted any more.
    Close(CloseReason),
}

/// Serves one connection to its end.
pub(super) async fn run(connecting: Connecting, id: u64, shared: Arc<Shared>) {
    let Ok(Ok(connection)) = timeout(GREETING_MAX, connecting).await else { return };
    let Some(site) = enrolment::enter(&connection, id, &shared).await else { return };
    let _presence = enrolment::Presence::new(&shared, id);
    match greet(&connection, &site, &shared).await {
        Ok(Some((control_up, control_down, ready))) => {
            let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
            let arrived = Input::Arrived {
                site: site.clone(),
                connection: id,
                samples: ready.samples,
                class_counts: ready.class_counts,
                outgoing,
            };
            if shared.inputs.send(arrived).await.is_err() {
                return;
            }
            let reason = converse(&connection, (id, &site), &shared, control_up, control_down, queue).await;
            let _ = shared.inputs.send(Input::Left { site, connection: id, reason }).await;
        }
        Ok(None) => {}
        Err(error) => {
            let reason = format!("the greeting failed: {error}");
            close_for(&connection, &error);
            let _ = shared.inputs.send(Input::Event(Event::Faulted { site, reason })).await;
        }
    }
}

fn close_for(connection: &Connection, error: &StreamError) {
    let code = if error.is_protocol() { CloseReason::Protocol } else { CloseReason::Silent };
    connection.close(code.code(), shorten(&error.to_string()).as_bytes());
}

async fn within<T>(limit: Duration, what: impl Future<Output = Result<T, StreamError>>) -> Result<T, StreamError> {
    match timeout(limit, what).await {
        Ok(result) => result,
        Err(_) => Err(StreamError::Connection(format!("nothing came within {} s", limit.as_secs()))),
    }
}

/// Hello, Welcome, Ready. `None` when the site declines the run, which it says by itself.
async fn greet(
    connection: &Connection,
    site: &SiteName,
    shared: &Shared,
) -> Result<Option<(RecvStream, SendStream, Ready)>, StreamError> {
    let opened =
        async { connection.accept_bi().await.map_err(|e| StreamError::Connection(explain_connection_error(&e))) };
    let (mut down, mut up) = within(GREETING_MAX, opened).await?;
    let _hello: Hello = within(GREETING_MAX, receive(&mut up)).await?;
    let welcome = Welcome {
        release: shared.release.clone(),
        site: site.clone(),
        plan: shared.plan_text.clone(),
        plan_digest: shared.plan_digest,
        layout: shared.layout,
    };
    within(MESSAGE_MAX, send(&mut down, &welcome)).await?;
    // The site loads its data now.
    let header = within(shared.prepare_max.max(GREETING_MAX), receive_header(&mut up)).await?;
    let header = header.ok_or(StreamError::Ended)?;
    if header.kind == Kind::Declined {
        let declined: Declined = within(MESSAGE_MAX, receive_body(&mut up, header)).await?;
        let event = Event::Declined { site: site.clone(), round: declined.round, reason: declined.reason };
        let _ = shared.inputs.send(Input::Event(event)).await;
        connection.close(CloseReason::Finished.code(), b"");
        return Ok(None);
    }
    let ready: Ready = within(MESSAGE_MAX, receive_body(&mut up, header)).await?;
    Ok(Some((up, down, ready)))
}

/// Everything after the greeting; the reason why it ended.
async fn converse(
    connection: &Connection,
    (id, site): (u64, &SiteName),
    shared: &Arc<Shared>,
    mut control_up: RecvStream,
    mut control_down: SendStream,
    mut queue: mpsc::Receiver<Outgoing>,
) -> String {
    let listening = listen(&mut control_up, site, shared);
    let uploading = take_updates(connection, (id, site), shared);
    let sending = async {
        while let Some(outgoing) = queue.recv().await {
            match outgoing {
                Outgoing::Task { task, time_left_ms } => {
                    within(TRANSFER_MAX, send_task(connection, &task, time_left_ms, shared.plan_digest)).await?;
                }
                Outgoing::Finished(finished) => {
                    within(MESSAGE_MAX, send(&mut control_down, &finished)).await?;
                    // The site closes the connection when it has read this.
                    return Ok(());
                }
                Outgoing::Close(reason) => {
                    connection.close(reason.code(), b"");
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    let talk = async {
        tokio::select! {
            result = listening => result,
            result = uploading => result,
            result = async { let result = sending.await; if result.is_ok() { std::future::pending::<()>().await; } result } => result,
        }
    };
    tokio::select! {
        result = talk => {
            if let Err(error) = &result {
                close_for(connection, error);
            }
            result.map_or_else(|e| e.to_string(), |()| "the site ended its control stream".to_owned())
        }
        error = connection.closed() => explain_connection_error(&error),
    }
}

async fn send_task(
    connection: &Connection,
    task: &OutTask,
    time_left_ms: u64,
    plan: Digest,
) -> Result<(), StreamError> {
    let mut stream = connection.open_uni().await.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
    let OutTask { round, kind, model, extra, last_counted, .. } = task;
    let (round, kind, last_counted) = (*round, *kind, *last_counted);
    send(&mut stream, &Task { round, kind, plan, model: model.digest, last_counted, time_left_ms }).await?;
    send_values(&mut stream, &model.values).await?;
    if let Some(extra) = extra {
        send_values(&mut stream, extra).await?;
    }
    let _ = stream.finish();
    Ok(())
}

/// Reads the control stream until it ends.
async fn listen(up: &mut RecvStream, site: &SiteName, shared: &Shared) -> Result<(), StreamError> {
    while let Some(header) = receive_header(up).await? {
        let site = site.clone();
        let event = match header.kind {
            Kind::Progress => {
                let p: Progress = within(MESSAGE_MAX, receive_body(up, header)).await?;
                Event::Progress { site, round: p.round, step: p.step, steps: p.steps, loss: p.loss }
            }
            Kind::Evaluated => {
                let e: Evaluated = within(MESSAGE_MAX, receive_body(up, header)).await?;
                Event::Evaluated { site, round: e.round, metrics: e.metrics }
            }
            Kind::Declined
            | Kind::Hello
            | Kind::Welcome
            | Kind::Ready
            | Kind::Task
            | Kind::Update
            | Kind::Answer
            | Kind::Finished
            | Kind::Offer
            | Kind::Grant
            | Kind::Probe
            | Kind::Presence
            | Kind::Join
            | Kind::Renew
            | Kind::Enrolled
            | Kind::AdminRequest
            | Kind::AdminAnswer => {
                // Any other kind is refused by the body's reader, with the kinds' names.
                let d: Declined = within(MESSAGE_MAX, receive_body(up, header)).await?;
                Event::Declined { site, round: d.round, reason: d.reason }
            }
        };
        if shared.inputs.send(Input::Event(event)).await.is_err() {
            over().await;
        }
    }
    Ok(())
}

/// The run is over, and whatever a site still says is heard by nobody. The connection stays until the site has read
/// that it is over and leaves, or the endpoint closes.
async fn over() {
    std::future::pending::<()>().await;
}

/// Takes updates one after the other.
async fn take_updates(
    connection: &Connection,
    (id, site): (u64, &SiteName),
    shared: &Shared,
) -> Result<(), StreamError> {
    loop {
        let opened = connection.accept_bi().await.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
        let (mut down, mut up) = opened;
        let taken = async {
            let header = within(MESSAGE_MAX, receive_header(&mut up)).await?.ok_or(StreamError::Ended)?;
            if header.kind == Kind::Renew {
                within(MESSAGE_MAX, enrolment::renew(connection, (&mut down, &mut up), header, shared)).await?;
                return Ok(Taken::Renewed);
            }
            take_update((&mut down, &mut up), header, (id, site), shared).await
        };
        match taken.await {
            Ok(Taken::Renewed) => continue,
            Ok(Taken::Answered(answer)) => within(MESSAGE_MAX, send(&mut down, &answer)).await?,
            Ok(Taken::NotNeeded(answer)) => within(MESSAGE_MAX, send(&mut down, &Grant::Answered(answer))).await?,
            Ok(Taken::Over) => over().await,
            // Damaged on the way: the site may send it again. Other faults end the connection.
            Err(StreamError::Values(error)) => {
                let reason = format!("the upload is unusable: {error}; it may be sent again");
                let event = Event::Faulted { site: site.clone(), reason: reason.clone() };
                let _ = shared.inputs.send(Input::Event(event)).await;
                within(MESSAGE_MAX, send(&mut down, &Answer::Damaged { reason: shorten(&reason) })).await?;
            }
            // The site gave it up, or is to make room. What came is kept.
            Err(StreamError::Stopped | StreamError::Ended | StreamError::Slow(_)) => {}
            Err(error) => return Err(error),
        }
        let _ = down.finish();
    }
}

/// What became of a stream that a site opened.
enum Taken {
    /// It was about the site's certificate.
    Renewed,
    /// An update came, and this is the answer.
    Answered(Answer),
    /// The update need not come.
    NotNeeded(Answer),
    /// The run is over.
    Over,
}

/// Grants what is offered, reads it, and waits for its answer.
async fn take_update(
    (down, up): (&mut SendStream, &mut RecvStream),
    header: FrameHeader,
    (id, site): (u64, &SiteName),
    shared: &Shared,
) -> Result<Taken, StreamError> {
    let offer: Offer = within(MESSAGE_MAX, receive_body(up, header)).await?;
    let lengths = || std::iter::once(shared.pool.len()).chain(shared.extra);
    let bytes = lengths().map(|values| 4 * values as u64).sum::<u64>();
    if offer.bytes != bytes {
        let reason = format!("the update has {} bytes of values, the plan's have {bytes}", offer.bytes);
        return Ok(Taken::NotNeeded(Answer::Refused { reason }));
    }
    let fresh = || lengths().map(|values| shared.pool.take_of(values)).collect::<Vec<Buffer>>();
    let Some(mut transfer) = shared.uploads.begin(site, &offer, fresh).await else {
        return Ok(Taken::NotNeeded(Answer::Accepted));
    };
    within(MESSAGE_MAX, send(down, &Grant::From { offset: transfer.offset() })).await?;
    let header: UpdateHeader = within(MESSAGE_MAX, receive(up)).await?;
    transfer.read(up).await?;
    let mut vectors = transfer.finish()?.into_iter();
    let Some(delta) = vectors.next() else { return Err(StreamError::Ended) };
    let update = Update { header, delta, extra: vectors.next() };
    // One pass over the values, here where other sites' uploads go on beside it.
    let received = tokio::task::block_in_place(|| Received::screen(update));
    let (answer, answered) = oneshot::channel();
    let event = Event::Update { site: site.clone(), received };
    if shared.inputs.send(Input::Update { event, site: site.clone(), connection: id, answer }).await.is_err() {
        return Ok(Taken::Over);
    }
    let Ok(answer) = answered.await else { return Ok(Taken::Over) };
    if answer == Answer::Accepted {
        shared.uploads.counted(site, &offer);
    }
    Ok(Taken::Answered(answer))
}
