//! The session over all its connections.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use synod_certs::Identity;
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::plan::Plan;
use synod_common::update::BufferPool;
use synod_common::wire::{Hello, Welcome};
use synod_transport::{CloseReason, StreamError, bind_client, connect, explain_connection_error, receive, send};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::actions::{Finish, JobKey, SiteEvent};
use super::backoff::Backoff;
use super::job::{Job, JobEvent, Product};
use super::talk::{Talk, TalkEnd};
use crate::data::SiteData;
use crate::keep::StateFolder;
use crate::train::Trainer;
use crate::work::Work;

/// How long a handshake and a greeting may take.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// How long the end of a session may take.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// A site's samples with a trainer for the plan.
pub type Loaded = (Arc<Trainer>, Arc<SiteData>);

/// Reads the plan's text and loads what the site has for it. Runs on a thread that may block.
pub type Loader = Arc<dyn Fn(&str, &SiteName) -> Result<(Arc<Plan>, Loaded), String> + Send + Sync>;

/// How to take part.
pub struct SessionOptions {
    /// The site's identity.
    pub identity: Identity,
    /// The coordinator, as `host:port`.
    pub coordinator: String,
    /// This program's release, for the other side's eyes.
    pub release: String,
    /// How long to try to reach the coordinator before giving up.
    pub unreachable_max: Duration,
    /// Where the site keeps what it must remember between rounds, if the plan's algorithms need that. Made when needed.
    pub state: PathBuf,
    /// Loads the site's samples once the plan is known.
    pub loader: Loader,
}

/// Why a session ended without the run's end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Nobody answers.
    #[error("cannot reach the coordinator at {address} for {}: {reason}; check the address, that it runs, and that UDP gets through", humantime(*after))]
    Unreachable {
        /// Where.
        address: String,
        /// For how long.
        after: Duration,
        /// The last reason.
        reason: String,
    },
    /// One side does not accept the other's certificate or role.
    #[error("the coordinator at {address} and this site do not accept each other: {reason}")]
    Refused {
        /// Where.
        address: String,
        /// Why, with what to do.
        reason: String,
    },
    /// The site's data or this program does not fit the plan.
    #[error("this site cannot take part: {0}")]
    Unfit(String),
    /// A person or a signal ended it.
    #[error("interrupted; the coordinator was told, and nothing of this round was kept here")]
    Interrupted,
}

fn humantime(duration: Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}

/// Everything that outlives a connection.
pub(super) struct State {
    pub(super) options: SessionOptions,
    pub(super) watch: Box<dyn Fn(SiteEvent) + Send + Sync>,
    pub(super) prepared: Option<Prepared>,
    pub(super) job: Option<Job>,
    pub(super) product: Option<(JobKey, Product)>,
    /// Of the newest connection.
    endpoint: Option<quinn::Endpoint>,
    pub(super) events: mpsc::UnboundedSender<JobEvent>,
    pub(super) inbox: mpsc::UnboundedReceiver<JobEvent>,
}

/// What was loaded for a plan.
pub(super) struct Prepared {
    pub(super) digest: Digest,
    pub(super) work: Arc<Work>,
    pub(super) pool: BufferPool,
    pub(super) plan: Arc<Plan>,
    /// There where the plan's sites keep something.
    pub(super) keeper: Option<Arc<StateFolder>>,
}

/// Takes part until the coordinator says that the run is over.
///
/// # Errors
/// When the coordinator stays unreachable, one side refuses the other, the data does not fit, or `interrupt` ends it.
pub async fn run(
    options: SessionOptions,
    watch: Box<dyn Fn(SiteEvent) + Send + Sync>,
    interrupt: impl Future<Output = ()> + Send,
) -> Result<Finish, SessionError> {
    let (events, inbox) = mpsc::unbounded_channel();
    let mut state = State { options, watch, prepared: None, job: None, product: None, endpoint: None, events, inbox };
    let end = take_part(&mut state, interrupt).await;
    if let Some(endpoint) = state.endpoint.take() {
        // The word that this side leaves is still on its way; without it the coordinator would wait for a time-out.
        let _ = timeout(CLOSING_MAX, endpoint.wait_idle()).await;
    }
    end
}

