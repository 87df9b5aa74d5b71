//! What goes wrong, for the operator and for whoever joins.

use std::io;
use std::path::PathBuf;

use synod_certs::{AuthorityError, FileError, IdentityError, IdentityProblem, TokenError};
use synod_common::ids::SiteName;
use synod_common::wire::MEMBERS_MAX;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Nobody has this name.
    #[error("there is no member {0}; `synod coordinator sites` lists them")]
    Unknown(SiteName),
    /// Somebody has this name.
    #[error("the name {0} is taken; choose another, or remove that member first")]
    Taken(SiteName),
    /// The member stands otherwise.
    #[error("{name} is {state}, so it cannot be {what}; {help}")]
    Standing {
        /// Who.
        name: SiteName,
        /// How it stands.
        state: &'static str,
        /// What was asked for.
        what: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// The member has another role.
    #[error("{0} has another role; remove it first, or choose another name")]
    Role(SiteName),
    /// Another key waits.
    #[error(
        "the key of {0} that waits is another one; compare the fingerprint that the site shows with `synod coordinator sites`, and remove the member if they differ"
    )]
    Key(SiteName),
    /// Nobody could give commands any more.
    #[error("{0} is the only operator; invite another one first")]
    LastOperator(SiteName),
    /// There are too many.
    #[error("there are {MEMBERS_MAX} members, which is the most; remove some first")]
    Full,
}

/// Why whoever shows an invitation gets no certificate. A stranger learns nothing from it: whoever has no token that was once
/// given out hears the same of every token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefusal {
    /// No invitation has this token.
    #[error("this invitation is not known here; ask the operator for a new one, and paste the whole line")]
    Unknown,
    /// It was not used in time.
    #[error("this invitation expired {0} s ago; ask the operator for a new one")]
    Expired(u64),
    /// It was used with another key, or too long ago.
    #[error(
        "this invitation was used already; ask the operator for a new one, and tell them if it was not you who used it"
    )]
    Used,
    /// It is for another name.
    #[error("this invitation is for another name; leave --name away to take the name that the operator chose")]
    Name,
    /// A certificate was shown that cannot be renewed.
    #[error(
        "this certificate cannot be renewed: it expired too long ago, or its holder is no active member; ask the operator for a new invitation"
    )]
    Member,
    /// The key is known already.
    #[error("this key was used before in this federation; make a new one by joining into an empty folder")]
    Key,
}

/// Why a coordinator's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It is not there.
    #[error(
        "there is no coordinator in {0}; make one with `synod coordinator init --name NAME`, or name its folder with --home"
    )]
    Missing(PathBuf),
    /// One is there already.
    #[error("there is a coordinator in {0} already; choose another folder with --home")]
    Exists(PathBuf),
    /// Another process has it.
    #[error("another process works on {0}; wait until it is done, or end it")]
    Locked(PathBuf),
    /// A file cannot be read or written.
    #[error("could not use {path}: {source}; check that this user owns the folder and that the disk is not full")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("could not use {path}: {reason}; restore the folder from its backup")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The authority's key is not unlocked.
    #[error(
        "the authority is locked, so nothing can be signed; give its passphrase on the terminal, or --key-file, or SYNOD_PASSPHRASE_FILE"
    )]
    AuthorityLocked,
    /// Another rotation is under way.
    #[error(
        "the previous rotation is not over yet: it ends in {0} s; until then members may still hold certificates of the older authority"
    )]
    Rotating(u64),
    /// The clock gives no time.
    #[error("this machine's clock gives no time that certificates can hold; set it")]
    Clock,
    /// A certificate or key file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What the authority signed does not pass the check of an identity.
    #[error(transparent)]
    Problem(#[from] IdentityProblem),
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The registry said no.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}
