//! Handshakes of enrolment: pinned authorities, no or expired certificates, one authority after another.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{AlertDescription, Error, ServerConfig};
use synod_certs::tls::{self, Dates, Pin, Protocol, fixed_clock, pinned_authority};
use synod_certs::{Authority, Identity, explain, peer_of, trusted_after};

use crate::world::{Connected, DAY, Stopped, authority, coordinator, handshake, identity, now, site};

const GRACE: Duration = Duration::from_secs(5 * 86_400);

fn enrolling(identity: &Identity, time: SystemTime) -> Arc<ServerConfig> {
    tls::enrolling_server(identity, GRACE, fixed_clock(time)).unwrap()
}

#[test]
fn who_pins_the_authority_reaches_its_coordinator_and_no_other() {
    let (ours, theirs) = (authority(), authority());
    let (hub, stranger) = (identity(&ours, &coordinator()), identity(&theirs, &coordinator()));
    let joining = |pin| tls::joining(pin, Dates::Checked, fixed_clock(now())).unwrap();
    let pin = Pin::Key(ours.fingerprint());

    let Connected { server, client } = handshake(enrolling(&hub, now()), joining(pin)).unwrap();
    assert!(server.peer_certificates().is_none(), "who joins has no certificate");
    assert_eq!(server.alpn_protocol(), Some(Protocol::Join.alpn()));
    let shown = client.peer_certificates().unwrap();
    assert_eq!(pinned_authority(shown, pin).as_ref(), Some(ours.certificate()));

    let Err(Stopped::ByClient(error, _)) = handshake(enrolling(&stranger, now()), joining(pin)) else {
        panic!("the wrong authority must be refused");
    };
    assert!(explain(&error).to_string().contains("another authority"), "{error}");
    // A stranger that shows our authority's certificate beside its own is no better: the signature decides.
    let mixed = theirs_showing(&theirs, &ours);
    assert!(handshake(enrolling(&mixed, now()), joining(pin)).is_err());
    assert!(handshake(enrolling(&stranger, now()), joining(Pin::InsecureAny)).is_ok(), "that is what insecure means");
}

/// A coordinator of `theirs` that trusts, and so shows, both authorities.
fn theirs_showing(theirs: &Authority, ours: &Authority) -> Identity {
    let pending = Identity::generate().unwrap();
    let certificate = theirs.issue(pending.request(), &coordinator(), now(), DAY).unwrap();
    let both = vec![theirs.certificate().clone(), ours.certificate().clone()];
    pending.accept_chain(both, vec![certificate], now()).unwrap()
}

#[test]
fn a_site_with_a_pin_is_no_coordinator() {
    let authority = authority();
    let imposter = identity(&authority, &site());
    assert!(tls::enrolling_server(&imposter, GRACE, fixed_clock(now())).is_err());
}

#[test]
fn a_wrong_clock_keeps_from_joining_but_not_from_asking_the_time() {
    let authority = authority();
    let hub = identity(&authority, &coordinator());
    let pin = Pin::Key(authority.fingerprint());
    for wrong in [now() + 365 * DAY, now() - 365 * DAY] {
        let joining = |dates| tls::joining(pin, dates, fixed_clock(wrong)).unwrap();
        let Err(Stopped::ByClient(error, alert)) = handshake(enrolling(&hub, now()), joining(Dates::Checked)) else {
            panic!("the certificate is out of its time");
        };
        assert_eq!(alert, AlertDescription::CertificateExpired);
        assert!(explain(&error).to_string().contains("clock"), "{error}");
        assert!(handshake(enrolling(&hub, now()), joining(Dates::Ignored)).is_ok());
    }
}

#[test]
fn an_expired_certificate_is_let_through_within_the_grace_and_no_longer() {
    let authority = authority();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    // The coordinator's own certificate lasts a day, too, so its clients look at another clock here.
    let renewing = tls::client_for(&vincent, Protocol::Join, fixed_clock(now())).unwrap();
    let at = |time| handshake(enrolling(&hub, time), Arc::clone(&renewing));
    let seen = at(now() + 5 * DAY).unwrap();
    assert_eq!(&peer_of(&seen.server.peer_certificates().unwrap()[0]).unwrap(), vincent.as_peer());
    let Err(Stopped::ByServer(Error::InvalidCertificate(_), alert)) = at(now() + 7 * DAY) else {
        panic!("the grace is over");
    };
    assert_eq!(alert, AlertDescription::CertificateExpired);
    let strict = tls::server(&hub, fixed_clock(now() + 2 * DAY)).unwrap();
    let running = tls::client(&vincent, fixed_clock(now())).unwrap();
    assert!(handshake(strict, running).is_err(), "a coordinator that does not enrol knows no grace");
}

#[test]
fn strangers_are_refused_also_where_no_certificate_would_do() {
    let (ours, theirs) = (authority(), authority());
    let hub = identity(&ours, &coordinator());
    let stranger = identity(&theirs, &site());
    let mut careless = rustls::ClientConfig::clone(
        &tls::joining(Pin::Key(ours.fingerprint()), Dates::Checked, fixed_clock(now())).unwrap(),
    );
    careless.client_auth_cert_resolver =
        Arc::clone(&tls::client_for(&stranger, Protocol::Join, fixed_clock(now())).unwrap().client_auth_cert_resolver);
    assert!(matches!(handshake(enrolling(&hub, now()), Arc::new(careless)), Err(Stopped::ByServer(..))));
}

#[test]
fn while_one_authority_takes_over_members_of_both_meet_one_coordinator() {
    let (old, new) = (authority(), authority());
    let cross = old.cross_sign(&new).unwrap();
    let (before, after) = (identity(&old, &site()), identity(&new, &site()));
    let pending = Identity::generate().unwrap();
    let certificate = new.issue(pending.request(), &coordinator(), now(), DAY).unwrap();
    let both = vec![new.certificate().clone(), old.certificate().clone()];
    let hub = pending.accept_chain(both.clone(), vec![certificate, cross.clone()], now()).unwrap();

    for member in [&before, &after] {
        let client = tls::client(member, fixed_clock(now())).unwrap();
        assert!(handshake(enrolling(&hub, now()), client).is_ok());
    }
    for pin in [old.fingerprint(), new.fingerprint()] {
        let client = tls::joining(Pin::Key(pin), Dates::Checked, fixed_clock(now())).unwrap();
        assert!(handshake(enrolling(&hub, now()), client).is_ok(), "invitations of before and after work");
    }
    // The old member goes over, and then meets a coordinator that has forgotten the old authority.
    let trusted = trusted_after(before.authorities(), &both[..1], &[cross]).unwrap();
    let request = before.renewal().unwrap();
    let renewed = new.issue(request.request(), &site(), now(), DAY).unwrap();
    let over = request.accept_chain(trusted, vec![renewed], now()).unwrap();
    assert_eq!(over.as_peer().fingerprint, before.as_peer().fingerprint, "with the same key");
    let later = identity(&new, &coordinator());
    let client = |member| tls::client(member, fixed_clock(now())).unwrap();
    assert!(handshake(enrolling(&later, now()), client(&over)).is_ok());
    assert!(handshake(enrolling(&later, now()), client(&before)).is_err());

    let folder = tempfile::tempdir().unwrap();
    hub.save(folder.path(), synod_certs::Overwrite::Refuse).unwrap();
    let again = Identity::load(folder.path(), now()).unwrap();
    assert_eq!(again.authorities(), both);
}
