//! `synod coordinator invite|approve|sites|suspend|resume|revoke|remove|rename|rotate-authority`.

use std::time::{Duration, UNIX_EPOCH};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use synod_certs::{KeyFingerprint, Token};
use synod_common::wire::{AdminAnswer, AdminRequest, MemberRow};

use super::args::{InviteArgs, MembersCommand};
use super::init;
use super::reach::command;
use crate::cli::clock::now;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::out;

pub(crate) fn members(typed: &MembersCommand) -> Outcome {
    let (reach, request) = match typed {
        MembersCommand::Init(args) => return init::init(args),
        MembersCommand::Invite(args) => return invite(args),
        MembersCommand::Sites { json, reach } => {
            let AdminAnswer::Members(rows) = command(reach, &AdminRequest::Members)? else { return Err(odd()) };
            if *json {
                out::json(&serde_json::json!({ "version": 1, "members": rows }));
            } else {
                table(&rows);
            }
            return Ok(Exit::Done);
        }
        MembersCommand::Approve { name, key, reach } => {
            (reach, AdminRequest::Approve { name: name.clone(), key: key.0 })
        }
        MembersCommand::Revoke(args) => (&args.reach, AdminRequest::Revoke(args.name.clone())),
        MembersCommand::Suspend(args) => (&args.reach, AdminRequest::Suspend(args.name.clone())),
        MembersCommand::Resume(args) => (&args.reach, AdminRequest::Resume(args.name.clone())),
        MembersCommand::Remove(args) => (&args.reach, AdminRequest::Remove(args.name.clone())),
        MembersCommand::Rename { from, to, reach } => {
            (reach, AdminRequest::Rename { from: from.clone(), to: to.clone() })
        }
        MembersCommand::RotateAuthority { window, reach } => {
            (reach, AdminRequest::RotateAuthority { window_seconds: window.as_secs() })
        }
    };
    let AdminAnswer::Done(what) = command(reach, &request)? else { return Err(odd()) };
    out::line(what);
    Ok(Exit::Done)
}

fn invite(args: &InviteArgs) -> Outcome {
    let request = AdminRequest::Invite {
        name: args.name.clone(),
        role: args.role.into(),
        ttl_seconds: args.ttl.as_secs(),
        approve: args.approve,
    };
    let answer = command(&args.reach, &request)?;
    let AdminAnswer::Invited { token, pin, address, expires_unix_seconds } = answer else { return Err(odd()) };
    let (token, pin) = (Token::from_bytes(token).expose(), KeyFingerprint(pin));
    let line = format!("synod client join quic://{address} --token {} --pin {pin}", *token);
    if args.json {
        out::json(&serde_json::json!({
            "version": 1, "name": args.name, "address": address, "token": *token, "pin": pin, "line": line,
            "expires_unix_seconds": expires_unix_seconds,
        }));
        return Ok(Exit::Done);
    }
    out::line(&line);
    if args.qr {
        let code = QrCode::new(line.as_bytes())
            .map_err(|e| Failure::new(Exit::Unexpected, format!("could not draw the QR code: {e}"), None))?;
        out::line(code.render::<Dense1x2>().quiet_zone(true).build());
    }
    out::note(format!(
        "for {}: works once, until {}; send it by a way that only they read",
        args.name,
        date(expires_unix_seconds)
    ));
    Ok(Exit::Done)
}

fn table(rows: &[MemberRow]) {
    let heads = ["name", "role", "state", "key", "until", "last seen", "from", "version", "rounds"].map(str::to_owned);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let when = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), date);
    let mut lines = vec![heads];
    lines.extend(rows.iter().map(|row| {
        [
            row.name.to_string(),
            row.role.clone(),
            row.state.clone(),
            or_none(&row.key.as_ref().map(|key| key.chars().take(23).collect())),
            when(row.expires_unix_seconds),
            when(row.last_seen_unix_seconds),
            or_none(&row.address),
            or_none(&row.release),
            row.rounds.to_string(),
        ]
    }));
    let mut widths = [0; 9];
    for line in &lines {
        widths.iter_mut().zip(line).for_each(|(width, cell)| *width = cell.len().max(*width));
    }
    for line in &lines {
        let padded: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out::line(padded.join("  ").trim_end());
    }
    for row in rows {
        if let Some(warning) = &row.warning {
            out::note(format!("{}: {warning}", row.name));
        }
    }
}

/// A time as a date, in UTC, and how far away it is.
fn date(seconds: u64) -> String {
    // The last time that the format can hold is in the year 9999.
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    let here = now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (far, is_past) = (here.abs_diff(seconds), here > seconds);
    let far = match far {
        0..120 => format!("{far} s"),
        120..7_200 => format!("{} min", far / 60),
        7_200..172_800 => format!("{} h", far / 3_600),
        _ => format!("{} d", far / 86_400),
    };
    let text = humantime::format_rfc3339_seconds(time).to_string().replace('T', " ");
    let text = text.get(..16).unwrap_or(&text);
    if is_past { format!("{text} ({far} ago)") } else { format!("{text} (in {far})") }
}

fn odd() -> Failure {
    Failure::new(
        Exit::Unexpected,
        "the coordinator gave an answer that does not belong to the question",
        Some("use the same release on both sides"),
    )
}
