//! The office as a story: questions in, answers out, and what is left in the folder.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use synod_certs::tls::{TimeProvider, UnixTime};
use synod_certs::{Identity, Passphrase, PendingIdentity, Role, trusted_after};
use synod_common::ids::SiteName;
use synod_common::wire::{AdminAnswer, AdminRequest, Enrolled, Join, MemberRole, MemberRow, Renew};

use super::*;

const DAY: u64 = 86_400;
const START: u64 = 1_795_502_530;

#[derive(Debug)]
struct Hands(AtomicU64);

impl TimeProvider for Hands {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

struct Rig {
    folder: tempfile::TempDir,
    hands: Arc<Hands>,
    office: Option<Office>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

fn word() -> Passphrase {
    Passphrase::new("correct horse").unwrap()
}

fn address() -> SocketAddr {
    "192.0.2.7:5000".parse().unwrap()
}

fn name(text: &str) -> SiteName {
    SiteName::new(text).unwrap()
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            name: name("study-a"),
            address: "hub.example.org:7443".to_owned(),
            certificate_seconds: 7 * DAY,
            grace_seconds: 30 * DAY,
            approval: Approval::Automatic,
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
        drop(Home::init(&folder.path().join("home"), &NewHome { settings, passphrase: &word(), now }).unwrap());
        let mut rig =
            Self { folder, hands: Arc::new(Hands(AtomicU64::new(START))), office: None, notices: Arc::default() };
        rig.open(Some(word()));
        rig
    }

    fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("home")
    }

    /// Closes the office and opens it again, as a coordinator that was restarted.
    fn open(&mut self, word: Option<Passphrase>) {
        self.office = None;
        let notices = Arc::clone(&self.notices);
        let hands: Arc<Hands> = Arc::clone(&self.hands);
        let office =
            Office::open(&self.home(), word, hands, Box::new(move |notice| notices.lock().unwrap().push(notice)));
        self.office = Some(office.unwrap());
    }

    fn office(&self) -> &Office {
        self.office.as_ref().unwrap()
    }

    fn wait(&self, seconds: u64) {
        self.hands.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.hands.0.load(Ordering::Relaxed))
    }

    fn ask(&self, request: &AdminRequest) -> AdminAnswer {
        self.office().admin(Role::Operator, "test", request).0
    }

    fn does(&self, request: &AdminRequest) {
        let answer = self.ask(request);
        assert!(matches!(answer, AdminAnswer::Done(_)), "{answer:?}");
    }

    fn invite(&self, who: &str, approve: bool) -> [u8; 20] {
        let request = AdminRequest::Invite { name: name(who), role: MemberRole::Site, ttl_seconds: 900, approve };
        match self.ask(&request) {
            AdminAnswer::Invited { token, .. } => token,
            other => panic!("no invitation: {other:?}"),
        }
    }

    fn join(&self, token: [u8; 20], pending: &PendingIdentity) -> Enrolled {
        self.join_as(token, pending, None)
    }

    fn join_as(&self, token: [u8; 20], pending: &PendingIdentity, name: Option<SiteName>) -> Enrolled {
        let join = Join { release: "0.1".to_owned(), name, token, request: pending.request().to_vec() };
        self.office().join(&join, address())
    }

    fn member(&self, who: &str) -> Identity {
        let pending = Identity::generate().unwrap();
        let answer = self.join(self.invite(who, false), &pending);
        self.accept(pending, answer)
    }

    fn accept(&self, pending: PendingIdentity, answer: Enrolled) -> Identity {
        let Enrolled::Certified { certificate, authorities, .. } = answer else { panic!("no certificate: {answer:?}") };
        let authorities = authorities.into_iter().map(Into::into).collect();
        pending.accept_chain(authorities, vec![certificate.into()], self.now()).unwrap()
    }

    fn row(&self, who: &str) -> MemberRow {
        let AdminAnswer::Members(rows) = self.ask(&AdminRequest::Members) else { panic!("no list") };
        rows.into_iter().find(|row| row.name == name(who)).unwrap()
    }

    fn admits(&self, identity: &Identity) -> Result<Admitted, PolicyRefusal> {
        self.office().admit(identity.as_peer(), address())
    }
}

fn reason(answer: Enrolled) -> String {
    match answer {
        Enrolled::Refused { reason } => reason,
        other => panic!("it must be refused: {other:?}"),
    }
}

