//! Uploads over real connections: broken off and gone on with, and over a change of the client's address.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test helper that fails says where by itself")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use quinn::{Connection, Endpoint, RecvStream, SendStream};
use synod_certs::{Identity, throwaway};
use synod_common::blocks::{BlockKind, BlockSpec, Layout, vectors_digest};
use synod_common::event::{EventSink, RunEvent};
use synod_common::ids::SiteName;
use synod_common::metrics::Metrics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::update::{BufferPool, UpdateHeader};
use synod_common::wire::{Answer, Grant, Hello, Offer, Ready, Task, Welcome};
use synod_coordinator::journal::{Journal, Keep};
use synod_coordinator::round::Setup;
use synod_coordinator::server::{Members, NoHost, ServeOptions, serve};
use synod_transport::{CloseReason, bind_client, connect, receive, receive_values, send, send_vectors_from};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// More than a stream's window has room for.
const VALUES: usize = 4 << 20;
const HALF: u64 = 2 * VALUES as u64 + 1;

#[derive(Default)]
struct Events(Mutex<Vec<RunEvent>>);

impl EventSink for Events {
    fn publish(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

struct Run {
    identity: Identity,
    address: SocketAddr,
    events: Arc<Events>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Run {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (name, now) = (SiteName::new("a").unwrap(), SystemTime::now());
        let places = throwaway(std::slice::from_ref(&name), folder.path(), now).unwrap();
        let identity = Identity::load(&places.sites[&name], now).unwrap();
        let coordinator = Identity::load(&places.coordinator, now).unwrap();
        let text = "rounds = 1\nmodel = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n\
                    [round]\narrival.count.min = 1\n";
        let layout = Layout::new(vec![BlockSpec { name: "w".into(), shape: vec![VALUES], kind: BlockKind::Parameter }]);
        let setup = Setup {
            plan: Arc::new(Plan::read(text, &AnyLoss).unwrap()),
            layout: layout.unwrap(),
            initial: vec![0.0; VALUES],
            state: State::default(),
            pool: BufferPool::new(VALUES, 4),
        };
        let listen = "127.0.0.1:0".parse().unwrap();
        let members = Members::Certified(Arc::new(coordinator));
        let options = ServeOptions { members, listen, release: "test".to_owned() };
        let journal = Journal::open_folder(&folder.path().join("journal"), Keep::default()).unwrap();
        let events = Arc::new(Events::default());
        let ((told, address), (stop, stopped)) = (oneshot::channel(), oneshot::channel::<()>());
        let sink: Arc<dyn EventSink> = Arc::clone(&events) as _;
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let listening = |address| told.send(address).unwrap();
            serve(options, setup, journal, Arc::new(NoHost), sink, listening, stopped).await.unwrap();
        });
        Self { identity, address: address.await.unwrap(), events, stop, served, _folder: folder }
    }

    async fn join(&self) -> Site {
        let endpoint = bind_client(self.address).unwrap();
        let connection = connect(&endpoint, &self.identity, self.address).unwrap().await.unwrap();
        let (mut up, mut down) = connection.open_bi().await.unwrap();
        send(&mut up, &Hello { release: "test".to_owned() }).await.unwrap();
        let welcome: Welcome = receive(&mut down).await.unwrap();
        send(&mut up, &Ready { plan: welcome.plan_digest, samples: 5, class_counts: vec![] }).await.unwrap();
        let mut stream = connection.accept_uni().await.unwrap();
        let task: Task = receive(&mut stream).await.unwrap();
        receive_values(&mut stream, &mut vec![0.0; VALUES]).await.unwrap();
        Site { endpoint, connection, welcome, task, delta: vec![0.25; VALUES], _control: (up, down) }
    }

    async fn end(self) -> Vec<RunEvent> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
        std::mem::take(&mut *self.events.0.lock().unwrap())
    }
}

/// A site that has its task.
struct Site {
    endpoint: Endpoint,
    connection: Connection,
    welcome: Welcome,
    task: Task,
    delta: Vec<f32>,
    _control: (SendStream, RecvStream),
}

impl Site {
    /// Offers the update; the streams and the word that came.
    async fn offer(&self) -> (SendStream, RecvStream, Grant) {
        let (mut up, mut down) = self.connection.open_bi().await.unwrap();
        let digest = vectors_digest(&[&self.delta]);
        send(&mut up, &Offer { round: self.task.round, digest, bytes: 4 * VALUES as u64 }).await.unwrap();
        let grant = receive(&mut down).await.unwrap();
        (up, down, grant)
    }

