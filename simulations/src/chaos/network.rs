//! Connections and the streams in them, as the [module](super) says that QUIC is.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use synod_client::session::{Fault, Finish, JobKey};
use synod_common::ids::RoundId;
use synod_common::update::UpdateHeader;
use synod_common::wire::{Answer, TaskKind};

use super::world::{Happening, World};

/// How long a side waits for the other before it takes a connection for broken, in milliseconds.
pub(super) const IDLE_MS: u64 = 20_000;

/// From a site.
#[derive(Clone, Debug)]
pub(super) enum Up {
    Hello,
    Ready {
        samples: u64,
    },
    Progress {
        round: RoundId,
        loss: f64,
    },
    Update {
        upload: u64,
        header: Box<UpdateHeader>,
        delta: Arc<[f32]>,
    },
    Metrics {
        round: RoundId,
    },
    Declined {
        round: RoundId,
        reason: String,
    },
    /// Bytes that are no message.
    Junk,
}

/// From the coordinator.
#[derive(Clone, Debug)]
pub(super) enum Down {
    Welcome,
    Task { key: JobKey, kind: TaskKind, time_left_ms: u64 },
    Answer { upload: u64, answer: Answer },
    Finished(Finish),
    Closed { fault: Fault, reason: &'static str },
}

#[derive(Clone, Debug)]
pub(super) enum Packet {
    Up(Up),
    Down(Down),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Site,
    Coordinator,
}

/// What comes in order within itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Control,
    Tasks,
    Updates,
}

#[derive(Debug)]
struct Connection {
    site: usize,
    /// Broken: nothing more is sent.
    is_broken: bool,
    /// When the last message of each stream comes.
    last: BTreeMap<(Side, Stream), u64>,
    /// When the site's `Ready` comes.
    ready: u64,
}

/// Every connection that there was.
#[derive(Debug, Default)]
pub(super) struct Network {
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// Until when a site is cut off.
    partitions: BTreeMap<usize, u64>,
}

impl Network {
    pub(super) fn site_of(&self, connection: u64) -> Option<usize> {
        self.connections.get(&connection).map(|c| c.site)
    }
}

impl World<'_> {
    /// A new connection of `site`, which begins with its greeting.
    pub(super) fn connect(&mut self, site: usize) -> u64 {
        self.network.next += 1;
        let connection = self.network.next;
        let opened = Connection { site, is_broken: false, last: BTreeMap::new(), ready: 0 };
        self.network.connections.insert(connection, opened);
        let cut_off_ms = self.network.partitions.get(&site).map_or(0, |until| until.saturating_sub(self.now));
        if cut_off_ms >= IDLE_MS {
            self.break_connection(connection, IDLE_MS);
        } else {
            self.send(connection, Packet::Up(Up::Hello));
        }
        connection
    }

    /// Sends over a connection, which may break by it.
    pub(super) fn send(&mut self, connection: u64, packet: Packet) {
        let faults = self.faults();
        let breaks = self.rng.random_bool(faults.breaks);
        let mut delay = self.rng.random_range(1..=faults.delay_ms_max.max(1));
        if self.rng.random_bool(faults.loss) {
            delay += self.rng.random_range(50..3_000);
        }
        let Some(link) = self.network.connections.get_mut(&connection).filter(|c| !c.is_broken) else { return };
        if breaks {
            return self.break_connection(connection, 0);
        }
        let (to, stream) = match &packet {
            Packet::Up(Up::Update { .. }) => (Side::Coordinator, Stream::Updates),
            Packet::Up(_) => (Side::Coordinator, Stream::Control),
            Packet::Down(Down::Answer { .. }) => (Side::Site, Stream::Updates),
            Packet::Down(Down::Task { .. }) => (Side::Site, Stream::Tasks),
            Packet::Down(_) => (Side::Site, Stream::Control),
        };
        let cut_off = self.network.partitions.get(&link.site).copied().unwrap_or(0);
        let last = link.last.entry((to, stream)).or_default();
        let at = (self.now.max(cut_off) + delay).max(*last).max(if to == Side::Coordinator { link.ready } else { 0 });
        *last = at;
        if let Packet::Up(Up::Ready { .. }) = &packet {
            link.ready = at;
        }
        self.at(at, Happening::Delivery { connection, packet });
    }

    /// Ends a connection. Of what is on its way some is lost; each side hears of it within the idle limit, `after` at the earliest.
    pub(super) fn break_connection(&mut self, connection: u64, after: u64) {
        let Some(link) = self.network.connections.get_mut(&connection).filter(|c| !c.is_broken) else { return };
        link.is_broken = true;
        let on_its_way: Vec<_> = self
            .queue
            .iter()
            .filter(|(_, happening)| matches!(happening, Happening::Delivery { connection: c, .. } if *c == connection))
            .map(|(at, _)| *at)
            .collect();
        for at in on_its_way {
            if self.rng.random_bool(0.5) {
                self.queue.remove(&at);
            }
        }
        for side in [Side::Site, Side::Coordinator] {
            let noticed = after + self.rng.random_range(0..=IDLE_MS);
            self.after(noticed, Happening::Lost { connection, side });
        }
    }

    /// The process at the other end of these connections is gone.
    pub(super) fn break_all(&mut self, of_site: Option<usize>) {
        let all = self.network.connections.iter().filter(|(_, c)| of_site.is_none_or(|site| c.site == site));
        let all: Vec<u64> = all.map(|(connection, _)| *connection).collect();
        all.into_iter().for_each(|connection| self.break_connection(connection, 0));
    }

    /// Cuts a site off for `ms`.
    pub(super) fn partition(&mut self, site: usize, ms: u64) {
        self.network.partitions.insert(site, self.now + ms);
        if ms >= IDLE_MS {
            self.break_all(Some(site));
        }
    }

    /// Ends all partitions.
    pub(super) fn heal(&mut self) {
        self.network.partitions.clear();
    }
}
