//! The door over real sockets: strangers, members, and who was a member a moment ago.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use synod_certs::tls::{self, Dates, Pin, Protocol, system_clock};
use synod_certs::{Identity, Passphrase, Role};
use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::event::RunEvent;
use synod_common::ids::SiteName;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::update::BufferPool;
use synod_common::wire::{
    AdminAnswer, AdminRequest, Enrolled, Hello, Join, Kind, MemberRole, Presence, Probe, Ready, Renew, Task, Welcome,
};
use synod_transport::{CloseReason, Line, LineError, bind_client, connect, connect_with, receive, send};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Members, NoHost, ServeOptions, serve};
use crate::enrol::{Approval, Home, NewHome, Office, Settings};
use crate::journal::{Journal, Keep};

use crate::round::{Ended, Setup};

/// Whatever takes longer hangs.
const HANGING: Duration = Duration::from_secs(20);

struct Rig {
    office: Arc<Office>,
    address: SocketAddr,
    events: mpsc::UnboundedReceiver<RunEvent>,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<Ended>,
    _folder: tempfile::TempDir,
}

fn name(text: &str) -> SiteName {
    SiteName::new(text).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "certificates are judged by the wall clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let word = Passphrase::new("correct horse").unwrap();
        let settings = Settings {
            name: name("study-a"),
            address: "hub.example.org:7443".to_owned(),
            certificate_seconds: 3600,
            grace_seconds: 3600,
            approval: Approval::Automatic,
        };
        drop(Home::init(&home, &NewHome { settings, passphrase: &word, now: now() }).unwrap());
        let office = Arc::new(Office::open(&home, Some(word), system_clock(), Box::new(|_| {})).unwrap());
        let plan = "rounds = 2\nmodel = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n\
                    [round]\narrival.count.min = 1\nupdates.on_too_few = \"retry\"\n";
        let layout = vec![BlockSpec { name: "w".into(), shape: vec![2], kind: BlockKind::Parameter }];
        let setup = Setup {
            plan: Arc::new(Plan::read(plan, &AnyLoss).unwrap()),
            layout: Layout::new(layout).unwrap(),
            initial: vec![0.0, 10.0],
            state: State::default(),
            pool: BufferPool::new(2, 4),
        };
        let journal = Journal::open_folder(&folder.path().join("journal"), Keep::default()).unwrap();
        let options = ServeOptions {
            members: Members::Of(Arc::clone(&office)),
            listen: ([127, 0, 0, 1], 0).into(),
            release: "test".to_owned(),
        };
        let (told, events) = mpsc::unbounded_channel();
        let sink = Arc::new(move |event: &RunEvent| {
            let _ = told.send(event.clone());
        });
        let (listens, address) = oneshot::channel();
        let listens = Mutex::new(Some(listens));
        let listening = move |address| {
            let _ = listens.lock().unwrap().take().unwrap().send(address);
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let interrupt = async move {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(async move {
            serve(options, setup, journal, Arc::new(NoHost), sink, listening, interrupt).await.unwrap()
        });
        let address = address.await.unwrap();
        Self { office, address, events, stop, serving, _folder: folder }
    }

    fn pin(&self) -> Pin {
        Pin::Key(self.office.pin().unwrap())
    }

    async fn stranger(&self, pin: Pin) -> Result<Line, LineError> {
        Line::open(&self.address.to_string(), tls::joining(pin, Dates::Checked, system_clock()).unwrap()).await
    }

    fn command(&self, request: &AdminRequest) -> AdminAnswer {
        self.office.admin(Role::Operator, "test", request).0
    }

    async fn member(&self, who: &str, role: MemberRole) -> Identity {
        let invite = AdminRequest::Invite { name: name(who), role, ttl_seconds: 60, approve: false };
        let AdminAnswer::Invited { token, .. } = self.command(&invite) else { panic!("no invitation") };
        let pending = Identity::generate().unwrap();
        let join = Join { release: "t".into(), name: None, token, request: pending.request().to_vec() };
        let line = self.stranger(self.pin()).await.unwrap();
        let answer: Enrolled = line.ask(&join).await.unwrap();
        let Enrolled::Certified { certificate, authorities, .. } = answer else { panic!("{answer:?}") };
        let authorities = authorities.into_iter().map(Into::into).collect();
        pending.accept_chain(authorities, vec![certificate.into()], now()).unwrap()
    }

    async fn event(&mut self, wanted: impl Fn(&RunEvent) -> bool) -> RunEvent {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the run goes on");
                if wanted(&event) {
                    return event;
                }
            }
        };
        timeout(HANGING, found).await.expect("the event comes")
    }

    async fn end(self) {
        let _ = self.stop.send(());
        timeout(HANGING, self.serving).await.expect("it ends").unwrap();
    }
}

