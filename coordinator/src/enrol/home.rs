//! The folder of a coordinator.
//!
//! ```text
//! settings.json    name, address, lives of certificates
//! registry.json    a line with version and checksum, then the members
//! authority/       authority.pem, and its key, sealed
//! previous/        while an authority takes over: the older one, the signatures that link the two, the end of the window
//! coordinator/     the coordinator's identity
//! operator/        the identity for commands from this machine
//! serving.json     the address, while a coordinator runs
//! lock             held by whoever works on the folder
//! ```

use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use synod_certs::{Authority, Identity, Overwrite, Passphrase, Role, Subject, make_folder, write_secret};
use synod_common::ids::{Digest, SiteName};

use super::error::HomeError;
use super::member::{Approval, UnixSeconds};
use super::office::unix;
use super::registry::Registry;

/// How long an authority is valid: 10 years. It is rotated, not renewed.
pub(super) const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long a coordinator's certificate is valid. It renews itself whenever it starts with its authority unlocked.
pub(super) const COORDINATOR_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// How long the certificate of the operator in the folder is valid; renewed like the coordinator's.
pub(super) const OPERATOR_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// The name of the operator in the folder.
const OPERATOR: &str = "operator";
/// How the first line of the registry begins; the number is the version of the form.
const REGISTRY_MAGIC: &str = "synod-registry 1 ";
/// Largest file read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a coordinator goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name of the federation, which its authority carries.
    pub name: SiteName,
    /// Where sites reach the coordinator: `host:port`.
    pub address: String,
    /// How long certificates of members are valid, in seconds.
    pub certificate_seconds: u64,
    /// For how long after its end a certificate may still be renewed, in seconds.
    pub grace_seconds: u64,
    /// Who decides on keys where an invitation does not say.
    pub approval: Approval,
}

/// A coordinator to be made.
#[derive(Debug)]
pub struct NewHome<'a> {
    /// What it goes by.
    pub settings: Settings,
    /// What the authority's key is sealed with.
    pub passphrase: &'a Passphrase,
    /// Now.
    pub now: SystemTime,
}

