//! The coordinator's door: which messages reach the machine, as the server has it.

use synod_client::session::Fault;
use synod_common::ids::SiteName;
use synod_common::update::Update;
use synod_common::wire::Answer;
use synod_coordinator::round::{Event, Received};

use super::coordinator::Coordinator;
use super::fact::Fact;
use super::network::{Down, Packet, Up};
use super::run::Sabotage;
use super::world::World;

impl Coordinator {
    /// The operator revokes a site.
    pub(super) fn revoke(&mut self, world: &mut World<'_>, site: &SiteName) {
        self.registry.insert(site.clone());
        world.facts.push(Fact::Revoked { site: site.clone() });
        world.note(format_args!("operator: revokes {site}"));
        let Some(alive) = &mut self.alive else { return };
        alive.revoked.insert(site.clone());
        alive.answers.remove(site);
        if let Some(connection) = alive.sites.remove(site) {
            alive.greeted.remove(&connection);
            world.send(connection, Packet::Down(Down::Closed { fault: Fault::Lasting, reason: "revoked" }));
        }
        self.step(world, Event::Expelled { site: site.clone(), reason: "it was revoked".to_owned() });
    }

    /// A message of a site.
    pub(super) fn take(&mut self, world: &mut World<'_>, connection: u64, up: Up) {
        let Some(site) = world.network.site_of(connection).map(|site| world.scenario.sites[site].name.clone()) else {
            return;
        };
        let Some(alive) = &mut self.alive else {
            // Nobody listens.
            return world.break_connection(connection, 0);
        };
        if alive.revoked.contains(&site) {
            alive.greeted.remove(&connection);
            return world.send(connection, Packet::Down(Down::Closed { fault: Fault::Lasting, reason: "revoked" }));
        }
        let greeted = alive.greeted.get(&connection).copied();
        // A connection that a newer one replaced may have said something before it was closed.
        let is_out_of_place = match &up {
            Up::Junk => true,
            Up::Hello => greeted.is_some(),
            Up::Ready { .. } => greeted == Some(true),
            Up::Progress { .. } | Up::Update { .. } | Up::Metrics { .. } | Up::Declined { .. } => {
                greeted == Some(false)
            }
        };
        if is_out_of_place {
            self.step(world, Event::Faulted { site, reason: "no message, or not here".to_owned() });
            world.send(connection, Packet::Down(Down::Closed { fault: Fault::Passing, reason: "protocol" }));
            return self.lose(world, connection);
        }
        if let Up::Hello = up {
            alive.greeted.insert(connection, false);
            world.facts.push(Fact::Sent { site, what: "the plan" });
            return world.send(connection, Packet::Down(Down::Welcome));
        }
        if greeted.is_none() {
            return;
        }
        let event = match up {
            Up::Hello | Up::Junk => return,
            Up::Ready { samples } => {
                alive.greeted.insert(connection, true);
                if let Some(old) = alive.sites.insert(site.clone(), connection) {
                    world.send(old, Packet::Down(Down::Closed { fault: Fault::Lasting, reason: "replaced" }));
                }
                Event::Arrived { site, samples, class_counts: Vec::new() }
            }
            Up::Progress { round, loss } => Event::Progress { site, round, step: 1, steps: 2, loss },
            Up::Metrics { round } => Event::Evaluated { site, round, metrics: None },
            Up::Declined { round, reason } => Event::Declined { site, round, reason },
            Up::Update { upload, header, delta } => {
                if delta.len() != world.scenario.layout.len() {
                    // An upload of another length is refused at its offer, before a machine sees it.
                    let answer = Answer::Refused { reason: "of another length".to_owned() };
                    return world.send(connection, Packet::Down(Down::Answer { upload, answer }));
                }
                let copy = || Update { header: (*header).clone(), delta: delta.to_vec().into(), extra: None };
                alive.answers.insert(site.clone(), (connection, upload));
                let other = alive.sites.keys().find(|other| **other != site).cloned();
                self.step(world, Event::Update { site, received: Received::screen(copy()) });
                if world.sabotage == Some(Sabotage::CountTwice)
                    && let Some(other) = other
                    && self.alive.is_some()
                {
                    self.step(world, Event::Update { site: other, received: Received::screen(copy()) });
                }
                return;
            }
        };
        self.step(world, event);
    }

    /// A connection is gone.
    pub(super) fn lose(&mut self, world: &mut World<'_>, connection: u64) {
        let Some(alive) = &mut self.alive else { return };
        alive.greeted.remove(&connection);
        let site = alive.sites.iter().find(|(_, c)| **c == connection).map(|(site, _)| site.clone());
        if let Some(site) = site {
            alive.sites.remove(&site);
            self.step(world, Event::Left { site, reason: "the line is gone".to_owned() });
        }
    }
}
