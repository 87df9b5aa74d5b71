//! The byte form of entries.

use proptest::prelude::*;
use synod_common::event::{LeftOut, Outcome};
use synod_common::ids::{Digest, RoundId};
use synod_common::metrics::Metrics;
use synod_common::update::UpdateHeader;

use super::super::line::Line;
use super::super::{Accepted, BlobRef, Committed, Entry, Opened};
use super::script::site;

fn lines() -> Vec<Line> {
    let digest = Digest([0xab; 32]);
    let blob = BlobRef { digest, bytes: 12 };
    let mut train = Metrics { samples: 5, ..Metrics::default() };
    train.values.insert("loss".into(), 0.1 + 0.2);
    let header = UpdateHeader {
        round: RoundId(2),
        plan: digest,
        layout: digest,
        samples: 5,
        steps: 1,
        loss_before: Some(f64::MIN_POSITIVE),
        before: None,
        train,
        after: None,
        train_ms: 1,
    };
    let accepted = Accepted { round: RoundId(2), attempt: 1, site: site("a"), header, time_left_ms: 7 };
    let opened = Opened {
        round: RoundId(2),
        attempt: 1,
        cohort: vec![site("a"), site("b")],
        updates_min: 1,
        extended: false,
        sites: 3,
        time_left_ms: 1000,
    };
    let committed = Committed {
        round: RoundId(2),
        model: digest,
        took_part: vec![site("a")],
        left_out: vec![LeftOut { site: site("b"), reason: "late".into() }],
        step_norm: 1.0 / 3.0,
        present: vec![site("a")],
        bytes_down: 1,
        bytes_up: 2,
        run_ms: 3,
    };
    let reason = "no".to_owned();
    let entries = [
        (Entry::RunStarted { plan: digest, layout: digest, model: digest }, 0),
        (Entry::SiteJoined { site: site("a") }, 0),
        (Entry::RoundOpened(opened), 0),
        (Entry::UpdateAccepted(Box::new(accepted)), 2),
        (
            Entry::MemberOut {
                round: RoundId(2),
                attempt: 1,
                site: site("b"),
                reason: reason.clone(),
                time_left_ms: 5,
            },
            0,
        ),
        (Entry::RoundCommitted(Box::new(committed)), 1),
        (Entry::RunEnded { outcome: Outcome::Stopped { reason } }, 0),
        (Entry::RunEnded { outcome: Outcome::Completed }, 0),
    ];
    entries.into_iter().map(|(entry, blobs)| Line { entry, blobs: vec![blob; blobs] }).collect()
}

#[test]
fn every_entry_reads_back_to_the_last_bit() {
    for line in lines() {
        assert_eq!(Line::from_bytes(&line.to_bytes().unwrap()), Ok(line));
    }
}

/// The form on disk of version 1: what is written today must be readable by every later release.
#[test]
fn the_byte_form_is_this() {
    let text: Vec<String> =
        lines().iter().map(|line| String::from_utf8(line.to_bytes().unwrap()[32..].to_vec()).unwrap()).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_cut_or_changed_entry_is_refused_at_every_byte() {
    for line in lines() {
        let bytes = line.to_bytes().unwrap();
        for at in 0..bytes.len() {
            assert!(Line::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Line::from_bytes(&changed).is_err(), "changed at {at}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_under_its_digest_makes_the_reader_panic(text in "\\PC{0,200}") {
        let sealed = [&Digest::of(text.as_bytes()).0[..], text.as_bytes()].concat();
        prop_assert!(Line::from_bytes(&sealed).is_err());
    }
}
