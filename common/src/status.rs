//! Where a run is and what it waits for: what, who, since when, until when, and what happens then.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, SiteName};

/// Version of the status format. It grows when a field changes its meaning or goes away; new fields do not count.
pub const STATUS_VERSION: u32 = 1;

/// Where a run is. Times are of type `T`: milliseconds of the run's clock in the coordinator, RFC 3339 in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status<T> {
    /// [`STATUS_VERSION`].
    pub version: u32,
    /// When this was so.
    pub at: T,
    /// The plan's name.
    pub name: String,
    /// The plan's digest.
    pub plan: Digest,
    /// The phase.
    pub phase: RunPhase,
    /// The open round; between rounds the last committed one.
    pub round: u64,
    /// Rounds planned.
    pub rounds: u64,
    /// The model hash of the last committed model.
    pub model: Digest,
    /// What is waited for.
    pub waits: Vec<Wait<T>>,
    /// What the coordinator itself is doing, in words.
    pub doing: Vec<String>,
    /// Sites that are there or have a task, by name.
    pub sites: Vec<SiteStatus>,
}

/// The phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Not begun.
    Idle,
    /// Sites arrive.
    Assembling,
    /// A round is open.
    Gathering,
    /// A model is being saved.
    Committing,
    /// Sites measure the last model.
    FinalEvaluation,
    /// The end is being saved.
    Ending,
    /// Over.
    Done,
}

/// One thing that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait<T> {
    /// What, in words.
    pub what: String,
    /// Whom it depends on, as far as that is known.
    pub who: Vec<SiteName>,
    /// Since when.
    pub since: T,
    /// Until when at the latest.
    pub until: T,
    /// What happens then, in words.
    pub then: String,
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteStatus {
    /// Who.
    pub site: SiteName,
    /// What it does, in words.
    pub state: String,
}

impl<T> Status<T> {
    /// The same with other times.
    pub fn map_times<U>(self, mut time: impl FnMut(T) -> U) -> Status<U> {
        let wait = |w: Wait<T>, time: &mut dyn FnMut(T) -> U| Wait {
            what: w.what,
            who: w.who,
            since: time(w.since),
            until: time(w.until),
            then: w.then,
        };
        Status {
            version: self.version,
            at: time(self.at),
            name: self.name,
            plan: self.plan,
            phase: self.phase,
            round: self.round,
            rounds: self.rounds,
            model: self.model,
            waits: self.waits.into_iter().map(|w| wait(w, &mut time)).collect(),
            doing: self.doing,
            sites: self.sites,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_json_object() {
        let status = Status {
            version: STATUS_VERSION,
            at: 5_u64,
            name: "x".into(),
            plan: Digest([1; 32]),
            phase: RunPhase::Gathering,
            round: 2,
            rounds: 3,
            model: Digest([2; 32]),
            waits: vec![Wait { what: "updates".into(), who: vec![], since: 1, until: 9, then: "it stops".into() }],
            doing: vec![],
            sites: vec![SiteStatus { site: SiteName::new("a").unwrap(), state: "trains".into() }],
        };
        let text = serde_json::to_string(&status.clone().map_times(|t| format!("T{t}"))).unwrap();
        insta::assert_snapshot!(text);
        let back: Status<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(back.map_times(|t| t[1..].parse::<u64>().unwrap()), status);
    }
}
