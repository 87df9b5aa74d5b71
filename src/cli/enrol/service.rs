//! `synod client service`.

use std::path::Path;

use super::args::{InstallArgs, ServiceCommand};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out;

const UNIT: &str = "synod-client.service";

pub(crate) fn service(command: &ServiceCommand) -> Outcome {
    let ServiceCommand::Install(args) = command;
    let unit = unit(args)?;
    if args.dry_run {
        out::line(unit.trim_end());
        return Ok(Exit::Done);
    }
    let file = args.units.join(UNIT);
    std::fs::write(&file, unit).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("could not write {}: {error}", file.display()),
            Some("run it as root, or show the unit with --dry-run and put it there yourself"),
        )
    })?;
    out::line(format!("wrote {}", file.display()));
    out::line(format!("next: systemctl daemon-reload && systemctl enable --now {UNIT}"));
    Ok(Exit::Done)
}

fn unit(args: &InstallArgs) -> Result<String, Failure> {
    let program = std::env::current_exe()
        .map_err(|e| Failure::new(Exit::Unexpected, format!("this program does not know where it is: {e}"), None))?;
    let (program, home) = (quoted(&program)?, quoted(&args.home)?);
    let data = args.data.as_deref().map(quoted).transpose()?.map(|data| format!(" --data {data}")).unwrap_or_default();
    let user = args.user.as_ref().map(|user| format!("User={user}\n")).unwrap_or_default();
    // A day of patience and a restart after every end: the coordinator may be away between runs.
    Ok(format!(
        "[Unit]\nDescription=Synod client\nWants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\n{user}ExecStart={program} client run --home {home}{data} --patience 1d\nRestart=always\nRestartSec=30\n\
         UMask=0077\nNoNewPrivileges=yes\nProtectSystem=strict\nReadWritePaths={home}\nPrivateTmp=yes\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    ))
}

/// An absolute path as a unit file takes it. A percent sign begins a specifier there, and two are a percent sign.
fn quoted(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).unwrap_or_default();
    let text = absolute.to_str().filter(|text| !text.is_empty() && !text.contains(['"', '\\', '$']));
    let Some(text) = text.filter(|text| !text.chars().any(char::is_control)) else {
        let what = format!("{} cannot stand in a unit file", path.display());
        return Err(Failure::new(Exit::Usage, what, Some("use another folder")));
    };
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}
