//! `synod client join`.

use synod_certs::Role;
use synod_certs::tls::{Pin, system_clock};
use synod_client::enrol::{Check, Invited, JoinError, JoinEvent, join as enrol, preflight};
use synod_transport::LineError;

use super::RELEASE;
use super::args::JoinArgs;
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::{out, stop};

pub(crate) fn join(args: JoinArgs, quiet: bool) -> Outcome {
    let pin = args.pin.map_or(Pin::InsecureAny, Pin::Key);
    if pin == Pin::InsecureAny {
        out::note("INSECURE: the authority is not pinned; anybody on the way can be the coordinator");
    }
    let invited = Invited {
        address: args.coordinator,
        token: args.token.0.parse().or_exit(Exit::Usage)?,
        pin,
        name: args.name,
        folder: args.home,
        release: RELEASE.to_owned(),
        wait_max: args.wait,
    };
    let report = |event: JoinEvent| {
        let text = match event {
            JoinEvent::Passed(check, what) => format!("  ok  {:<12} {what}", check.as_str()),
            JoinEvent::Key(key) => format!("  ok  {:<12} made here: {key}", "key"),
            JoinEvent::Waiting(key) => {
                format!("waiting for the operator to approve the key {key}; tell them by telephone")
            }
        };
        if !quiet {
            out::note(text);
        }
    };
    let clock = system_clock();
    let joined = stop::runtime()?.block_on(async {
        preflight(&invited, &clock, &report).await?;
        enrol(&invited, &clock, &report).await
    });
    let identity = joined.map_err(failure)?;
    let (peer, folder) = (identity.as_peer(), invited.folder.display());
    out::line(format!("joined as {peer}"));
    out::line(format!("  kept in      {folder}"));
    out::line(format!("  key          {}", peer.fingerprint));
    out::line(format!("  valid until  {}, renewed by itself", humantime::format_rfc3339_seconds(peer.not_after)));
    out::line(match peer.role {
        Role::Site => format!("next: synod client run --home {folder} --data DIR"),
        Role::Operator | Role::Observer | Role::Coordinator => {
            format!("next: synod coordinator sites --coordinator {} --identity {folder}/identity", invited.address)
        }
    });
    Ok(Exit::Done)
}

fn failure(error: JoinError) -> Failure {
    let exit = match &error {
        JoinError::Check { check: Check::Name, .. } => Exit::Unreachable,
        JoinError::Check { check: Check::Folder, .. } => Exit::Usage,
        JoinError::Check { check: Check::Coordinator, .. } if error.to_string().contains("no answer") => {
            Exit::Unreachable
        }
        JoinError::Line(LineError::Refused(_)) => Exit::Identity,
        JoinError::Line(_) => Exit::Unreachable,
        _ => Exit::Identity,
    };
    Failure::new(exit, error, None)
}
