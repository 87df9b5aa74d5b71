//! An enrolled site that misbehaves: what it sends is refused with a reason, and the others' run goes on unharmed.

use std::path::Path;

use quinn::{Connection, RecvStream, SendStream};
use synod_certs::Identity;
use synod_common::blocks::{Layout, vectors_digest};
use synod_common::ids::{Digest, RoundId};
use synod_common::metrics::Metrics;
use synod_common::update::UpdateHeader;
use synod_common::wire::{Answer, Grant, Hello, Offer, Ready, Task, Welcome};
use synod_transport::{CloseReason, bind_client, connect, receive, receive_values, send, send_vectors_from};

use crate::rig::{Keys, Running, digits_plan};

/// Parameters of the plan's model: 64 x 16 + 16 + 16 x 10 + 10.
const PARAMETERS: usize = 1210;

fn header(round: u64, welcome: &Welcome, layout: Digest) -> UpdateHeader {
    UpdateHeader {
        round: RoundId(round),
        plan: welcome.plan_digest,
        layout,
        samples: 10,
        steps: 1,
        loss_before: None,
        before: None,
        train: Metrics::default(),
        after: None,
        train_ms: 0,
    }
}

/// Offers `delta` in answer to `round`, and waits until it may be sent.
async fn offer(connection: &Connection, round: u64, delta: &[f32]) -> (SendStream, RecvStream) {
    let (mut up, mut down) = connection.open_bi().await.unwrap();
    let offer = Offer { round: RoundId(round), digest: vectors_digest(&[delta]), bytes: 4 * PARAMETERS as u64 };
    send(&mut up, &offer).await.unwrap();
    assert_eq!(receive::<Grant>(&mut down).await.unwrap(), Grant::From { offset: 0 });
    (up, down)
}

#[expect(clippy::disallowed_methods, reason = "certificates are judged by the wall clock")]
fn identity(folder: &Path) -> Identity {
    Identity::load(folder, std::time::SystemTime::now()).unwrap()
}

/// Takes part in a round with a wrong round number, a NaN and a frame of forged length; the answers to the first two.
async fn misbehave(address: &str, folder: &Path) -> Vec<Answer> {
    let remote = address.parse().unwrap();
    let endpoint = bind_client(remote).unwrap();
    let connection = connect(&endpoint, &identity(folder), remote).unwrap().await.unwrap();
    let (mut up, mut down) = connection.open_bi().await.unwrap();
    send(&mut up, &Hello { release: "hostile".into() }).await.unwrap();
    let welcome: Welcome = receive(&mut down).await.unwrap();
    let ready = Ready { plan: welcome.plan_digest, samples: 10, class_counts: vec![] };
    send(&mut up, &ready).await.unwrap();
    let mut task_stream = connection.accept_uni().await.unwrap();
    let task: Task = receive(&mut task_stream).await.unwrap();
    let mut model = vec![0.0; PARAMETERS];
    receive_values(&mut task_stream, &mut model).await.unwrap();
    let mut answers = Vec::new();
    for (round, spoil) in [(task.round.0 + 7, 0.0), (task.round.0, f32::NAN)] {
        let mut delta = vec![0.0; PARAMETERS];
        delta[PARAMETERS - 1] = spoil;
        let (mut up, mut down) = offer(&connection, round, &delta).await;
        send(&mut up, &header(round, &welcome, welcome.layout)).await.unwrap();
        send_vectors_from(&mut up, &[&delta], 0).await.unwrap();
        up.finish().unwrap();
        answers.push(receive(&mut down).await.unwrap());
    }
    // A header that claims four gigabytes: the connection ends, before anything is allocated.
    let (mut up, _down) = connection.open_bi().await.unwrap();
    up.write_all(&[3, 6, 255, 255, 255, 255]).await.unwrap();
    let end = connection.closed().await.to_string();
    assert!(end.contains(&CloseReason::Protocol.code().to_string()), "closed for a breach of the protocol: {end}");
    answers
}

#[test]
fn a_hostile_site_is_refused_with_reasons_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0", "site-1"]);
    let extra = "[round]\narrival.count.min = 2\nupdates.count.min = 1\nupdates.grace = \"20s\"\n";
    let plan = digits_plan(root, 2, extra);
    let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let honest = Running::client(&address, &keys.of("site-0"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answers = runtime.block_on(misbehave(&address, &keys.of("site-1")));
    for (answer, expected) in answers.iter().zip(["answers round 8", "not finite in block"]) {
        let Answer::Refused { reason } = answer else { panic!("{answer:?} must be a refusal") };
        assert!(reason.contains(expected), "{reason}");
    }
    let (code, _, stderr) = honest.end();
    assert_eq!(code, Some(0), "{stderr}");
    let (code, lines, stderr) = coordinator.end();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(lines.iter().any(|l| l.contains("round_committed") && l.contains("not finite")), "the report names it");
}

#[test]
fn an_upload_that_stops_in_the_middle_is_dropped_and_the_site_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let keys = Keys::new(&root.join("keys"), &["site-0", "site-1"]);
    let plan = digits_plan(
        root,
        2,
        "[round]\narrival.count.min = 2\nupdates.count.min = 1\nupdates.time.max = \"3s\"\nupdates.grace = \"2s\"\n",
    );
    let (coordinator, address) = Running::coordinator(&plan, &keys.of("coordinator"), &root.join("net"));
    let honest = Running::client(&address, &keys.of("site-0"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let remote = address.parse().unwrap();
        let endpoint = bind_client(remote).unwrap();
        let connection = connect(&endpoint, &identity(&keys.of("site-1")), remote).unwrap().await.unwrap();
        let (mut up, mut down) = connection.open_bi().await.unwrap();
        send(&mut up, &Hello { release: "half".into() }).await.unwrap();
        let welcome: Welcome = receive(&mut down).await.unwrap();
        send(&mut up, &Ready { plan: welcome.plan_digest, samples: 10, class_counts: vec![] }).await.unwrap();
        let mut task_stream = connection.accept_uni().await.unwrap();
        let _task: Task = receive(&mut task_stream).await.unwrap();
        let (mut up, _down) = offer(&connection, 1, &[0.0; PARAMETERS]).await;
        send(&mut up, &header(1, &welcome, welcome.layout)).await.unwrap();
        up.write_all(&[0; 1000]).await.unwrap();
        connection.close(CloseReason::Leaving.code(), b"gone in the middle");
        endpoint.wait_idle().await;
    });
    assert_eq!(honest.end().0, Some(0));
    let (code, lines, stderr) = coordinator.end();
    assert_eq!(code, Some(0), "{stderr}");
    let named = lines.iter().any(|l| l.contains("round_committed") && l.contains("gone in the middle"));
    assert!(named, "the round that closed without it says why: {lines:?}");
    // What is left is a whole model of the announced layout.
    let text = std::fs::read_to_string(root.join("net/plan.toml")).unwrap();
    let plan = synod_common::plan::Plan::read(&text, &synod_common::plan::AnyLoss).unwrap();
    let layout: Layout = synod_client::models::layout(&plan).unwrap();
    let values = synod_client::models::export::read(&plan, &root.join("net/model.safetensors")).unwrap();
    assert_eq!(values.len(), layout.len());
}