#[test]
fn a_site_joins_is_admitted_and_is_still_known_after_a_restart() {
    let mut rig = Rig::new();
    let vincent = rig.member("st-vincent");
    assert_eq!(rig.admits(&vincent).unwrap().name, name("st-vincent"));
    rig.office().took_part(&[name("st-vincent")]);
    rig.open(None);
    assert_eq!(rig.admits(&vincent).unwrap().role, Role::Site);
    let row = rig.row("st-vincent");
    assert_eq!((row.state.as_str(), row.rounds, row.release.as_deref()), ("active", 1, Some("0.1")));
    assert_eq!(row.key, Some(vincent.as_peer().fingerprint.to_string()));
    assert_eq!(row.expires_unix_seconds, Some(START + 7 * DAY));
}

#[test]
fn an_invitation_works_once_for_its_name_in_its_time_and_strangers_learn_nothing() {
    let rig = Rig::new();
    let (first, second) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let token = rig.invite("st-vincent", false);
    assert!(reason(rig.join_as(token, &first, Some(name("riverside")))).contains("another name"));
    assert!(matches!(rig.join(token, &first), Enrolled::Certified { .. }), "the wrong name did not use it up");
    assert!(matches!(rig.join(token, &first), Enrolled::Certified { .. }), "the answer may have been lost");
    assert!(reason(rig.join(token, &second)).contains("used already"));
    rig.wait(CLAIM_RETRY_MAX + 1);
    assert!(reason(rig.join(token, &first)).contains("used already"), "a replay a while later");
    assert_eq!(rig.row("st-vincent").refused, 3, "the operator sees it");
    assert!(rig.notices.lock().unwrap().iter().any(|notice| matches!(notice, Notice::Refused { .. })));

    let late = rig.invite("riverside", false);
    rig.wait(901);
    assert!(reason(rig.join(late, &second)).contains("expired 1 s ago"));
    let unknown = reason(rig.join([9; 20], &second));
    assert!(!unknown.contains("vincent") && !unknown.contains("riverside"), "{unknown}");
    let again = rig.invite("riverside", false);
    assert_eq!(reason(rig.join(late, &second)), unknown, "an invitation that was replaced is as good as none");
    assert!(matches!(rig.join(again, &second), Enrolled::Certified { .. }));
}

#[test]
fn requests_that_prove_nothing_do_not_use_an_invitation_up() {
    let rig = Rig::new();
    let token = rig.invite("st-vincent", false);
    let good = Identity::generate().unwrap();
    for request in [vec![], vec![0x30; 40], good.request()[..100].to_vec()] {
        let join = Join { release: "0".to_owned(), name: None, token, request };
        assert!(reason(rig.office().join(&join, address())).contains("PKCS#10"));
    }
    assert!(matches!(rig.join(token, &good), Enrolled::Certified { .. }));
}

#[test]
fn a_key_waits_for_the_operator_who_compares_it() {
    let mut rig = Rig::new();
    let pending = Identity::generate().unwrap();
    let token = rig.invite("st-vincent", true);
    assert_eq!(rig.join(token, &pending), Enrolled::Waiting);
    assert_eq!(rig.join(token, &pending), Enrolled::Waiting);
    assert_eq!(rig.row("st-vincent").state, "pending");
    assert_eq!(rig.row("st-vincent").key, Some(pending.fingerprint().to_string()));
    let approve = |key| AdminRequest::Approve { name: name("st-vincent"), key };
    assert!(matches!(rig.ask(&approve([7; 32])), AdminAnswer::Refused { reason } if reason.contains("another one")));
    rig.wait(DAY);
    rig.open(Some(word()));
    rig.does(&approve(pending.fingerprint().0));
    rig.wait(DAY);
    let answer = rig.join(token, &pending);
    let vincent = rig.accept(pending, answer);
    assert!(rig.admits(&vincent).is_ok(), "an approved key waits for as long as it takes");
}