async fn take_part(state: &mut State, interrupt: impl Future<Output = ()> + Send) -> Result<Finish, SessionError> {
    let spread = state.options.identity.name().client_id().0[0];
    let mut backoff = Backoff::new(spread);
    let mut interrupt = std::pin::pin!(interrupt);
    let mut lost_since = Instant::now();
    loop {
        let reason = tokio::select! {
            end = attempt(state) => match end {
                Attempt::Finished(finish) => return Ok(finish),
                Attempt::Fatal(error) => return Err(error),
                Attempt::Lost(reason) => {
                    backoff.reset();
                    lost_since = Instant::now();
                    reason
                }
                Attempt::Unreached(reason) => reason,
            },
            () = &mut interrupt => return Err(SessionError::Interrupted),
        };
        let after = lost_since.elapsed();
        if after >= state.options.unreachable_max {
            let address = state.options.coordinator.clone();
            return Err(SessionError::Unreachable { address, after, reason });
        }
        let pause = backoff.next().min(state.options.unreachable_max.saturating_sub(after));
        (state.watch)(SiteEvent::Retrying { reason, pause });
        tokio::select! {
            () = sleep(pause) => {}
            () = &mut interrupt => return Err(SessionError::Interrupted),
        }
    }
}

enum Attempt {
    Finished(Finish),
    Fatal(SessionError),
    /// There was a greeting, and the line broke later.
    Lost(String),
    /// There was no greeting.
    Unreached(String),
}

async fn attempt(state: &mut State) -> Attempt {
    let address = state.options.coordinator.clone();
    let connection = match reach(state, &address).await {
        Ok(connection) => connection,
        Err(attempt) => return attempt,
    };
    // Whatever ends this attempt (an interrupt drops it in the middle), the coordinator hears why at once.
    let closing = CloseOnDrop(connection.clone());
    let greeting = timeout(GREETING_MAX, greet(state, &connection)).await;
    let (down, up, welcome) = match greeting {
        Ok(Ok(greeting)) => greeting,
        Ok(Err(error)) => return failed_greeting(&connection, &address, &error),
        Err(_) => return Attempt::Unreached("the greeting was not answered".to_owned()),
    };
    if let Err(reason) = prepare(state, &welcome).await {
        let mut up = up;
        let declined = synod_common::wire::Declined { round: RoundId(0), reason: synod_common::wire::shorten(&reason) };
        let _ = send(&mut up, &declined).await;
        let _ = timeout(Duration::from_secs(2), connection.closed()).await;
        return Attempt::Fatal(SessionError::Unfit(reason));
    }
    let end = Talk::new(state, connection.clone(), up).run(down).await;
    drop(closing);
    match end {
        TalkEnd::Finished(f) => Attempt::Finished(Finish { completed: f.completed, reason: f.reason, model: f.model }),
        TalkEnd::Lost(reason) => match close_reason(&connection) {
            Some(CloseReason::Replaced | CloseReason::Role) => {
                Attempt::Fatal(SessionError::Refused { address, reason })
            }
            _ => Attempt::Lost(reason),
        },
    }
}

struct CloseOnDrop(quinn::Connection);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(CloseReason::Leaving.code(), b"");
    }
}

async fn reach(state: &mut State, address: &str) -> Result<quinn::Connection, Attempt> {
    let found = tokio::net::lookup_host(address).await;
    let remote: SocketAddr = match found.map(|mut all| all.next()) {
        Ok(Some(remote)) => remote,
        Ok(None) => return Err(Attempt::Unreached(format!("the name {address} has no address"))),
        Err(error) => return Err(Attempt::Unreached(format!("the name {address} was not found: {error}"))),
    };
    let unreached = |e: synod_transport::EndpointError| Attempt::Unreached(e.to_string());
    let endpoint = bind_client(remote).map_err(unreached)?;
    state.endpoint = Some(endpoint.clone());
    let connecting = match connect(&endpoint, &state.options.identity, remote) {
        Ok(connecting) => connecting,
        Err(error @ synod_transport::EndpointError::Tls(_)) => {
            return Err(Attempt::Fatal(SessionError::Refused {
                address: address.to_owned(),
                reason: error.to_string(),
            }));
        }
        Err(error) => return Err(unreached(error)),
    };
    match timeout(GREETING_MAX, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(ended(&error, address)),
        Err(_) => Err(Attempt::Unreached("no answer".to_owned())),
    }
}

