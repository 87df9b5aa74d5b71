//! What is due on a virtual clock, and for whom.

use synod_common::ids::{ClientId, SiteName};
use synod_coordinator::round::{Millis, OutTask};

use super::systems::Presence;

/// Something that will happen to a site.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// Its answer arrives, unless the task was taken from it.
    Answer(u64),
    /// Its process dies in a task, and is there again after these milliseconds.
    Crash(u64, u64),
    /// Its process is there again.
    Restart(usize),
    /// It becomes available, or stops being so.
    Change(usize, bool),
}

/// A task at a site.
pub(super) struct Ticket {
    pub(super) place: usize,
    pub(super) site: SiteName,
    pub(super) task: OutTask,
    pub(super) due: Millis,
    pub(super) work_ms: u64,
}

/// A site on the clock.
pub(super) struct Place {
    pub(super) client: ClientId,
    pub(super) presence: Presence,
    pub(super) is_available: bool,
    pub(super) is_up: bool,
    pub(super) is_member: bool,
    /// Whether listeners heard of it: later comings and goings are in the reasons of rounds alone.
    pub(super) is_known: bool,
    pub(super) ticket: Option<u64>,
    /// Tasks it was given.
    pub(super) tasks: u64,
}

impl Place {
    pub(super) fn is_there(&self) -> bool {
        self.is_available && self.is_up && self.is_member
    }
}
