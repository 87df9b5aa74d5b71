//! `synod coordinator status`: where a served run is and what it waits for.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use synod_common::ids::SiteName;
use synod_common::status::{RunPhase, Status};
use synod_coordinator::round::Millis;

use super::args::StatusArgs;
use super::clock::now;
use super::exit::{Exit, Failure, Outcome};
use super::folder::{OUT, write_durably};
use super::out;

const STATUS: &str = "status.json";
/// Longest status that is read: 4096 sites with a reason each.
const STATUS_BYTES_MAX: u64 = 16 << 20;
/// A running coordinator writes every ten seconds; a status that is much older is of one that does not run.
const AGE_MAX: Duration = Duration::from_secs(30);
/// Sites named in one line.
const NAMES_MAX: usize = 10;

/// Writes the status into the run folder, with times that people read. What fails is left: a run does not end for it.
pub(crate) fn write(folder: &Path, status: Status<Millis>) {
    let (wall, at) = (now(), status.at);
    let time = |t: Millis| {
        let (ahead, behind) = (Duration::from_millis(t.since(at)), Duration::from_millis(at.since(t)));
        let time = wall.checked_add(ahead).and_then(|wall| wall.checked_sub(behind)).unwrap_or(wall);
        humantime::format_rfc3339_seconds(time).to_string()
    };
    if let Ok(text) = serde_json::to_vec_pretty(&status.map_times(time)) {
        let _ = write_durably(&folder.join(STATUS), &text);
    }
}

pub(crate) fn run(args: &StatusArgs) -> Outcome {
    let folder = args.dir.clone().or_else(|| args.run.clone());
    let folder = folder.or_else(newest).ok_or_else(|| {
        let help = "name the run's folder: synod coordinator status DIR";
        Failure::new(Exit::Usage, format!("no served run is in {OUT}"), Some(help))
    })?;
    let path = folder.join(STATUS);
    let status = read(&path).map_err(|reason| {
        let help = "name the folder of a run of `synod coordinator serve`";
        Failure::new(Exit::Usage, format!("there is no status in {}: {reason}", path.display()), Some(help))
    })?;
    let is_over = status.phase == RunPhase::Done;
    let age = humantime::parse_rfc3339(&status.at).ok().and_then(|at| now().duration_since(at).ok());
    let is_stale = !is_over && age.is_some_and(|age| age > AGE_MAX);
    if args.json {
        out::json(&serde_json::json!({ "status": status, "is_stale": is_stale, "folder": folder }));
    } else {
        out::line(tell(&status, age.filter(|_| is_stale)));
    }
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Status<String>, String> {
    let file = fs::File::open(path).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    file.take(STATUS_BYTES_MAX).read_to_end(&mut text).map_err(|e| e.to_string())?;
    serde_json::from_slice(&text).map_err(|e| e.to_string())
}

/// The run folder whose status was written last.
fn newest() -> Option<PathBuf> {
    let written = |path: &Path| fs::metadata(path.join(STATUS)).and_then(|m| m.modified()).ok();
    let folders = fs::read_dir(OUT).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.filter_map(|path| Some((written(&path)?, path))).max_by_key(|(at, _)| *at).map(|(_, path)| path)
}

/// One line for the run, one for each thing that is waited for or done.
fn tell(status: &Status<String>, stale: Option<Duration>) -> String {
    let Status { name, plan, round, rounds, model, .. } = status;
    let phase = match status.phase {
        RunPhase::Idle => "has not begun".to_owned(),
        RunPhase::Assembling => "waits for sites".to_owned(),
        RunPhase::Gathering => format!("has round {round} of {rounds} open"),
        RunPhase::Committing => format!("saves the model of round {round} of {rounds}"),
        RunPhase::FinalEvaluation => "lets sites measure the last model".to_owned(),
        RunPhase::Ending | RunPhase::Done => format!("is over after {round} of {rounds} rounds"),
    };
    let mut lines =
        vec![format!("run {name} (plan {}) {phase}, model {}, at {}", plan.short(), model.short(), status.at)];
    if let Some(age) = stale {
        let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
        lines.push(format!(
            "this is {age} old: the coordinator does not run; start `synod coordinator serve` again to go on"
        ));
    }
    for wait in &status.waits {
        lines.push(format!(
            "waits for {}{}; since {}, until {}, then {}",
            wait.what,
            names(&wait.who),
            wait.since,
            wait.until,
            wait.then
        ));
    }
    lines.extend(status.doing.iter().map(|doing| format!("works: {doing}")));
    lines.extend(status.sites.iter().map(|site| format!("  {} {}", site.site, site.state)));
    lines.join("\n")
}

fn names(who: &[SiteName]) -> String {
    let more = who.len().saturating_sub(NAMES_MAX);
    let mut names: Vec<String> = who.iter().take(NAMES_MAX).map(ToString::to_string).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    if names.is_empty() { String::new() } else { format!("; may still come: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::ids::Digest;
    use synod_common::status::{STATUS_VERSION, SiteStatus, Wait};

    #[test]
    fn a_status_reads_as_a_few_lines() {
        let status = Status {
            version: STATUS_VERSION,
            at: "2026-11-24T12:00:00Z".to_owned(),
            name: "heart".into(),
            plan: Digest([1; 32]),
            phase: RunPhase::Gathering,
            round: 3,
            rounds: 10,
            model: Digest([2; 32]),
            waits: vec![Wait {
                what: "updates of round 3: 1 of the 2 that are needed count".into(),
                who: vec![SiteName::new("b").unwrap()],
                since: "2026-11-24T11:59:00Z".into(),
                until: "2026-11-24T12:29:00Z".into(),
                then: "with too few updates the run stops".into(),
            }],
            doing: vec!["saving updates".into()],
            sites: vec![SiteStatus { site: SiteName::new("b").unwrap(), state: "trains for round 3".into() }],
        };
        let expected = "\
run heart (plan 01010101) has round 3 of 10 open, model 02020202, at 2026-11-24T12:00:00Z
this is 1m 30s old: the coordinator does not run; start `synod coordinator serve` again to go on
waits for updates of round 3: 1 of the 2 that are needed count; may still come: b; since 2026-11-24T11:59:00Z, until 2026-11-24T12:29:00Z, then with too few updates the run stops
works: saving updates
  b trains for round 3";
        assert_eq!(tell(&status, Some(Duration::from_secs(90))), expected);
    }
}
