//! Giving a command to a coordinator: in its folder, to the one that runs there, or to one on another machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use synod_certs::Role;
use synod_certs::tls::{Protocol, client_for, system_clock};
use synod_client::enrol::{NextKey, Wallet};
use synod_common::wire::{AdminAnswer, AdminRequest};
use synod_coordinator::enrol::{HomeError, Notice, Office, operator_folder, serving};
use synod_transport::{Line, LineError};

use super::RELEASE;
use super::args::ReachArgs;
use super::init::passphrase;
use crate::cli::clock::now;
use crate::cli::exit::{Exit, Failure, OrExit};
use crate::cli::{out, stop};

/// Gives `request` and returns the answer; a refusal is a failure.
pub(super) fn command(reach: &ReachArgs, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
    let answer = match (&reach.coordinator, &reach.identity) {
        (Some(address), Some(identity)) => over_the_network(address, identity, request)?,
        _ => in_folder(reach, request)?,
    };
    match answer {
        AdminAnswer::Refused { reason } => Err(Failure::new(Exit::Usage, reason, None)),
        other => Ok(other),
    }
}

fn in_folder(reach: &ReachArgs, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
    let folder = &reach.home.home;
    // Only a rotation needs the authority's key; for anything else nobody is asked. A coordinator that runs has its own.
    let word = match request {
        AdminRequest::RotateAuthority { .. } if serving(folder).is_err() => passphrase(reach.home.key_file.as_deref())?,
        _ => None,
    };
    let notices = |notice: Notice| {
        if let Notice::Failed { .. } = notice {
            out::note(notice);
        }
    };
    match Office::open(folder, word, system_clock(), Box::new(notices)) {
        Ok(office) => Ok(office.admin(Role::Operator, "the owner of the folder", request).0),
        Err(HomeError::Locked(_)) => {
            let address = reachable(serving(folder).or_exit(Exit::Unreachable)?);
            over_the_network(&address.to_string(), &operator_folder(folder), request)
        }
        Err(error) => Err(error).or_exit(Exit::Identity),
    }
}

/// Where a socket that listens on `address` is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn over_the_network(address: &str, identity: &Path, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
    let wallet = Wallet::open(identity, NextKey::Same, RELEASE, system_clock(), Box::new(|_| {}));
    let wallet = wallet.or_exit(Exit::Identity)?;
    stop::runtime()?.block_on(async {
        wallet.revive(address).await.or_exit(Exit::Identity)?;
        // An operator's certificate is renewed when it is used. That this fails is no reason not to give the command.
        if now() >= wallet.identity().as_peer().renew_at()
            && let Err(error) = wallet.renew_at(address).await
        {
            out::note(error);
        }
        let tls = client_for(&wallet.identity(), Protocol::Admin, system_clock()).or_exit(Exit::Identity)?;
        let line = Line::open(address, tls).await.map_err(failure)?;
        let answer = line.ask(request).await;
        line.close().await;
        answer.map_err(failure)
    })
}

fn failure(error: LineError) -> Failure {
    let exit = if let LineError::Refused(_) = error { Exit::Identity } else { Exit::Unreachable };
    Failure::new(exit, error, None)
}
