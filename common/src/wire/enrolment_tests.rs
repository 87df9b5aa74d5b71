//! Hex snapshots of the messages of enrolment and administration, and what must be refused.

use proptest::prelude::*;

use super::tests::round_trip;
use super::*;
use crate::ids::SiteName;

fn name() -> SiteName {
    SiteName::new("a").unwrap()
}

fn row(name: SiteName, cell: &str) -> MemberRow {
    MemberRow {
        name,
        role: cell.to_owned(),
        state: cell.to_owned(),
        key: Some(cell.to_owned()),
        expires_unix_seconds: Some(1),
        last_seen_unix_seconds: None,
        address: Some(cell.to_owned()),
        release: Some(cell.to_owned()),
        rounds: 2,
        refused: 3,
        warning: Some(cell.to_owned()),
    }
}

// A change in any line of the snapshot is a new version of enrolment or administration.
#[test]
fn every_message_has_its_bytes() {
    let reason = "r".to_owned();
    let invite = AdminRequest::Invite { name: name(), role: MemberRole::Observer, ttl_seconds: 9, approve: true };
    let invited = AdminAnswer::Invited { token: [7; 20], pin: [8; 32], address: "h".into(), expires_unix_seconds: 9 };
    let certified =
        Enrolled::Certified { certificate: vec![1], authorities: vec![vec![2]], crossed: vec![vec![3], vec![4]] };
    let lines = [
        ("probe: release", round_trip(&Probe { release: "0".into() })),
        (
            "presence: release, protocol u8, seconds since 1970 u64",
            round_trip(&Presence { release: "0".into(), protocol: 3, unix_seconds: 5 }),
        ),
        (
            "join: release, name u8 (0 none, 1 text), token 20 bytes, request",
            round_trip(&Join { release: "0".into(), name: Some(name()), token: [7; 20], request: vec![1, 2] }),
        ),
        ("renew: release, request", round_trip(&Renew { release: "0".into(), request: vec![1, 2] })),
        ("enrolled: u32 0 certified, certificate, [authority], [crossed]", round_trip(&certified)),
        ("enrolled: u32 1 waiting", round_trip(&Enrolled::Waiting)),
        ("enrolled: u32 2 refused, reason", round_trip(&Enrolled::Refused { reason: reason.clone() })),
        ("request: u32 0 members", round_trip(&AdminRequest::Members)),
        ("request: u32 1 invite, name, role u32, seconds u64, approve u8", round_trip(&invite)),
        (
            "request: u32 2 approve, name, key 32 bytes",
            round_trip(&AdminRequest::Approve { name: name(), key: [8; 32] }),
        ),
        ("request: u32 3 suspend, name", round_trip(&AdminRequest::Suspend(name()))),
        ("request: u32 4 resume, name", round_trip(&AdminRequest::Resume(name()))),
        ("request: u32 5 revoke, name", round_trip(&AdminRequest::Revoke(name()))),
        ("request: u32 6 remove, name", round_trip(&AdminRequest::Remove(name()))),
        ("request: u32 7 rename, from, to", round_trip(&AdminRequest::Rename { from: name(), to: name() })),
        (
            "request: u32 8 rotate authority, seconds u64",
            round_trip(&AdminRequest::RotateAuthority { window_seconds: 9 }),
        ),
        (
            "answer: u32 0 members, [name, role, state, key, expires, seen, address, release, rounds u64, refused u64, warning]",
            round_trip(&AdminAnswer::Members(vec![row(name(), "c")])),
        ),
        ("answer: u32 1 invited, token 20 bytes, pin 32 bytes, address, expires u64", round_trip(&invited)),
        ("answer: u32 2 done, text", round_trip(&AdminAnswer::Done(reason.clone()))),
        ("answer: u32 3 refused, reason", round_trip(&AdminAnswer::Refused { reason })),
    ];
    let text: Vec<String> = lines.iter().map(|(name, bytes)| format!("{name}\n    {bytes}")).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn the_longest_list_of_members_fits_its_limit_and_a_longer_one_is_refused() {
    let long = SiteName::new(&"n".repeat(63)).unwrap();
    let full = vec![row(long, &"c".repeat(80)); MEMBERS_MAX];
    round_trip(&AdminAnswer::Members(full.clone()));
    let more = [full, vec![row(name(), "c")]].concat();
    assert!(matches!(encode(&AdminAnswer::Members(more)), Err(FrameError::Rules { .. })));
    assert!(encode(&AdminAnswer::Members(vec![row(name(), &"c".repeat(81))])).is_err());
}

#[test]
fn oversized_requests_are_refused_before_they_are_read() {
    let join = |bytes| Join { release: "0".into(), name: None, token: [0; 20], request: vec![0x30; bytes] };
    assert!(encode(&join(2048)).is_ok());
    assert!(matches!(encode(&join(2049)), Err(FrameError::Rules { .. })));
    let claimed = [JOIN_VERSION, Kind::Join.to_byte(), 0, 0, 1, 0];
    assert!(matches!(FrameHeader::parse(claimed), Err(FrameError::TooLong { bytes: 65_536, .. })));
    let other_version = [PROTOCOL_VERSION, Kind::Join.to_byte(), 0, 0, 0, 0];
    assert_eq!(FrameHeader::parse(other_version), Err(FrameError::Version(PROTOCOL_VERSION)));
}

#[test]
fn tokens_do_not_show() {
    let join = Join { release: "0".into(), name: None, token: [77; 20], request: vec![] };
    let invited = AdminAnswer::Invited { token: [77; 20], pin: [8; 32], address: "h".into(), expires_unix_seconds: 9 };
    assert!(!format!("{join:?}{invited:?}").contains("77"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_never_panic_a_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode::<Probe>(&bytes), decode::<Presence>(&bytes), decode::<Join>(&bytes), decode::<Renew>(&bytes));
        let _ = (decode::<Enrolled>(&bytes), decode::<AdminRequest>(&bytes), decode::<AdminAnswer>(&bytes));
    }
}