#[test]
fn who_is_suspended_or_revoked_is_refused_everywhere_also_after_a_restart() {
    let mut rig = Rig::new();
    let (vincent, riverside) = (rig.member("st-vincent"), rig.member("riverside"));
    let admitted = rig.admits(&vincent).unwrap();
    let renew = |rig: &Rig, identity: &Identity| {
        let request = identity.renewal().unwrap().request().to_vec();
        rig.office().renew(identity.as_peer(), &Renew { release: "0".to_owned(), request }, address())
    };
    rig.does(&AdminRequest::Suspend(name("st-vincent")));
    rig.open(Some(word()));
    assert_eq!(rig.admits(&vincent), Err(PolicyRefusal::Suspended));
    assert!(!rig.office().is_admitted(&admitted), "nor is what it sends on an open connection");
    assert!(reason(renew(&rig, &vincent)).contains("cannot be renewed"));
    rig.does(&AdminRequest::Resume(name("st-vincent")));
    assert!(rig.office().is_admitted(&admitted));

    let (_, effects) = rig.office().admin(Role::Operator, "test", &AdminRequest::Revoke(name("st-vincent")));
    assert_eq!(effects.expelled.unwrap().name, name("st-vincent"));
    rig.open(Some(word()));
    assert_eq!(rig.admits(&vincent), Err(PolicyRefusal::Revoked));
    assert!(reason(renew(&rig, &vincent)).contains("cannot be renewed"));
    assert!(matches!(rig.ask(&AdminRequest::Resume(name("st-vincent"))), AdminAnswer::Refused { .. }));
    assert!(rig.admits(&riverside).is_ok(), "others do not notice");

    // It comes back with a new invitation and a new key, and the old key stays out.
    let token = rig.invite("st-vincent", false);
    assert!(reason(rig.join(token, &vincent.renewal().unwrap())).contains("used before"));
    let fresh = Identity::generate().unwrap();
    let answer = rig.join(token, &fresh);
    let fresh = rig.accept(fresh, answer);
    assert!(rig.admits(&fresh).is_ok());
    assert_eq!(rig.admits(&vincent), Err(PolicyRefusal::Revoked));
    rig.does(&AdminRequest::Remove(name("st-vincent")));
    assert_eq!(rig.admits(&fresh), Err(PolicyRefusal::Unknown));
}

#[test]
fn certificates_are_renewed_also_late_but_not_too_late_and_with_a_new_key() {
    let rig = Rig::new();
    let vincent = rig.member("st-vincent");
    let renew = |identity: &Identity, pending: PendingIdentity| {
        let renew = Renew { release: "0".to_owned(), request: pending.request().to_vec() };
        let answer = rig.office().renew(identity.as_peer(), &renew, address());
        (pending, answer)
    };
    rig.wait(5 * DAY);
    let (pending, answer) = renew(&vincent, vincent.renewal().unwrap());
    let second = rig.accept(pending, answer);
    assert_eq!(second.as_peer().fingerprint, vincent.as_peer().fingerprint);
    assert!(second.as_peer().not_after > vincent.as_peer().not_after);

    // A new key: the old one is good until the new one was seen.
    let (pending, answer) = renew(&second, Identity::generate().unwrap());
    let third = rig.accept(pending, answer);
    assert!(rig.admits(&second).is_ok());
    assert!(rig.admits(&third).is_ok());
    assert_eq!(rig.admits(&second), Err(PolicyRefusal::Unknown));

    rig.wait(8 * DAY);
    assert_eq!(rig.row("st-vincent").state, "expired");
    assert_eq!(rig.admits(&third), Err(PolicyRefusal::Expired));
    let (pending, answer) = renew(&third, third.renewal().unwrap());
    let fourth = rig.accept(pending, answer);
    assert!(rig.admits(&fourth).is_ok(), "within the grace time the old certificate still renews");
    rig.wait(40 * DAY);
    assert!(reason(renew(&fourth, fourth.renewal().unwrap()).1).contains("expired too long ago"));
    let token = rig.invite("st-vincent", false);
    assert!(matches!(rig.join(token, &Identity::generate().unwrap()), Enrolled::Certified { .. }));
}

#[test]
fn a_locked_authority_certifies_nothing_and_uses_no_invitation_up() {
    let mut rig = Rig::new();
    rig.open(None);
    let token = rig.invite("st-vincent", false);
    let pending = Identity::generate().unwrap();
    assert!(reason(rig.join(token, &pending)).contains("cannot certify keys at the moment"));
    rig.open(Some(word()));
    assert!(matches!(rig.join(token, &pending), Enrolled::Certified { .. }));
}

#[test]
fn one_authority_takes_over_from_another_and_nobody_enrols_again() {
    let mut rig = Rig::new();
    let vincent = rig.member("st-vincent");
    let old_pin = rig.office().pin().unwrap();
    rig.does(&AdminRequest::RotateAuthority { window_seconds: 30 * DAY });
    assert_ne!(rig.office().pin().unwrap(), old_pin);
    let again = rig.ask(&AdminRequest::RotateAuthority { window_seconds: DAY });
    assert!(matches!(again, AdminAnswer::Refused { reason } if reason.contains("not over yet")));
    rig.open(Some(word()));
    assert_eq!(rig.office().identity().authorities().len(), 2, "the coordinator trusts both");
    assert!(rig.admits(&vincent).is_ok());

    let pending = vincent.renewal().unwrap();
    let renew = Renew { release: "0".to_owned(), request: pending.request().to_vec() };
    let answer = rig.office().renew(vincent.as_peer(), &renew, address());
    let Enrolled::Certified { certificate, authorities, crossed } = answer else { panic!("{answer:?}") };
    let all = |list: Vec<Vec<u8>>| list.into_iter().map(Into::into).collect::<Vec<_>>();
    let trusted = trusted_after(vincent.authorities(), &all(authorities), &all(crossed)).unwrap();
    assert_eq!(trusted.len(), 2, "the old authority's signature leads to the new one");
    pending.accept_chain(trusted, vec![certificate.into()], rig.now()).unwrap();

    rig.wait(31 * DAY);
    assert!(rig.office().maintain(), "the coordinator's identity changes when the window ends");
    assert_eq!(rig.office().identity().authorities().len(), 1);
    assert!(!rig.home().join("previous").exists());
}

