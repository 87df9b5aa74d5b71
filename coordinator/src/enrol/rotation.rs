//! One authority after another, on disk.
//!
//! The new authority is written beside the old one and takes its place in one step, the rename of its folder. Until then the old one
//! is the authority; what the new one needs of it (its certificate, and its signature of the new key) is there before.

use std::fs;

use serde::{Deserialize, Serialize};
use synod_certs::{
    Authority, CertificateDer, KeyFingerprint, Overwrite, authority_key, make_folder, read_certificates,
    write_certificates,
};

use super::error::HomeError;
use super::home::{AUTHORITY_LIFE, Home};
use super::member::UnixSeconds;
use super::office::Desk;

const NEXT: &str = "authority-next";
const LAST: &str = "authority-last";
const WINDOW_FILE: &str = "previous/window.json";

/// The older authority, while members may still hold its certificates.
#[derive(Debug)]
pub(super) struct Predecessor {
    certificate: CertificateDer<'static>,
    crossed: CertificateDer<'static>,
    until: UnixSeconds,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    until: UnixSeconds,
}

impl Predecessor {
    /// The older authority of `home`, if one is being replaced at `now`.
    pub(super) fn load(home: &Home, now: UnixSeconds) -> Result<Option<Self>, HomeError> {
        if !home.path(WINDOW_FILE).is_file() {
            return Ok(None);
        }
        let window: Window = home.read(WINDOW_FILE)?;
        let one = |file: &str| -> Result<CertificateDer<'static>, HomeError> {
            let path = home.path(file);
            let damaged = || HomeError::Damaged { path: path.clone(), reason: "it holds no certificate".to_owned() };
            read_certificates(&path, 1)?.pop().ok_or_else(damaged)
        };
        let (certificate, crossed) = (one("previous/authority.pem")?, one("previous/crossed.pem")?);
        let (until, present) = (window.until, Authority::load_certificate(&home.authority())?);
        let before = Self { certificate, crossed, until };
        // A rotation that was broken off before its decisive step left the old authority in its place.
        let is_begun = authority_key(&before.crossed) == authority_key(&present);
        Ok((is_begun && !before.is_over(now)).then_some(before))
    }

    pub(super) fn is_over(&self, now: UnixSeconds) -> bool {
        now >= self.until
    }
}

impl Desk {
    /// Which authorities members trust, and the certificates that link them.
    pub(super) fn trust(&self, authority: &Authority) -> (Vec<CertificateDer<'static>>, Vec<CertificateDer<'static>>) {
        let own = authority.certificate().clone();
        match &self.predecessor {
            Some(before) => (vec![own, before.certificate.clone()], vec![before.crossed.clone()]),
            None => (vec![own], Vec::new()),
        }
    }
}

/// Puts a new authority in the place of the present one, which stays good for `window` seconds.
pub(super) fn rotate(desk: &mut Desk, window: u64, now: UnixSeconds) -> Result<KeyFingerprint, HomeError> {
    if let Some(before) = desk.predecessor.as_ref().filter(|before| !before.is_over(now)) {
        return Err(HomeError::Rotating(before.until.since(now)));
    }
    let (old, word) = desk.unlocked.take().ok_or(HomeError::AuthorityLocked)?;
    let made = make(desk, &old, &word, window, now);
    match made {
        Ok((new, before)) => {
            let fingerprint = new.fingerprint();
            desk.unlocked = Some((new, word));
            desk.predecessor = Some(before);
            Ok(fingerprint)
        }
        Err(error) => {
            desk.unlocked = Some((old, word));
            Err(error)
        }
    }
}

fn make(
    desk: &Desk,
    old: &Authority,
    word: &synod_certs::Passphrase,
    window: u64,
    now: UnixSeconds,
) -> Result<(Authority, Predecessor), HomeError> {
    let home = &desk.home;
    let new = Authority::generate(&desk.settings.name, now.to_system_time()?, AUTHORITY_LIFE)?;
    let before =
        Predecessor { certificate: old.certificate().clone(), crossed: old.cross_sign(&new)?, until: now.plus(window) };
    for left_over in [NEXT, LAST, "previous"] {
        home.remove(left_over)?;
    }
    new.save_sealed(&home.path(NEXT), word, Overwrite::Replace)?;
    make_folder(&home.path("previous"))?;
    let one = std::slice::from_ref;
    write_certificates(&home.path("previous/authority.pem"), one(&before.certificate), Overwrite::Replace)?;
    write_certificates(&home.path("previous/crossed.pem"), one(&before.crossed), Overwrite::Replace)?;
    home.write(WINDOW_FILE, &Window { until: before.until })?;
    rename(home, "authority", LAST)?;
    finish_move(home)?;
    // The old key has signed its last: without it nobody can make certificates of the old authority.
    home.remove(LAST)?;
    Ok((new, before))
}

/// Ends a rotation that was broken off between its two renames.
pub(super) fn finish_move(home: &Home) -> Result<(), HomeError> {
    if !home.authority().exists() && home.path(NEXT).is_dir() {
        rename(home, NEXT, "authority")?;
    }
    Ok(())
}

fn rename(home: &Home, from: &str, to: &str) -> Result<(), HomeError> {
    let path = home.path(from);
    fs::rename(&path, home.path(to)).map_err(|source| HomeError::Io { path, source })
}
