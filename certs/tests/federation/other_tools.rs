//! openssl must read what is written and accept the chain: a second opinion that shares no code with ours.

use std::path::Path;
use std::process::{Command, Output};
use std::time::UNIX_EPOCH;

use synod_certs::{Identity, Overwrite, Passphrase, Subject};

use crate::world::{DAY, authority, coordinator, identity, name, now, site};

#[test]
fn openssl_reads_the_certificates_and_accepts_the_chain() {
    if !openssl_is_here() {
        return;
    }
    let authority = authority();
    for (subject, purpose, other_purpose) in [
        (site(), "sslclient", "sslserver"),
        (Subject::operator(name("ada")), "sslclient", "sslserver"),
        (coordinator(), "sslserver", "sslclient"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let identity = identity(&authority, &subject);
        identity.save(folder.path(), Overwrite::Refuse).unwrap();

        assert_succeeds(verify(folder.path(), purpose));
        assert!(!verify(folder.path(), other_purpose).status.success(), "{subject} must not pass for {other_purpose}");
        let text = assert_succeeds(openssl(folder.path(), &["x509", "-in", "certificate.pem", "-noout", "-text"]));
        assert!(text.contains(&format!("URI:{}", subject.uri())), "{text}");
        assert!(text.contains("CA:FALSE"), "{text}");
        assert_succeeds(openssl(folder.path(), &["pkey", "-in", "key.pem", "-noout", "-check"]));
        assert_eq!(fingerprint_by_openssl(folder.path()), identity.as_peer().fingerprint.to_string());
    }
}

#[test]
fn openssl_accepts_the_request() {
    if !openssl_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("request.der"), Identity::generate().unwrap().request()).unwrap();
    assert_succeeds(openssl(folder.path(), &["req", "-inform", "DER", "-in", "request.der", "-noout", "-verify"]));
}

/// A sealed authority is not tied to Synod: openssl opens it with the same passphrase.
#[test]
fn openssl_opens_a_sealed_authority() {
    if !openssl_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (authority, word) = (authority(), Passphrase::new("correct horse").unwrap());
    authority.save_sealed(folder.path(), &word, Overwrite::Refuse).unwrap();
    let open = |word| openssl(folder.path(), &["pkey", "-in", "authority.key.pem", "-passin", word, "-pubout"]);
    let public = assert_succeeds(open("pass:correct horse"));
    let certified = openssl(folder.path(), &["x509", "-in", "authority.pem", "-noout", "-pubkey"]);
    assert_eq!(public, assert_succeeds(certified));
    assert!(!open("pass:wrong horse").status.success());
}

#[test]
fn openssl_follows_the_chain_from_an_old_authority_to_its_successor() {
    if !openssl_is_here() {
        return;
    }
    let (old, new) = (authority(), authority());
    let cross = old.cross_sign(&new).unwrap();
    let pending = Identity::generate().unwrap();
    let certificate = new.issue(pending.request(), &coordinator(), now(), DAY).unwrap();
    let both = vec![old.certificate().clone(), new.certificate().clone()];
    let folder = tempfile::tempdir().unwrap();
    pending
        .accept_chain(both, vec![certificate, cross], now())
        .unwrap()
        .save(folder.path(), Overwrite::Refuse)
        .unwrap();
    let at = now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    old.save(&folder.path().join("old"), Overwrite::Refuse).unwrap();
    let command = ["verify", "-x509_strict", "-attime", &at, "-purpose", "sslserver", "-CAfile", "old/authority.pem"];
    assert_succeeds(openssl(
        folder.path(),
        &[&command[..], &["-untrusted", "certificate.pem", "certificate.pem"]].concat(),
    ));
}

#[expect(clippy::print_stderr, reason = "a test that checked nothing has to say so")]
fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: there is no openssl command on this machine, so its view of the files was not checked");
    }
    here
}

fn verify(folder: &Path, purpose: &str) -> Output {
    let at = now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let command = ["verify", "-x509_strict", "-attime", &at, "-purpose", purpose, "-CAfile", "authority.pem"];
    openssl(folder, &[&command[..], &["certificate.pem"]].concat())
}

fn fingerprint_by_openssl(folder: &Path) -> String {
    let public = assert_succeeds(openssl(folder, &["x509", "-in", "certificate.pem", "-noout", "-pubkey"]));
    std::fs::write(folder.join("public.pem"), public).unwrap();
    assert_succeeds(openssl(folder, &["pkey", "-pubin", "-in", "public.pem", "-outform", "DER", "-out", "public.der"]));
    let digest = assert_succeeds(openssl(folder, &["dgst", "-sha256", "-r", "public.der"]));
    format!("sha256:{}", digest.split_whitespace().next().unwrap())
}

fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).current_dir(folder).output().unwrap()
}

fn assert_succeeds(output: Output) -> String {
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "openssl refused: {err}{out}");
    out
}