/// A coordinator's folder, locked until this is dropped.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes a coordinator in `folder`: authority, coordinator's identity, operator's identity, an empty registry.
    ///
    /// # Errors
    /// When there is one already, or the folder cannot be written.
    pub fn init(folder: &Path, new: &NewHome<'_>) -> Result<Self, HomeError> {
        make_folder(folder)?;
        let home = Self::lock(folder)?;
        if home.path("settings.json").exists() {
            return Err(HomeError::Exists(folder.to_owned()));
        }
        let authority = Authority::generate(&new.settings.name, new.now, AUTHORITY_LIFE)?;
        authority.save_sealed(&home.authority(), new.passphrase, Overwrite::Replace)?;
        let coordinator = Subject::coordinator(new.settings.name.clone(), Vec::new());
        issue(&authority, &coordinator, new.now, COORDINATOR_LIFE)?.save(&home.coordinator(), Overwrite::Replace)?;
        let name = SiteName::new(OPERATOR).map_err(|e| home.damaged("settings.json", &e))?;
        let operator = issue(&authority, &Subject::operator(name.clone()), new.now, OPERATOR_LIFE)?;
        operator.save(&operator_folder(folder), Overwrite::Replace)?;
        let (key, expires) = (operator.as_peer().fingerprint, unix(operator.as_peer().not_after));
        let mut registry = Registry::default();
        registry.add(name, Role::Operator, key, expires)?;
        home.save_registry(&registry)?;
        // Last: a folder without settings is none, so one that was begun can be made again.
        home.write("settings.json", &new.settings)?;
        Ok(home)
    }

    /// Locks the coordinator in `folder`.
    ///
    /// # Errors
    /// When there is none, or another process works on it.
    pub fn open(folder: &Path) -> Result<Self, HomeError> {
        if !folder.join("settings.json").is_file() {
            return Err(HomeError::Missing(folder.to_owned()));
        }
        Self::lock(folder)
    }

    fn lock(folder: &Path) -> Result<Self, HomeError> {
        let path = folder.join("lock");
        let io = |source| HomeError::Io { path: path.clone(), source };
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(HomeError::Locked(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// The settings.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn settings(&self) -> Result<Settings, HomeError> {
        self.read("settings.json")
    }

    /// The members.
    ///
    /// # Errors
    /// When the file cannot be read, is of another version, or is not what was written.
    pub fn registry(&self) -> Result<Registry, HomeError> {
        let text = self.text("registry.json")?;
        let damaged = |reason: &str| self.damaged("registry.json", &reason);
        let rest = text.strip_prefix(REGISTRY_MAGIC).ok_or_else(|| {
            damaged("its first line does not name version 1; it was written by another release, or is another file")
        })?;
        let (checksum, body) = rest.split_once('\n').ok_or_else(|| damaged("it ends in its first line"))?;
        if checksum != Digest::of(body.as_bytes()).to_string() {
            return Err(damaged("its checksum is another one: it was changed or is damaged"));
        }
        serde_json::from_str(body).map_err(|e| self.damaged("registry.json", &e))
    }

    /// Makes the members durable.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_registry(&self, registry: &Registry) -> Result<(), HomeError> {
        let body = serde_json::to_string_pretty(registry).map_err(|e| self.damaged("registry.json", &e))?;
        let text = format!("{REGISTRY_MAGIC}{}\n{body}", Digest::of(body.as_bytes()));
        Ok(write_secret(&self.path("registry.json"), text.as_bytes(), Overwrite::Replace)?)
    }

    /// Says, or takes back, where the coordinator listens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_serving(&self, address: Option<SocketAddr>) -> Result<(), HomeError> {
        match address {
            Some(address) => self.write("serving.json", &address),
            None => self.remove("serving.json"),
        }
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.path("authority")
    }

    pub(super) fn coordinator(&self) -> PathBuf {
        self.path("coordinator")
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn read<T: DeserializeOwned>(&self, file: &str) -> Result<T, HomeError> {
        serde_json::from_str(&self.text(file)?).map_err(|e| self.damaged(file, &e))
    }

    pub(super) fn write(&self, file: &str, value: &impl Serialize) -> Result<(), HomeError> {
        let text = serde_json::to_string_pretty(value).map_err(|e| self.damaged(file, &e))?;
        Ok(write_secret(&self.path(file), text.as_bytes(), Overwrite::Replace)?)
    }

    pub(super) fn remove(&self, file: &str) -> Result<(), HomeError> {
        let path = self.path(file);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(HomeError::Io { path, source }),
            _ => Ok(()),
        }
    }

    fn text(&self, file: &str) -> Result<String, HomeError> {
        read_bounded(&self.path(file))
    }

    fn damaged(&self, file: &str, reason: &impl ToString) -> HomeError {
        HomeError::Damaged { path: self.path(file), reason: reason.to_string() }
    }
}

/// Where the operator's identity of the coordinator in `folder` is.
#[must_use]
pub fn operator_folder(folder: &Path) -> PathBuf {
    folder.join("operator")
}

/// Where the coordinator that runs on `folder` listens.
///
/// # Errors
/// When the file that says so is missing or damaged.
pub fn serving(folder: &Path) -> Result<SocketAddr, HomeError> {
    let path = folder.join("serving.json");
    let text = read_bounded(&path)?;
    serde_json::from_str(&text).map_err(|e| HomeError::Damaged { path, reason: e.to_string() })
}

fn read_bounded(path: &Path) -> Result<String, HomeError> {
    let io = |source| HomeError::Io { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(io)?.len();
    if bytes > FILE_BYTES_MAX {
        let reason = format!("it has {bytes} bytes, at most {FILE_BYTES_MAX} are read");
        return Err(HomeError::Damaged { path: path.to_owned(), reason });
    }
    fs::read_to_string(path).map_err(io)
}

/// A new identity of `subject`.
pub(super) fn issue(
    authority: &Authority,
    subject: &Subject,
    now: SystemTime,
    life: Duration,
) -> Result<Identity, HomeError> {
    let pending = Identity::generate()?;
    let certificate = authority.issue(pending.request(), subject, now, life)?;
    Ok(pending.accept(authority.certificate().clone(), certificate, now)?)
}

impl UnixSeconds {
    /// The same as a system time.
    pub(super) fn to_system_time(self) -> Result<SystemTime, HomeError> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.0)).ok_or(HomeError::Clock)
    }
}