/// A connection for a run that said hello and is ready, and its task.
async fn take_part(rig: &Rig, identity: &Identity) -> (quinn::Endpoint, quinn::Connection) {
    let endpoint = bind_client(rig.address).unwrap();
    let connection = connect(&endpoint, identity, rig.address).unwrap().await.unwrap();
    let (mut up, mut down) = connection.open_bi().await.unwrap();
    send(&mut up, &Hello { release: "t".into() }).await.unwrap();
    let welcome: Welcome = receive(&mut down).await.unwrap();
    assert_eq!(&welcome.site, identity.name());
    send(&mut up, &Ready { plan: welcome.plan_digest, samples: 3, class_counts: vec![] }).await.unwrap();
    let mut stream = connection.accept_uni().await.unwrap();
    let _task: Task = receive(&mut stream).await.unwrap();
    // The control stream stays open for as long as the connection.
    tokio::spawn({
        let connection = connection.clone();
        async move {
            connection.closed().await;
            drop((up, down));
        }
    });
    (endpoint, connection)
}

fn code_of(error: &quinn::ConnectionError) -> Option<CloseReason> {
    match error {
        quinn::ConnectionError::ApplicationClosed(close) => CloseReason::from_code(close.error_code),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_hear_who_is_here_and_no_more() {
    let rig = Rig::new().await;
    let line = rig.stranger(rig.pin()).await.unwrap();
    let presence: Presence = line.ask(&Probe { release: "t".into() }).await.unwrap();
    assert_eq!((presence.release.as_str(), presence.protocol), ("test", synod_common::wire::PROTOCOL_VERSION));
    // Renewing needs a certificate, commands need their own protocol: both break the rules here.
    let refused = line.ask::<_, Enrolled>(&Renew { release: "t".into(), request: vec![] }).await.unwrap_err();
    assert!(refused.to_string().contains("broke the protocol"), "{refused}");
    let line = rig.stranger(rig.pin()).await.unwrap();
    let refused = line.ask::<_, AdminAnswer>(&AdminRequest::Members).await.unwrap_err();
    assert!(refused.to_string().contains("broke the protocol"), "{refused}");
    let wrong = Pin::Key(synod_certs::KeyFingerprint([7; 32]));
    assert!(matches!(rig.stranger(wrong).await, Err(LineError::Refused(_))));

    // Without a certificate the protocols of members end at the door.
    for protocol in [Protocol::Run, Protocol::Admin] {
        let mut tls = tls::ClientConfig::clone(&tls::joining(rig.pin(), Dates::Checked, system_clock()).unwrap());
        tls.alpn_protocols = vec![protocol.alpn().to_vec()];
        let endpoint = bind_client(rig.address).unwrap();
        let connection = connect_with(&endpoint, Arc::new(tls), rig.address).unwrap().await.unwrap();
        let end = timeout(HANGING, connection.closed()).await.unwrap();
        assert_eq!(code_of(&end), Some(CloseReason::Role), "{protocol:?}: {end}");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_and_oversized_questions_end_the_connection_and_use_nothing_up() {
    let rig = Rig::new().await;
    for bytes in [
        vec![1, Kind::Join.to_byte(), 255, 255, 255, 255],
        vec![1, Kind::Join.to_byte(), 4, 0, 0, 0, 1, 2, 3, 4],
        vec![9, Kind::Join.to_byte(), 0, 0, 0, 0],
        vec![1, 200, 0, 0, 0, 0],
        vec![1, Kind::Join.to_byte(), 40],
    ] {
        let endpoint = bind_client(rig.address).unwrap();
        let tls = tls::joining(rig.pin(), Dates::Checked, system_clock()).unwrap();
        let connection = connect_with(&endpoint, tls, rig.address).unwrap().await.unwrap();
        let (mut up, _down) = connection.open_bi().await.unwrap();
        up.write_all(&bytes).await.unwrap();
        up.finish().unwrap();
        let end = timeout(HANGING, connection.closed()).await.unwrap();
        let code = code_of(&end);
        assert!(matches!(code, Some(CloseReason::Protocol | CloseReason::Silent)), "{bytes:?}: {end}");
    }
    let _ = rig.member("site-0", MemberRole::Site).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_shown_out_and_comes_back_later() {
    let rig = Rig::new().await;
    let (mut answered, mut refused) = (0, None);
    while refused.is_none() && answered < 500 {
        let line = rig.stranger(rig.pin()).await.unwrap();
        match line.ask::<_, Presence>(&Probe { release: "t".into() }).await {
            Ok(_) => answered += 1,
            Err(error) => refused = Some(error.to_string()),
        }
    }
    assert!(answered >= 60, "an address may ask as often as it needs: {answered}");
    assert!(refused.unwrap().contains("too many questions"), "and no more");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_site_is_out_within_a_second_and_named_in_the_report() {
    let mut rig = Rig::new().await;
    let (vincent, riverside) =
        (rig.member("st-vincent", MemberRole::Site).await, rig.member("riverside", MemberRole::Site).await);
    let ada = rig.member("ada", MemberRole::Operator).await;
    let (_endpoint, connection) = take_part(&rig, &vincent).await;
    rig.event(|event| matches!(event, RunEvent::RoundStarted { .. })).await;
    // It is in the middle of an upload.
    let (mut up, _down) = connection.open_bi().await.unwrap();
    up.write_all(&[3, Kind::Update.to_byte()]).await.unwrap();

    let tls = tls::client_for(&ada, Protocol::Admin, system_clock()).unwrap();
    let line = Line::open(&rig.address.to_string(), tls).await.unwrap();
    let answer: AdminAnswer = line.ask(&AdminRequest::Revoke(name("st-vincent"))).await.unwrap();
    assert!(matches!(answer, AdminAnswer::Done(_)), "{answer:?}");
    let end = timeout(Duration::from_secs(1), connection.closed()).await.expect("within a second");
    assert_eq!(code_of(&end), Some(CloseReason::Expelled), "{end}");
    assert!(end.to_string().contains("revoked by the operator"), "{end}");
    let retried =
        rig.event(|event| matches!(event, RunEvent::RoundRetried { .. } | RunEvent::RunFinished { .. })).await;
    assert!(format!("{retried:?}").contains("revoked by the operator"), "{retried:?}");

    // Every later handshake ends at the door, also for a renewal; the other site does not notice.
    let endpoint = bind_client(rig.address).unwrap();
    let again = connect(&endpoint, &vincent, rig.address).unwrap().await.unwrap();
    let end = timeout(HANGING, again.closed()).await.unwrap();
    assert_eq!(code_of(&end), Some(CloseReason::Expelled), "{end}");
    let renewing = tls::client_for(&vincent, Protocol::Join, system_clock()).unwrap();
    let line = Line::open(&rig.address.to_string(), renewing).await.unwrap();
    let request = vincent.renewal().unwrap().request().to_vec();
    let refused: Enrolled = line.ask(&Renew { release: "t".into(), request }).await.unwrap();
    assert!(matches!(refused, Enrolled::Refused { .. }), "{refused:?}");
    let peer = riverside.as_peer().clone();
    assert!(rig.office.admit(&peer, rig.address).is_ok());
    rig.end().await;
}
