//! Valid inputs of each target.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use synod_certs::{Authority, PendingIdentity, Subject, Token};
use synod_common::event::{LeftOut, Outcome};
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::state::State;
use synod_common::update::UpdateHeader;
use synod_common::wire::{
    AdminRequest, Answer, Declined, Enrolled, Evaluated, Finished, Grant, Hello, Join, Message, Offer, Presence, Probe,
    Progress, Ready, Renew, Task, TaskKind, Welcome, encode,
};
use synod_coordinator::journal::{Accepted, BlobRef, Committed, Entry, Line, Opened};

/// For machines: any bytes are valid.
pub(super) fn none() -> Vec<Vec<u8>> {
    Vec::new()
}

fn digest() -> Digest {
    Digest([7; 32])
}

fn site() -> SiteName {
    SiteName::new("st-vincent").expect("a name")
}

fn metrics() -> Metrics {
    Metrics { samples: 90, values: BTreeMap::from([("accuracy".to_owned(), 0.5), ("loss".to_owned(), 1.25)]) }
}

fn header() -> UpdateHeader {
    UpdateHeader {
        round: RoundId(3),
        plan: digest(),
        layout: digest(),
        samples: 360,
        steps: 36,
        loss_before: Some(2.0),
        before: Some(metrics()),
        train: metrics(),
        after: None,
        train_ms: 1_234,
    }
}

fn frame<M: Message>(message: &M) -> Vec<u8> {
    encode(message).expect("the corpus keeps the rules")
}

pub(super) fn frames() -> Vec<Vec<u8>> {
    let (text, round) = (|| "text".to_owned(), RoundId(3));
    vec![
        frame(&Hello { release: text() }),
        frame(&Welcome { release: text(), site: site(), plan: text(), plan_digest: digest(), layout: digest() }),
        frame(&Ready { plan: digest(), samples: 9, class_counts: vec![4, 5] }),
        frame(&Task {
            round,
            kind: TaskKind::Train,
            plan: digest(),
            model: digest(),
            last_counted: RoundId(2),
            time_left_ms: 60_000,
        }),
        frame(&header()),
        frame(&Answer::Refused { reason: text() }),
        frame(&Progress { round, step: 3, steps: 30, loss: 0.7 }),
        frame(&Evaluated { round, metrics: Some(metrics()) }),
        frame(&Declined { round, reason: text() }),
        frame(&Finished { completed: true, reason: text(), model: digest() }),
        frame(&Probe { release: text() }),
        frame(&Presence { release: text(), protocol: 3, unix_seconds: 1_800_000_000 }),
        frame(&Join { release: text(), name: Some(site()), token: [9; 20], request: vec![1; 90] }),
        frame(&Renew { release: text(), request: vec![1; 90] }),
        frame(&Enrolled::Waiting),
        frame(&Enrolled::Certified { certificate: vec![1; 90], authorities: vec![vec![2; 90]], crossed: Vec::new() }),
        frame(&Offer { round, digest: digest(), bytes: 160 }),
        frame(&Grant::From { offset: 80 }),
        frame(&AdminRequest::Members),
    ]
}

pub(super) fn values() -> Vec<Vec<u8>> {
    let of = |parameters: u8| {
        let content: Vec<u8> = (0..u32::from(parameters)).flat_map(|i| (i as f32).to_le_bytes()).collect();
        [&[parameters, 7], &content[..], &Digest::of(&content).0].concat()
    };
    vec![of(0), of(1), of(40)]
}

pub(super) fn journal_entries() -> Vec<Vec<u8>> {
    let round = RoundId(3);
    let left_out = vec![LeftOut { site: site(), reason: "no update".to_owned() }];
    let blob = BlobRef { digest: digest(), bytes: 160 };
    let opened = Opened {
        round,
        attempt: 1,
        cohort: vec![site()],
        updates_min: 1,
        sites: 4,
        time_left_ms: 60_000,
        extended: false,
    };
    let accepted = Accepted { round, attempt: 1, site: site(), header: header(), time_left_ms: 30_000 };
    let committed = Committed {
        round,
        model: digest(),
        took_part: vec![site()],
        left_out,
        step_norm: 0.5,
        present: vec![site()],
        bytes_down: 1,
        bytes_up: 2,
        run_ms: 3,
    };
    let out = Entry::MemberOut { round, attempt: 1, site: site(), reason: "declined".to_owned(), time_left_ms: 1 };
    let lines = [
        (Entry::RunStarted { plan: digest(), layout: digest(), model: digest() }, vec![]),
        (Entry::SiteJoined { site: site() }, vec![]),
        (Entry::RoundOpened(opened), vec![]),
        (Entry::UpdateAccepted(Box::new(accepted)), vec![blob]),
        (out, vec![]),
        (Entry::RoundCommitted(Box::new(committed)), vec![blob, blob]),
        (Entry::RunEnded { outcome: Outcome::Stopped { reason: "too few".to_owned() } }, vec![]),
    ];
    let bytes = |(entry, blobs)| Line { entry, blobs }.to_bytes().expect("the corpus can be written");
    lines.into_iter().map(bytes).collect()
}

pub(super) fn states() -> Vec<Vec<u8>> {
    let mut state = State::default();
    let empty = state.to_bytes();
    state.set_number("steps", 3.0);
    state.set_vector("first_moment", vec![0.5; 8]);
    state.set_vector("second_moment", vec![0.25; 8]);
    vec![empty, state.to_bytes()]
}

pub(super) fn plans() -> Vec<Vec<u8>> {
    let plans = [
        include_str!("../../../plans/demo.toml"),
        include_str!("../../../plans/scaffold.toml"),
        include_str!("../../../plans/fedrep.toml"),
        include_str!("../../../plans/ridge.toml"),
    ];
    plans.into_iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn pending() -> PendingIdentity {
    synod_certs::Identity::generate().expect("the system gives random bytes")
}

pub(super) fn requests() -> Vec<Vec<u8>> {
    vec![pending().request().to_vec()]
}

pub(super) fn certificates() -> Vec<Vec<u8>> {
    let (now, day) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Duration::from_secs(86_400));
    let authority = Authority::generate(&site(), now, 30 * day).expect("an authority");
    let issue = |subject| authority.issue(pending().request(), &subject, now, day).expect("a certificate").to_vec();
    vec![
        issue(Subject::site(site())),
        issue(Subject::coordinator(site(), Vec::new())),
        issue(Subject::operator(site())),
        authority.certificate().to_vec(),
    ]
}

pub(super) fn invitations() -> Vec<Vec<u8>> {
    let token = Token::from_bytes([9; 20]).expose();
    let fingerprint = pending().fingerprint().to_string();
    vec![token.as_bytes().to_vec(), fingerprint.into_bytes(), digest().to_string().into_bytes(), b"st-vincent".to_vec()]
}
