//! `synod coordinator init`, and where passphrases come from.

use std::io::IsTerminal;
use std::path::Path;

use synod_certs::tls::system_clock;
use synod_certs::{Passphrase, Zeroizing};
use synod_coordinator::enrol::{Approval, Home, NewHome, Office, Settings};

use super::args::InitArgs;
use crate::cli::clock::now;
use crate::cli::exit::{Exit, Failure, OrExit, Outcome};
use crate::cli::out;

/// The port of coordinators.
const PORT: u16 = 7443;

pub(super) fn init(args: &InitArgs) -> Outcome {
    let address = match &args.address {
        Some(address) => address.clone(),
        None => format!("{}:{PORT}", this_machine()?),
    };
    let settings = Settings {
        name: args.name.clone(),
        address: address.clone(),
        certificate_seconds: args.life.as_secs(),
        grace_seconds: args.grace.as_secs(),
        approval: if args.approve { Approval::ByOperator } else { Approval::Automatic },
    };
    let folder = &args.home.home;
    let passphrase = new_passphrase(args.home.key_file.as_deref())?;
    let new = NewHome { settings, passphrase: &passphrase, now: now() };
    drop(Home::init(folder, &new).or_exit(Exit::Identity)?);
    let office = Office::open(folder, None, system_clock(), Box::new(|_| {}));
    let pin = office.and_then(|office| office.pin()).or_exit(Exit::Identity)?;
    out::line(format!("coordinator {} in {}", args.name, folder.display()));
    out::line(format!("  authority  {pin}, its key encrypted"));
    out::line(format!("  address    {address}, as invitations name it"));
    if let Some(file) = &args.home.key_file {
        out::line(format!("  key file   {}: keep a copy away from this machine", file.display()));
    }
    out::line("next: synod coordinator invite SITE, and synod coordinator serve PLAN.toml");
    Ok(Exit::Done)
}

/// The passphrase of the authority: from the file, or from a terminal. `None` where there is neither.
pub(crate) fn passphrase(file: Option<&Path>) -> Result<Option<Passphrase>, Failure> {
    match file {
        Some(file) => Passphrase::read(file).or_exit(Exit::Identity).map(Some),
        None if std::io::stdin().is_terminal() && out::is_watched() => {
            let typed = ask("passphrase of the authority (empty: leave it locked): ")?;
            if typed.is_empty() { Ok(None) } else { Passphrase::new(&typed).or_exit(Exit::Identity).map(Some) }
        }
        None => Ok(None),
    }
}

fn new_passphrase(file: Option<&Path>) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        let made = if file.exists() { Passphrase::read(file) } else { Passphrase::make_key_file(file) };
        return made.or_exit(Exit::Identity);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "the authority's key needs a passphrase, and there is no terminal to ask",
            Some("name a file with --key-file FILE; one that does not exist is made"),
        ));
    }
    let first = ask("passphrase for the authority's key: ")?;
    if *first != *ask("the same once more: ")? {
        return Err(Failure::new(Exit::Usage, "the two passphrases differ", Some("run the command again")));
    }
    Passphrase::new(&first).or_exit(Exit::Usage)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let problem =
        |e| Failure::new(Exit::Usage, format!("could not read from the terminal: {e}"), Some("use --key-file"));
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(problem)
}

fn this_machine() -> Result<String, Failure> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = kernel.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "this machine does not say its name",
            Some("say where sites reach it with --address HOST:PORT"),
        )
    })
}
