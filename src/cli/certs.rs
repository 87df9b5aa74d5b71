//! `synod certs`.

use std::path::Path;

use synod_certs::{Authority, Identity, Overwrite, ServerName, Subject};

use super::args::{CertsCommand, IdentityArgs};
use super::clock::now;
use super::exit::{Exit, OrExit, Outcome};
use super::out;
use super::serve::load_identity;

pub(crate) fn run(command: &CertsCommand) -> Outcome {
    match command {
        CertsCommand::Authority { name, out: folder, validity } => {
            let authority = Authority::generate(name, now(), *validity).or_exit(Exit::Identity)?;
            authority.save(folder, Overwrite::Refuse).or_exit(Exit::Identity)?;
            out::line(format!("authority {name} in {} (key {})", folder.display(), authority.fingerprint()));
            out::line(format!(
                "keep this folder safe: whoever has it can make identities\nnext: synod certs coordinator main --authority {} --out certs/coordinator",
                folder.display()
            ));
        }
        CertsCommand::Coordinator(args) => {
            issue(args, &Subject::coordinator(args.name.clone(), Vec::<ServerName<'static>>::new()))?;
        }
        CertsCommand::Site(args) => issue(args, &Subject::site(args.name.clone()))?,
        CertsCommand::Show { folder } => show(folder)?,
    }
    Ok(Exit::Done)
}

fn issue(args: &IdentityArgs, subject: &Subject) -> Result<(), super::exit::Failure> {
    let authority = Authority::load(&args.authority).or_exit(Exit::Identity)?;
    let pending = Identity::generate().or_exit(Exit::Identity)?;
    let certificate = authority.issue(pending.request(), subject, now(), args.validity).or_exit(Exit::Identity)?;
    let identity = pending.accept(authority.certificate().clone(), certificate, now()).or_exit(Exit::Identity)?;
    identity.save(&args.out, Overwrite::Refuse).or_exit(Exit::Identity)?;
    out::line(format!(
        "identity of {} in {} (key {})",
        identity.as_peer(),
        args.out.display(),
        identity.as_peer().fingerprint
    ));
    out::line("move the folder to its machine by a safe way, and keep no copy of its key here");
    Ok(())
}

fn show(folder: &Path) -> Result<(), super::exit::Failure> {
    let identity = load_identity(folder)?;
    let peer = identity.as_peer();
    out::line(format!(
        "{peer}\n  key          {}\n  valid from   {}\n  valid until  {}",
        peer.fingerprint,
        humantime::format_rfc3339_seconds(peer.not_before),
        humantime::format_rfc3339_seconds(peer.not_after)
    ));
    Ok(())
}
