//! Hex snapshots of every message, and what must be refused.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::{Digest, RoundId, SiteName};
use crate::metrics::Metrics;
use crate::update::UpdateHeader;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn metrics() -> Metrics {
    Metrics { samples: 4, values: BTreeMap::from([("loss".to_owned(), 0.5)]) }
}

fn update() -> UpdateHeader {
    UpdateHeader {
        round: RoundId(3),
        plan: digest(1),
        layout: digest(2),
        samples: 7,
        steps: 5,
        loss_before: Some(0.25),
        before: None,
        train: metrics(),
        after: None,
        train_ms: 9,
    }
}

pub(super) fn round_trip<M: Message + PartialEq + std::fmt::Debug>(message: &M) -> String {
    let frame = encode(message).unwrap();
    let header: [u8; FRAME_HEADER_BYTES] = frame[..FRAME_HEADER_BYTES].try_into().unwrap();
    let header = FrameHeader::parse(header).unwrap().expect::<M>().unwrap();
    let body = &frame[FRAME_HEADER_BYTES..];
    assert_eq!(header.body_bytes, body.len());
    assert_eq!(&decode::<M>(body).unwrap(), message);
    // Leftover bytes and cut bodies are refused.
    assert!(matches!(decode::<M>(&[body, &[0]].concat()), Err(FrameError::Body { .. })));
    if !body.is_empty() {
        assert!(matches!(decode::<M>(&body[..body.len() - 1]), Err(FrameError::Body { .. })));
    }
    hex(&frame)
}