/// A certificate that is not accepted will not be accepted in a second either; anything else may pass.
fn ended(error: &quinn::ConnectionError, address: &str) -> Attempt {
    let reason = explain_connection_error(error);
    let alert = match error {
        quinn::ConnectionError::TransportError(e) => synod_certs::alert_of_quic_code(e.code.into()),
        quinn::ConnectionError::ConnectionClosed(c) => synod_certs::alert_of_quic_code(c.error_code.into()),
        _ => None,
    };
    let role =
        matches!(error, quinn::ConnectionError::ApplicationClosed(c) if c.error_code == CloseReason::Role.code());
    if alert.is_some() || role {
        Attempt::Fatal(SessionError::Refused { address: address.to_owned(), reason })
    } else {
        Attempt::Unreached(reason)
    }
}

fn failed_greeting(connection: &quinn::Connection, address: &str, error: &StreamError) -> Attempt {
    // With TLS 1.3 the server judges the client's certificate after the client already thinks itself connected.
    match connection.close_reason() {
        Some(reason) => ended(&reason, address),
        None if error.is_protocol() => {
            Attempt::Fatal(SessionError::Refused { address: address.to_owned(), reason: error.to_string() })
        }
        None => Attempt::Unreached(error.to_string()),
    }
}

fn close_reason(connection: &quinn::Connection) -> Option<CloseReason> {
    match connection.close_reason()? {
        quinn::ConnectionError::ApplicationClosed(close) => CloseReason::from_code(close.error_code),
        _ => None,
    }
}

async fn greet(
    state: &State,
    connection: &quinn::Connection,
) -> Result<(quinn::RecvStream, quinn::SendStream, Welcome), StreamError> {
    let opened = connection.open_bi().await;
    let (mut up, mut down) = opened.map_err(|e| StreamError::Connection(explain_connection_error(&e)))?;
    send(&mut up, &Hello { release: state.options.release.clone() }).await?;
    let welcome: Welcome = receive(&mut down).await?;
    Ok((down, up, welcome))
}

/// Loads what the plan needs, unless it is the plan of the last connection.
async fn prepare(state: &mut State, welcome: &Welcome) -> Result<(), String> {
    if state.prepared.as_ref().is_some_and(|p| p.digest == welcome.plan_digest) {
        return Ok(());
    }
    (state.job, state.product) = (None, None);
    let (loader, text, site) = (Arc::clone(&state.options.loader), welcome.plan.clone(), welcome.site.clone());
    let loading = tokio::task::spawn_blocking(move || loader(&text, &site)).await;
    let (plan, (trainer, data)) = loading.map_err(|e| format!("loading the data failed: {e}"))??;
    if trainer.plan_digest() != welcome.plan_digest {
        return Err(
            "the coordinator's plan reads differently here; use the same Synod release on both sides".to_owned()
        );
    }
    if trainer.layout_digest() != welcome.layout {
        return Err("the plan's model has another layout here; use the same Synod release on both sides".to_owned());
    }
    let (parameters, digest) = (trainer.layout().len(), welcome.plan_digest);
    let pool = BufferPool::new(parameters, 3);
    let samples = data.train.len();
    let keeper =
        trainer.keeps_state().then(|| Arc::new(StateFolder::new(&state.options.state, digest, parameters, samples)));
    let work = Arc::new(Work::new(welcome.site.clone(), trainer, data));
    (state.watch)(SiteEvent::Joined {
        site: welcome.site.clone(),
        plan: plan.name.clone(),
        digest,
        samples: work.samples(),
    });
    state.prepared = Some(Prepared { digest, work, pool, plan, keeper });
    Ok(())
}

/// Reads a plan and loads a site's samples from `folder` for it.
///
/// # Errors
/// What is wrong with the plan or the data, in words.
pub fn load_folder(
    text: &str,
    site: &SiteName,
    folder: &Path,
    device: &crate::device::DeviceChoice,
) -> Result<(Arc<Plan>, Loaded), String> {
    let plan = Plan::read(text, &crate::catalogue::Zoo).map_err(|e| e.to_string())?;
    let loaded = crate::data::load_site(&plan, folder).map_err(|e| e.to_string())?;
    let rows = loaded.train.all_rows();
    let own_test = loaded.test.map(|test| crate::data::Rows { rows: test.all_rows(), dataset: test });
    let data = SiteData::for_site(&plan, site.client_id(), loaded.train, rows, own_test, None);
    let data = data.map_err(|e| e.to_string())?;
    let plan = Arc::new(plan);
    let trainer = Trainer::new(Arc::clone(&plan), device).map_err(|e| e.to_string())?;
    Ok((plan, (Arc::new(trainer), Arc::new(data))))
}
