//! One connection from its first word to its end: it says what comes in, and carries out what goes up the control stream.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Connection, Endpoint, RecvStream, SendStream};
use synod_common::extra::Extras;
use synod_common::ids::RoundId;
use synod_common::wire::{Declined, Evaluated, Finished, Hello, Progress, Ready, Task, TaskKind, Welcome, shorten};
use synod_transport::{
    CloseReason, EndpointError, LineError, StreamError, bind_client, connect, explain_connection_error, receive,
    receive_values, send,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::actions::{Fault, Finish, JobKey};
use super::job::{JobEvent, JobOrder};
use super::prepare::{Found, Prepared, prepare};
use super::run::SessionOptions;
use crate::enrol::RenewError;

/// How long a handshake and a greeting may take.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// How long the coordinator may take to close after this site said that it cannot take part.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// How long a model may take: 2 GB over 10 Mbit/s.
const TRANSFER_MAX: Duration = Duration::from_secs(1800);
/// Most classes whose counts are told.
const CLASS_COUNTS_MAX: usize = 1024;
/// Words that wait to go up. Progress is left out where half of them do.
const WORDS_MAX: usize = 16;
/// Tasks that wait to be taken: the next one ends the one before.
const EVENTS_MAX: usize = 2;

/// What every connection of a session needs.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) options: Arc<SessionOptions>,
    /// Of the newest connection, to see it out.
    pub(super) endpoint: Arc<Mutex<Option<Endpoint>>>,
    /// Where keepers say what is durable.
    pub(super) jobs: mpsc::UnboundedSender<JobEvent>,
}

/// A connection that is tried or stands, until it ends.
pub(super) type Attempt = Pin<Box<dyn Future<Output = LineEnd> + Send>>;

/// The two ends of a connection that are ours.
pub(super) struct Line {
    pub(super) events: mpsc::Receiver<LineEvent>,
    words: mpsc::Sender<Word>,
}

/// What comes in.
pub(super) enum LineEvent {
    Greeted { connection: Connection, prepared: Arc<Prepared>, found: Found },
    Task { order: JobOrder, kind: TaskKind, time_left_ms: u64 },
    BadTask { round: RoundId, reason: String },
}

/// How it ended.
pub(super) enum LineEnd {
    Broke(Fault, String),
    Unfit(String),
    Finished(Finish),
}

/// What goes up the control stream.
pub(super) enum Word {
    Progress(Progress),
    Evaluated(Evaluated),
    Declined(Declined),
}

impl Line {
    /// Begins to connect. `prepared` is what the plan of the last connection needed.
    pub(super) fn open(lines: Lines, prepared: Option<Arc<Prepared>>) -> (Attempt, Self) {
        let (words, queue) = mpsc::channel(WORDS_MAX);
        let (out, events) = mpsc::channel(EVENTS_MAX);
        let attempt = async move {
            match attempt(&lines, prepared, &out, queue).await {
                Ok(never) => match never {},
                Err(end) => end,
            }
        };
        (Box::pin(attempt), Self { events, words })
    }

    /// Says a word, if there is room: what is full is a line that is about to end.
    pub(super) fn say(&self, word: Word) {
        let leaves_out = matches!(word, Word::Progress(_)) && self.words.capacity() < WORDS_MAX / 2;
        if !leaves_out {
            let _ = self.words.try_send(word);
        }
    }
}

/// Nothing: a connection ends with an error, also where that error is the run's end.
enum Never {}