// A change in any line of the snapshot is a new protocol version. Every frame begins with version 03, kind, and the body's
// length as u32 LE; texts and lists begin with their length as u64 LE; numbers are LE; a digest is 32 bytes.
#[test]
fn every_message_has_its_bytes() {
    let reason = "r".to_owned();
    let site = SiteName::new("a").unwrap();
    let welcome = Welcome { release: "0".into(), site, plan: "p".into(), plan_digest: digest(1), layout: digest(2) };
    let task = Task {
        round: RoundId(3),
        kind: TaskKind::Evaluate,
        plan: digest(1),
        model: digest(2),
        last_counted: RoundId(2),
        time_left_ms: 5,
    };
    let lines = [
        ("hello: release", round_trip(&Hello { release: "0.1".into() })),
        ("welcome: release, site, plan, plan digest, layout digest", round_trip(&welcome)),
        (
            "ready: plan digest, samples u64, class counts [u64]",
            round_trip(&Ready { plan: digest(1), samples: 7, class_counts: vec![3, 4] }),
        ),
        (
            "task: round u64, kind u32 (0 train, 1 evaluate), plan digest, model digest, last counted round u64, time left u64",
            round_trip(&task),
        ),
        (
            "progress: round u64, step u64, steps u64, loss f64",
            round_trip(&Progress { round: RoundId(3), step: 1, steps: 2, loss: 0.5 }),
        ),
        (
            "update: round u64, plan, layout, samples u64, steps u64, loss before u8 (0 none, 1 f64), before u8 (0 none, 1 metrics), train (samples u64, [name, f64]), after u8, train ms u64",
            round_trip(&update()),
        ),
        (
            "offer: round u64, digest of the values, bytes u64",
            round_trip(&Offer { round: RoundId(3), digest: digest(4), bytes: 8 }),
        ),
        ("grant: u32 0 from, offset u64", round_trip(&Grant::From { offset: 5 })),
        ("grant: u32 1 answered, answer", round_trip(&Grant::Answered(Answer::Accepted))),
        ("answer: u32 0 accepted", round_trip(&Answer::Accepted)),
        ("answer: u32 1 refused, reason", round_trip(&Answer::Refused { reason: reason.clone() })),
        ("answer: u32 2 damaged, reason", round_trip(&Answer::Damaged { reason: reason.clone() })),
        ("evaluated: round u64, metrics as in update", round_trip(&Evaluated { round: RoundId(3), metrics: None })),
        ("declined: round u64, reason", round_trip(&Declined { round: RoundId(3), reason: reason.clone() })),
        (
            "finished: completed u8, reason, model digest",
            round_trip(&Finished { completed: true, reason, model: digest(9) }),
        ),
    ];
    let text: Vec<String> = lines.iter().map(|(name, bytes)| format!("{name}\n    {bytes}")).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn forged_headers_are_refused_before_anything_is_allocated() {
    assert_eq!(FrameHeader::parse([1, 1, 0, 0, 0, 0]), Err(FrameError::Version(1)));
    assert_eq!(FrameHeader::parse([PROTOCOL_VERSION, 0, 0, 0, 0, 0]), Err(FrameError::UnknownKind(0)));
    assert!(matches!(
        FrameHeader::parse([PROTOCOL_VERSION, 1, 255, 255, 255, 255]),
        Err(FrameError::TooLong { bytes: 4_294_967_295, .. })
    ));
    let hello = FrameHeader::parse([PROTOCOL_VERSION, 1, 0, 0, 0, 0]).unwrap();
    assert!(matches!(hello.expect::<Task>(), Err(FrameError::UnexpectedKind { .. })));
}

#[test]
fn forged_lengths_inside_a_body_are_refused() {
    // A text that claims 2^63 bytes, a vector that claims 2^40 entries.
    let huge = [0, 0, 0, 0, 0, 0, 0, 0x80];
    assert!(decode::<Hello>(&huge).is_err());
    let mut body = vec![1; 32];
    body.extend([0; 8]);
    body.extend((1_u64 << 40).to_le_bytes());
    assert!(decode::<Ready>(&body).is_err());
}

#[test]
fn messages_that_break_their_rules_are_neither_sent_nor_read() {
    let mut bad = update();
    bad.train.values.insert("loss".into(), f64::NAN);
    assert!(matches!(encode(&bad), Err(FrameError::Rules { .. })));
    let bad = UpdateHeader { loss_before: Some(f64::NAN), ..update() };
    assert!(matches!(encode(&bad), Err(FrameError::Rules { .. })));
    assert!(matches!(
        encode(&Progress { round: RoundId(1), step: 0, steps: 0, loss: f64::INFINITY }),
        Err(FrameError::Rules { .. })
    ));
    assert!(encode(&Hello { release: "x".repeat(65) }).is_err());
    assert_eq!(shorten(&"é".repeat(REASON_BYTES_MAX)).len(), REASON_BYTES_MAX - 1);
}

#[test]
fn the_largest_update_header_fits_its_limit() {
    let full = Metrics {
        samples: u64::MAX,
        values: (0..crate::metrics::METRICS_MAX).map(|i| (format!("{i:0>64}"), 1.0)).collect(),
    };
    let header = UpdateHeader { before: Some(full.clone()), train: full.clone(), after: Some(full), ..update() };
    round_trip(&header);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_never_panic_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode::<Hello>(&bytes), decode::<Welcome>(&bytes), decode::<Ready>(&bytes), decode::<Task>(&bytes));
        let _ = (decode::<Progress>(&bytes), decode::<UpdateHeader>(&bytes), decode::<Answer>(&bytes));
        let _ = (decode::<Evaluated>(&bytes), decode::<Declined>(&bytes), decode::<Finished>(&bytes));
    }

    #[test]
    fn damaged_messages_never_panic_a_decoder(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut frame = encode(&update()).unwrap();
        let at = at.index(frame.len() - FRAME_HEADER_BYTES) + FRAME_HEADER_BYTES;
        frame[at] = byte;
        let _ = decode::<UpdateHeader>(&frame[FRAME_HEADER_BYTES..]);
    }

    #[test]
    fn values_survive_any_cutting_into_pieces(values in prop::collection::vec(any::<f32>(), 0..50), cuts in prop::collection::vec(1..9_usize, 0..60)) {
        let mut bytes: Vec<u8> = chunks(&values).flat_map(|c| c.to_vec()).collect();
        let sum = crate::blocks::values_digest(&values);
        let mut got = vec![0.0; values.len()];
        let mut reader = ValueReader::new(&mut got);
        for cut in cuts {
            let rest = bytes.split_off(cut.min(bytes.len()));
            reader.push(&bytes).unwrap();
            bytes = rest;
        }
        reader.push(&bytes).unwrap();
        prop_assert_eq!(reader.missing_bytes(), 0);
        prop_assert!(reader.finish(sum.0).is_ok());
        prop_assert_eq!(got.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn block_streams_with_too_many_too_few_or_damaged_bytes_are_refused() {
    let mut values = [0.0; 2];
    assert_eq!(ValueReader::new(&mut values).push(&[0; 9]), Err(ValuesError::TooLong { expected: 8 }));
    let mut reader = ValueReader::new(&mut values);
    reader.push(&[0; 7]).unwrap();
    assert_eq!(reader.finish([0; 32]), Err(ValuesError::TooShort { got: 7, expected: 8 }));
    let mut reader = ValueReader::new(&mut values);
    reader.push(&[0; 8]).unwrap();
    assert_eq!(reader.finish([0; 32]), Err(ValuesError::Digest { bytes: 8 }));
}
