//! No text that anything here produces may show a private key, in any of the forms bytes are printed in.

use std::fmt::{Debug, Write};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use synod_certs::tls::{self, fixed_clock};
use synod_certs::{Authority, Identity, Overwrite, Passphrase, Token};

use crate::world::{authority, coordinator, identity, now, site};

/// The private scalar of a P-256 key lies at this place of its PKCS#8 form.
const SCALAR: std::ops::Range<usize> = 36..68;

/// The forms in which a key could leak: its lines of base64, hex in both cases, and the lists that `Debug` prints.
fn leaks_of(pem_file: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(pem_file).unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).unwrap();
    let scalar = &der.secret_pkcs8_der()[SCALAR];
    let join = |write: fn(&mut String, u8)| {
        scalar.iter().take(8).fold(String::new(), |mut out, byte| {
            write(&mut out, *byte);
            out
        })
    };
    let mut leaks: Vec<_> =
        text.lines().filter(|line| !line.starts_with("-----") && line.len() > 8).map(str::to_owned).collect();
    leaks.push(join(|out, byte| write!(out, "{byte:02x}").unwrap()));
    leaks.push(join(|out, byte| write!(out, "{byte:02X}").unwrap()));
    leaks.push(join(|out, byte| write!(out, "{byte},").unwrap()));
    leaks.push(join(|out, byte| write!(out, "0x{byte:02x},").unwrap()));
    leaks.push("PRIVATE".to_owned());
    leaks
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}{value:#?}").split_whitespace().collect()
}

#[test]
fn the_forms_of_a_leak_are_recognised() {
    // A check that never fails proves nothing: the key itself, printed in each way, must be caught.
    let folder = tempfile::tempdir().unwrap();
    identity(&authority(), &site()).save(folder.path(), Overwrite::Refuse).unwrap();
    let file = folder.path().join("key.pem");
    let leaks = leaks_of(&file);
    let text = std::fs::read_to_string(&file).unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).unwrap();
    let hex: String = der.secret_pkcs8_der().iter().map(|byte| format!("{byte:02x}")).collect();
    for careless in [text.clone(), shown(&der.secret_pkcs8_der()), hex] {
        assert!(leaks.iter().any(|leak| careless.contains(leak)), "not caught: {careless}");
    }
}

#[test]
fn no_type_shows_a_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority();
    authority.save(&folder.path().join("authority"), Overwrite::Refuse).unwrap();
    let (hub, vincent) = (identity(&authority, &coordinator()), identity(&authority, &site()));
    hub.save(&folder.path().join("hub"), Overwrite::Refuse).unwrap();
    vincent.save(&folder.path().join("vincent"), Overwrite::Refuse).unwrap();

    let mut texts = vec![
        shown(&authority),
        shown(&hub),
        shown(&vincent),
        shown(hub.as_peer()),
        vincent.as_peer().to_string(),
        shown(&tls::server(&hub, fixed_clock(now())).unwrap()),
        shown(&tls::client(&vincent, fixed_clock(now())).unwrap()),
        shown(&tls::server(&vincent, fixed_clock(now())).unwrap_err()),
        shown(&Authority::load(&folder.path().join("authority"))),
        shown(&Identity::load(&folder.path().join("hub"), now())),
        shown(&Identity::generate().unwrap()),
    ];
    // Errors about files that hold a key: a damaged one, one in the place of a certificate, one of another identity.
    let key = folder.path().join("vincent/key.pem");
    let whole = std::fs::read_to_string(&key).unwrap();
    let leaks: Vec<_> = ["authority/authority.key.pem", "hub/key.pem", "vincent/key.pem"]
        .iter()
        .flat_map(|file| leaks_of(&folder.path().join(file)))
        .collect();
    for damaged in
        [whole.replace("END PRIVATE", "END"), whole[..whole.len() / 2].to_owned(), whole.replacen('M', "!", 1)]
    {
        std::fs::write(&key, damaged).unwrap();
        let error = Identity::load(&folder.path().join("vincent"), now()).unwrap_err();
        texts.extend([error.to_string().replace("BEGIN PRIVATE KEY", ""), shown(&error)]);
    }
    std::fs::copy(folder.path().join("hub/key.pem"), &key).unwrap();
    let error = Identity::load(&folder.path().join("vincent"), now()).unwrap_err();
    texts.extend([error.to_string(), shown(&error)]);
    std::fs::copy(&key, folder.path().join("vincent/certificate.pem")).unwrap();
    let error = Identity::load(&folder.path().join("vincent"), now()).unwrap_err();
    texts.extend([error.to_string(), shown(&error)]);

    // A sealed authority, its passphrase, and an invitation.
    let word = Passphrase::new("a quite long passphrase").unwrap();
    let sealed = folder.path().join("sealed");
    authority.save_sealed(&sealed, &word, Overwrite::Refuse).unwrap();
    let file = std::fs::read_to_string(sealed.join("authority.key.pem")).unwrap();
    assert!(file.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{file}");
    texts.push(file.replace("PRIVATE", ""));
    texts.push(shown(&word));
    texts.push(shown(&Authority::load_sealed(&sealed, &Passphrase::new("another passphrase").unwrap())));
    texts.push(shown(&Authority::load_sealed(&sealed, &word)));
    let token = Token::generate().unwrap();
    texts.extend([shown(&token), shown(&token.digest())]);
    let mut leaks = leaks;
    leaks.extend(["quitelong".to_owned(), token.expose().to_string(), token.expose().to_ascii_uppercase()]);
    leaks.push(token.to_bytes().iter().take(8).map(|byte| format!("{byte},")).collect());

    for text in texts {
        for leak in &leaks {
            assert!(!text.contains(leak), "a private key shows (as {leak}) in: {text}");
        }
    }
}
