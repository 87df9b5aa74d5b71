//! Everything else that is read: values, journal entries, states, plans, certificates.

use std::cell::OnceCell;
use std::time::{Duration, SystemTime};

use synod_certs::{Authority, CertificateSigningRequestDer, KeyFingerprint, Role, Subject, Token, peer_of};
use synod_common::ids::{Digest, SiteName};
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::wire::ValueReader;
use synod_coordinator::journal::Line;

/// Values of a model of as many parameters as the first byte says, in pieces as the next bytes say.
pub(super) fn values(bytes: &[u8]) {
    let Some((&[parameters, piece], rest)) = bytes.split_first_chunk::<2>() else { return };
    let mut buffer = vec![0.0; usize::from(parameters)];
    let mut reader = ValueReader::new(&mut buffer);
    let (content, digest) = rest.split_at(rest.len().min(usize::from(parameters) * 4));
    for part in content.chunks(usize::from(piece).max(1)) {
        reader.push(part).expect("there is no more than is missing");
    }
    assert!(reader.push(&vec![0; reader.missing_bytes() + 1]).is_err(), "more than is missing is refused");
    let Ok(digest) = digest.try_into() else { return };
    let is_whole = reader.missing_bytes() == 0 && Digest::of(content).0 == digest;
    assert_eq!(reader.finish(digest).is_ok(), is_whole);
}

/// An entry of the journal, as it is and with a digest that fits.
pub(super) fn journal_entry(bytes: &[u8]) {
    let text = bytes.get(32..).unwrap_or_default();
    let sealed = [&Digest::of(text).0[..], text].concat();
    for bytes in [bytes, &sealed] {
        let Ok(line) = Line::from_bytes(bytes) else { continue };
        let once = line.to_bytes().expect("what was read can be written");
        let again = Line::from_bytes(&once).expect("what was written can be read");
        assert_eq!(again.to_bytes().expect("as before"), once);
    }
}

/// What a strategy remembers, as it is and with a digest that fits.
pub(super) fn state(bytes: &[u8]) {
    let body = bytes.get(..bytes.len().saturating_sub(32)).unwrap_or_default();
    let sealed = [body, &Digest::of(body).0[..]].concat();
    for bytes in [bytes, &sealed] {
        if let Ok(state) = State::from_bytes(bytes, 64) {
            assert!(state.vectors().map(|(_, values)| values.len()).sum::<usize>() <= 64);
            assert_eq!(state.to_bytes(), bytes, "a state has one form");
        }
    }
}

/// A plan: refused with problems, or read, written and read again as the same.
pub(super) fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Plan::read(text, &AnyLoss) {
        Ok(plan) => {
            let again = Plan::read(&plan.to_toml(), &AnyLoss).expect("a written plan can be read");
            assert_eq!(again.digest(), plan.digest());
        }
        Err(error) => assert!(!error.problems.is_empty(), "a refusal says why"),
    }
}

/// A certificate of the other side.
pub(super) fn certificate(bytes: &[u8]) {
    if let Ok(peer) = peer_of(bytes) {
        assert_eq!(peer_of(bytes).expect("it was read before"), peer);
    }
}

thread_local! {
    static AUTHORITY: OnceCell<Authority> = const { OnceCell::new() };
}

/// A certificate request: refused, or its certificate is for who was asked for and nobody else.
pub(super) fn request(bytes: &[u8]) {
    let site = SiteName::new("site").expect("a name");
    let (now, day) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Duration::from_secs(86_400));
    AUTHORITY.with(|authority| {
        let made = || Authority::generate(&site, now, 30 * day).expect("an authority");
        let authority = authority.get_or_init(made);
        let request = CertificateSigningRequestDer::from(bytes);
        let subject = Subject::site(site.clone());
        if let Ok(certificate) = authority.issue(&request, &subject, now, day) {
            let peer = peer_of(&certificate).expect("an issued certificate can be read");
            assert_eq!((peer.role, peer.name), (Role::Site, site.clone()));
        }
    });
}

/// The texts that people paste: invitations, fingerprints, digests, names.
pub(super) fn invitation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = text.parse::<Token>() {
        let again: Token = token.expose().parse().expect("a shown token can be read");
        assert_eq!(again, token);
    }
    if let Ok(fingerprint) = text.parse::<KeyFingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }
    if let Ok(name) = SiteName::new(text) {
        assert_eq!(name.to_string(), text);
    }
}