async fn attempt(
    lines: &Lines,
    prepared: Option<Arc<Prepared>>,
    out: &mpsc::Sender<LineEvent>,
    words: mpsc::Receiver<Word>,
) -> Result<Never, LineEnd> {
    let connection = reach(lines).await?;
    // Whatever ends this attempt (an interrupt drops it in the middle), the coordinator hears why at once.
    let _closing = CloseOnDrop(connection.clone());
    let (wallet, line) = (Arc::clone(&lines.options.wallet), connection.clone());
    // Ends with the connection.
    tokio::spawn(async move { wallet.keep_fresh(line).await });
    let greeting = timeout(GREETING_MAX, greet(lines, &connection)).await;
    let (down, mut up, welcome) = match greeting {
        Ok(greeting) => greeting.map_err(|error| failed(&connection, &error))?,
        Err(_) => return Err(LineEnd::Broke(Fault::Passing, "the greeting was not answered".to_owned())),
    };
    let (prepared, found) = match prepare(lines, prepared, &welcome).await {
        Ok(ready) => ready,
        Err(reason) => {
            let _ = send(&mut up, &Declined { round: RoundId(0), reason: shorten(&reason) }).await;
            let _ = timeout(GOODBYE_MAX, connection.closed()).await;
            return Err(LineEnd::Unfit(reason));
        }
    };
    let broke = |error: StreamError| broken(&connection, &error);
    send(&mut up, &ready(&prepared)).await.map_err(broke)?;
    let greeted = LineEvent::Greeted { connection: connection.clone(), prepared: Arc::clone(&prepared), found };
    let _ = out.send(greeted).await;
    // Beside everything else: the word that the run is over may come while an answer is waited for that will never come.
    tokio::select! {
        biased;
        finished = finish(down) => Err(finished.map_or_else(broke, LineEnd::Finished)),
        error = take_tasks(&connection, &prepared, out) => Err(broke(error)),
        error = speak(up, words) => Err(broke(error)),
    }
}

struct CloseOnDrop(Connection);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(CloseReason::Leaving.code(), b"");
    }
}

async fn reach(lines: &Lines) -> Result<Connection, LineEnd> {
    let passing = |reason: String| LineEnd::Broke(Fault::Passing, reason);
    let SessionOptions { coordinator: address, wallet, .. } = &*lines.options;
    wallet.revive(address).await.map_err(|error| LineEnd::Broke(fault_of(&error), error.to_string()))?;
    let remote: SocketAddr = match tokio::net::lookup_host(address).await.map(|mut all| all.next()) {
        Ok(Some(remote)) => remote,
        Ok(None) => return Err(passing(format!("the name {address} has no address"))),
        Err(error) => return Err(passing(format!("the name {address} was not found: {error}"))),
    };
    let endpoint = bind_client(remote).map_err(|error| passing(error.to_string()))?;
    *lines.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint.clone());
    let connecting = connect(&endpoint, &wallet.identity(), remote).map_err(|error| match error {
        EndpointError::Tls(_) => LineEnd::Broke(Fault::Lasting, error.to_string()),
        error => passing(error.to_string()),
    })?;
    match timeout(GREETING_MAX, connecting).await {
        Ok(connected) => connected.map_err(|error| ended(&error)),
        Err(_) => Err(passing("no answer".to_owned())),
    }
}

/// Only a line that broke may be better the next time.
fn fault_of(error: &RenewError) -> Fault {
    match error {
        RenewError::Line(LineError::Refused(_)) => Fault::Lasting,
        RenewError::Line(_) => Fault::Passing,
        _ => Fault::Lasting,
    }
}

/// A certificate that is not accepted will not be accepted in a second either, and two clients with one identity would
/// replace each other for ever; anything else may pass.
fn ended(error: &quinn::ConnectionError) -> LineEnd {
    let (alert, reason) = match error {
        quinn::ConnectionError::TransportError(e) => (synod_certs::alert_of_quic_code(e.code.into()), None),
        quinn::ConnectionError::ConnectionClosed(c) => (synod_certs::alert_of_quic_code(c.error_code.into()), None),
        quinn::ConnectionError::ApplicationClosed(close) => (None, CloseReason::from_code(close.error_code)),
        _ => (None, None),
    };
    let lasts =
        alert.is_some() || matches!(reason, Some(CloseReason::Role | CloseReason::Replaced | CloseReason::Expelled));
    let fault = if lasts { Fault::Lasting } else { Fault::Passing };
    LineEnd::Broke(fault, explain_connection_error(error))
}