    async fn send_header(&self, up: &mut SendStream) {
        let header = UpdateHeader {
            round: self.task.round,
            plan: self.task.plan,
            layout: self.welcome.layout,
            samples: 5,
            steps: 1,
            loss_before: None,
            before: None,
            train: Metrics { samples: 5, ..Metrics::default() },
            after: None,
            train_ms: 1,
        };
        send(up, &header).await.unwrap();
    }

    /// Sends the bytes from `from` to `to`, in the middle of a value.
    async fn send_part(&self, up: &mut SendStream, from: u64, to: u64) {
        let bytes: Vec<u8> = self.delta.iter().flat_map(|value| value.to_le_bytes()).collect();
        up.write_all(&bytes[from as usize..to as usize]).await.unwrap();
    }

    /// From now on with another address.
    fn move_away(&self) {
        let before = self.endpoint.local_addr().unwrap();
        self.endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        assert_ne!(self.endpoint.local_addr().unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_broke_off_goes_on_over_the_next_connection() {
    let run = Run::begin().await;
    let site = run.join().await;
    let (mut up, mut down, grant) = site.offer().await;
    assert_eq!(grant, Grant::From { offset: 0 });
    site.send_header(&mut up).await;
    site.send_part(&mut up, 0, HALF).await;
    up.finish().unwrap();
    assert!(down.read_to_end(1).await.unwrap().is_empty(), "no answer to half an update");
    site.connection.close(CloseReason::Leaving.code(), b"");
    let site = run.join().await;
    let (mut up, mut down, grant) = site.offer().await;
    assert_eq!(grant, Grant::From { offset: HALF });
    site.send_header(&mut up).await;
    send_vectors_from(&mut up, &[&site.delta], HALF).await.unwrap();
    assert_eq!(receive::<Answer>(&mut down).await.unwrap(), Answer::Accepted);
    // The answer was lost: it is given again without a byte of the update.
    let (_, _, grant) = site.offer().await;
    assert_eq!(grant, Grant::Answered(Answer::Accepted));
    let events = run.end().await;
    assert_eq!(events.iter().filter(|event| matches!(event, RunEvent::UpdateAccepted { .. })).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_with_a_wrong_byte_is_sent_anew_from_the_beginning() {
    let run = Run::begin().await;
    let mut site = run.join().await;
    let (mut up, mut down, _) = site.offer().await;
    site.send_header(&mut up).await;
    let right = std::mem::replace(&mut site.delta[VALUES / 2], 0.5);
    site.send_part(&mut up, 0, 4 * VALUES as u64).await;
    let answer = receive::<Answer>(&mut down).await.unwrap();
    assert!(matches!(&answer, Answer::Damaged { reason } if reason.contains("digest")), "{answer:?}");
    site.delta[VALUES / 2] = right;
    let (mut up, mut down, grant) = site.offer().await;
    assert_eq!(grant, Grant::From { offset: 0 });
    site.send_header(&mut up).await;
    send_vectors_from(&mut up, &[&site.delta], 0).await.unwrap();
    assert_eq!(receive::<Answer>(&mut down).await.unwrap(), Answer::Accepted);
    run.end().await;
}

/// QUIC's migration: a laptop that changes its network, a gateway that changes its port.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_survives_a_change_of_address_between_task_and_update_and_within_an_upload() {
    let run = Run::begin().await;
    let site = run.join().await;
    site.move_away();
    let (mut up, mut down, grant) = site.offer().await;
    assert_eq!(grant, Grant::From { offset: 0 });
    site.send_header(&mut up).await;
    site.send_part(&mut up, 0, HALF).await;
    site.move_away();
    send_vectors_from(&mut up, &[&site.delta], HALF).await.unwrap();
    assert_eq!(receive::<Answer>(&mut down).await.unwrap(), Answer::Accepted);
    assert!(site.connection.close_reason().is_none());
    let events = run.end().await;
    let arrivals = events.iter().filter(|event| matches!(event, RunEvent::SiteArrived { .. })).count();
    assert_eq!(arrivals, 1, "one connection all the time");
}
