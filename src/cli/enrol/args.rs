//! What can be typed to enrol.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use synod_certs::{KeyFingerprint, Zeroizing};
use synod_common::ids::SiteName;
use synod_common::wire::MemberRole;

/// Where a client's membership is kept.
pub(crate) const CLIENT_HOME: &str = "synod-client";
/// Where a coordinator is kept.
const COORDINATOR_HOME: &str = "synod-coordinator";

/// A coordinator's folder, and what unlocks its authority.
#[derive(Args, Debug)]
pub(crate) struct HomeArgs {
    /// The coordinator's folder, from `synod coordinator init`.
    #[arg(long, env = "SYNOD_COORDINATOR_HOME", value_name = "DIR", default_value = COORDINATOR_HOME)]
    pub(crate) home: PathBuf,
    /// A file with the passphrase of the authority's key, readable by its owner only. Without it a terminal is asked.
    #[arg(long, env = "SYNOD_PASSPHRASE_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Which coordinator a command is for: the one in the folder, running or not, or one on another machine.
#[derive(Args, Debug)]
pub(crate) struct ReachArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// A coordinator on another machine, as host:port; needs --identity.
    #[arg(long, value_name = "HOST:PORT", requires = "identity")]
    pub(crate) coordinator: Option<String>,
    /// The identity folder of an operator or observer.
    #[arg(long, value_name = "DIR", requires = "coordinator")]
    pub(crate) identity: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum MembersCommand {
    /// Make a coordinator: its authority, with the key encrypted, and its folder.
    #[command(
        after_help = "Examples:\n  synod coordinator init --name study-a\n  synod coordinator init --name study-a --address study.example.org:7443 --key-file unlock.key\n\nA key file that does not exist is made. Keep it and the folder's backup in different places."
    )]
    Init(InitArgs),
    /// Invite a site, and print the one line that it pastes.
    #[command(
        after_help = "Examples:\n  synod coordinator invite st-vincent\n  synod coordinator invite st-vincent --ttl 1h --qr\n  synod coordinator invite ada --role operator --json"
    )]
    Invite(InviteArgs),
    /// Certify the key of a site that joined with an invitation that needs approval.
    #[command(
        after_help = "Examples:\n  synod coordinator approve st-vincent --key sha256:DIGEST\n\nThe site shows the fingerprint of its key; ask for it by telephone."
    )]
    Approve {
        /// The site.
        name: SiteName,
        /// The fingerprint of its key, as the site shows it.
        #[arg(long)]
        key: KeyFingerprint,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// List the members: state, key, expiry, last seen, rounds.
    #[command(after_help = "Examples:\n  synod coordinator sites\n  synod coordinator sites --json")]
    Sites {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Never accept a member's key again; its connections end at once.
    #[command(after_help = "Examples:\n  synod coordinator revoke st-vincent")]
    Revoke(NamedArgs),
    /// Let a member in no more until it is resumed; its connections end at once.
    #[command(after_help = "Examples:\n  synod coordinator suspend st-vincent")]
    Suspend(NamedArgs),
    /// Let a suspended member in again.
    #[command(after_help = "Examples:\n  synod coordinator resume st-vincent")]
    Resume(NamedArgs),
    /// Forget a member, or an invitation.
    #[command(after_help = "Examples:\n  synod coordinator remove st-vincent")]
    Remove(NamedArgs),
    /// Call a member something else; it keeps its key.
    #[command(after_help = "Examples:\n  synod coordinator rename st-vincent vincent-east")]
    Rename {
        /// What it is called.
        from: SiteName,
        /// What it will be called.
        to: SiteName,
        #[command(flatten)]
        reach: ReachArgs,
    },
    /// Replace the authority's key; members go over to the new one when they renew.
    #[command(after_help = "Examples:\n  synod coordinator rotate-authority --window 30d --key-file unlock.key")]
    RotateAuthority {
        /// How long the present key stays good.
        #[arg(long, default_value = "30d", value_parser = humantime::parse_duration)]
        window: Duration,
        #[command(flatten)]
        reach: ReachArgs,
    },
}

#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// The name of the federation.
    #[arg(long)]
    pub(crate) name: SiteName,
    /// Where sites will reach the coordinator [default: this machine's name and port 7443].
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(crate) address: Option<String>,
    /// How long certificates of members are valid; they are renewed at two thirds of it.
    #[arg(long, default_value = "7d", value_parser = humantime::parse_duration)]
    pub(crate) life: Duration,
    /// For how long after its end a certificate may still be renewed.
    #[arg(long, default_value = "30d", value_parser = humantime::parse_duration)]
    pub(crate) grace: Duration,
    /// Every key has to be approved with `synod coordinator approve`.
    #[arg(long)]
    pub(crate) approve: bool,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct InviteArgs {
    /// The name of the site; the invitation is for it alone.
    pub(crate) name: SiteName,
    /// How long the invitation holds.
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,
    /// What it will be.
    #[arg(long, value_enum, default_value_t = InvitedRole::Site)]
    pub(crate) role: InvitedRole,
    /// Its key has to be approved with `synod coordinator approve`.
    #[arg(long)]
    pub(crate) approve: bool,
    /// Show the line as a QR code, too.
    #[arg(long, conflicts_with = "json")]
    pub(crate) qr: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// What somebody is invited as.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InvitedRole {
    /// Takes part in runs.
    Site,
    /// Gives commands from another machine.
    Operator,
    /// Looks.
    Observer,
}

impl From<InvitedRole> for MemberRole {
    fn from(role: InvitedRole) -> Self {
        match role {
            InvitedRole::Site => Self::Site,
            InvitedRole::Operator => Self::Operator,
            InvitedRole::Observer => Self::Observer,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct NamedArgs {
    /// The member.
    pub(crate) name: SiteName,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

#[derive(Args, Debug)]
pub(crate) struct JoinArgs {
    /// The coordinator, like quic://study.example.org:7443.
    #[arg(value_name = "quic://HOST:PORT", value_parser = address)]
    pub(crate) coordinator: String,
    /// The secret of the invitation.
    #[arg(long)]
    pub(crate) token: TypedSecret,
    /// The digest of the authority's key.
    #[arg(long, required_unless_present = "insecure_no_pin")]
    pub(crate) pin: Option<KeyFingerprint>,
    /// Trust whatever authority the coordinator shows: anybody on the way can then read and change everything.
    #[arg(long, conflicts_with = "pin")]
    pub(crate) insecure_no_pin: bool,
    /// Join under this name only; the invitation decides on it in any case.
    #[arg(long)]
    pub(crate) name: Option<SiteName>,
    /// Where the membership is kept.
    #[arg(long, env = "SYNOD_CLIENT_HOME", value_name = "DIR", default_value = CLIENT_HOME)]
    pub(crate) home: PathBuf,
    /// How long to wait for the operator's approval, where the invitation needs it.
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    pub(crate) wait: Duration,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ServiceCommand {
    /// Write a systemd unit that starts `synod client run` with the machine.
    #[command(
        after_help = "Examples:\n  synod client service install --dry-run --data /srv/study\n  sudo synod client service install --user synod --home /var/lib/synod --data /srv/study"
    )]
    Install(InstallArgs),
}

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// Print the unit and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The folder that `synod client join` made.
    #[arg(long, env = "SYNOD_CLIENT_HOME", value_name = "DIR", default_value = CLIENT_HOME)]
    pub(crate) home: PathBuf,
    /// The folder with this site's samples.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The user that the client runs as [default: root].
    #[arg(long, value_parser = user)]
    pub(crate) user: Option<String>,
    /// The folder that units are written to.
    #[arg(long, value_name = "DIR", default_value = "/etc/systemd/system")]
    pub(crate) units: PathBuf,
}

/// A secret as it was typed. It is looked at later, because messages about the command line repeat what is wrong with it.
#[derive(Clone)]
pub(crate) struct TypedSecret(pub(crate) Zeroizing<String>);

impl fmt::Debug for TypedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedSecret(hidden)")
    }
}

impl From<String> for TypedSecret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// `host:port` of an address with or without `quic://`.
fn address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("quic://").unwrap_or(text).trim_end_matches('/');
    let is_plain = rest.len() <= 300 && rest.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    match rest.rsplit_once(':') {
        Some((host, port)) if is_plain && !host.is_empty() && port.parse::<u16>().is_ok() => Ok(rest.to_owned()),
        _ => Err("an address looks like quic://study.example.org:7443".to_owned()),
    }
}

/// A name that may stand in a unit file.
fn user(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if is_plain { Ok(text.to_owned()) } else { Err("a user name has letters, digits, _, - and . only".to_owned()) }
}