#[test]
fn names_change_and_the_key_speaks_for_its_holder() {
    let rig = Rig::new();
    let (vincent, riverside) = (rig.member("st-vincent"), rig.member("riverside"));
    let rename = |to: &str| AdminRequest::Rename { from: name("st-vincent"), to: name(to) };
    assert!(matches!(rig.ask(&rename("riverside")), AdminAnswer::Refused { .. }));
    rig.does(&rename("vincent-east"));
    assert_eq!(rig.admits(&vincent).unwrap().name, name("vincent-east"));
    assert_eq!(rig.admits(&riverside).unwrap().name, name("riverside"));
}

#[test]
fn roles_may_do_no_more_than_they_need() {
    let rig = Rig::new();
    for role in [Role::Site, Role::Coordinator, Role::Observer] {
        let answer = rig.office().admin(role, "x", &AdminRequest::Revoke(name("operator"))).0;
        assert!(matches!(answer, AdminAnswer::Refused { reason } if reason.contains("may not give this command")));
    }
    let looks = |role| matches!(rig.office().admin(role, "x", &AdminRequest::Members).0, AdminAnswer::Members(_));
    assert!(looks(Role::Observer) && looks(Role::Operator) && !looks(Role::Site));
    let last = rig.ask(&AdminRequest::Revoke(name("operator")));
    assert!(matches!(last, AdminAnswer::Refused { reason } if reason.contains("only operator")));
}

#[test]
fn a_folder_is_one_process_and_damage_is_named() {
    let mut rig = Rig::new();
    let open = |folder: &Path, word| {
        Office::open(folder, word, Arc::new(Hands(AtomicU64::new(START))), Box::new(|_| {})).map(drop)
    };
    assert!(matches!(open(&rig.home(), None), Err(HomeError::Locked(_))));
    rig.office = None;
    assert!(open(&rig.home(), None).is_ok());
    let wrong = Passphrase::new("another horse").unwrap();
    assert!(matches!(open(&rig.home(), Some(wrong)), Err(HomeError::Authority(_))));
    assert!(matches!(open(&rig.folder.path().join("nowhere"), None), Err(HomeError::Missing(_))));
    let settings = rig_settings(&rig);
    let now = rig.now();
    let again = Home::init(&rig.home(), &NewHome { settings, passphrase: &word(), now });
    assert!(matches!(again, Err(HomeError::Exists(_))), "nothing is overwritten");

    let file = rig.home().join("registry.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("synod-registry 1 "), "the form has a version");
    for damage in
        [text.replace("operator", "observer"), text.replace("synod-registry 1", "synod-registry 9"), String::new()]
    {
        std::fs::write(&file, damage).unwrap();
        let error = open(&rig.home(), None).unwrap_err();
        assert!(matches!(error, HomeError::Damaged { .. }), "{error}");
    }
}

fn rig_settings(rig: &Rig) -> Settings {
    serde_json::from_str(&std::fs::read_to_string(rig.home().join("settings.json")).unwrap()).unwrap()
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_folder_and_no_token_is_in_it() {
    use std::os::unix::fs::PermissionsExt;

    let rig = Rig::new();
    let token = synod_certs::Token::from_bytes(rig.invite("st-vincent", false)).expose();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&rig.home()), 0o700);
    for file in
        ["registry.json", "settings.json", "authority/authority.key.pem", "coordinator/key.pem", "operator/key.pem"]
    {
        assert_eq!(mode(&rig.home().join(file)), 0o600, "{file}");
    }
    let registry = std::fs::read_to_string(rig.home().join("registry.json")).unwrap();
    assert!(!registry.contains(&*token));
    let shown = format!("{:?}", rig.notices.lock().unwrap());
    assert!(!shown.contains(&*token));
}