/// The end of a line that stood.
fn broken(connection: &Connection, error: &StreamError) -> LineEnd {
    match connection.close_reason() {
        Some(reason) => ended(&reason),
        None => LineEnd::Broke(Fault::Passing, error.to_string()),
    }
}

/// The end of a line before its greeting was over. With TLS 1.3 the server judges the client's certificate after the client
/// already thinks itself connected.
fn failed(connection: &Connection, error: &StreamError) -> LineEnd {
    match connection.close_reason() {
        None if error.is_protocol() => LineEnd::Broke(Fault::Lasting, error.to_string()),
        _ => broken(connection, error),
    }
}

async fn greet(lines: &Lines, connection: &Connection) -> Result<(RecvStream, SendStream, Welcome), StreamError> {
    let opened = connection.open_bi().await;
    let (mut up, mut down) = opened.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
    send(&mut up, &Hello { release: lines.options.release.clone() }).await?;
    let welcome: Welcome = receive(&mut down).await?;
    Ok((down, up, welcome))
}

fn ready(prepared: &Prepared) -> Ready {
    let classes = prepared.plan.task.classes();
    let tells = classes <= CLASS_COUNTS_MAX;
    let class_counts = if tells { prepared.work.data.train.class_counts(classes) } else { Vec::new() };
    Ready { plan: prepared.digest, samples: prepared.work.samples(), class_counts }
}

async fn finish(mut down: RecvStream) -> Result<Finish, StreamError> {
    let Finished { completed, reason, model } = receive(&mut down).await?;
    Ok(Finish { completed, reason, model })
}

async fn speak(mut up: SendStream, mut words: mpsc::Receiver<Word>) -> StreamError {
    while let Some(word) = words.recv().await {
        let said = match &word {
            Word::Progress(progress) => send(&mut up, progress).await,
            Word::Evaluated(evaluated) => send(&mut up, evaluated).await,
            Word::Declined(declined) => send(&mut up, declined).await,
        };
        if let Err(error) = said {
            return error;
        }
    }
    StreamError::Ended
}

async fn take_tasks(connection: &Connection, prepared: &Prepared, out: &mpsc::Sender<LineEvent>) -> StreamError {
    loop {
        let taken = match connection.accept_uni().await {
            Ok(mut stream) => take_task(&mut stream, prepared).await,
            Err(error) => Err(StreamError::Connection(explain_connection_error(&error))),
        };
        match taken {
            Ok(event) => drop(out.send(event).await),
            Err(error) => return error,
        }
    }
}

async fn take_task(stream: &mut RecvStream, prepared: &Prepared) -> Result<LineEvent, StreamError> {
    let task: Task = receive(stream).await?;
    let mut model = prepared.pool.take();
    let extras = Extras::new(&prepared.plan, prepared.work.trainer.layout());
    let mut extra = extras.of_task(task.kind).map(|values| prepared.pool.take_of(values));
    let transfer = async {
        receive_values(stream, &mut model).await?;
        match &mut extra {
            Some(extra) => receive_values(stream, extra).await,
            None => Ok(()),
        }
    };
    match timeout(TRANSFER_MAX, transfer).await {
        Ok(received) => received?,
        Err(_) => return Err(StreamError::Connection("the model took too long".to_owned())),
    }
    if task.plan != prepared.digest || prepared.work.trainer.layout().model_digest(&model) != task.model {
        let reason = "the model that came is not the one announced".to_owned();
        return Ok(LineEvent::BadTask { round: task.round, reason });
    }
    let key = JobKey { round: task.round, model: task.model };
    let order = JobOrder { key, model, extra, last_counted: task.last_counted };
    Ok(LineEvent::Task { order, kind: task.kind, time_left_ms: task.time_left_ms })
}
