//! The events of a run, summed up by round and by site.

use std::collections::BTreeMap;

use synod_common::event::{LeftOut, Outcome, RunEvent, Stamped};
use synod_common::ids::{Digest, SiteName};
use synod_common::metrics::Metrics;

/// A run as its events tell it.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) started: Option<Started>,
    /// By number, from 1.
    pub(super) rounds: BTreeMap<u64, Round>,
    pub(super) sites: BTreeMap<SiteName, Site>,
    /// The global model on the central test set, by the round whose model it is.
    pub(super) central: BTreeMap<u64, Metrics>,
    /// The last confusion matrix and its round.
    pub(super) confusion: Option<(u64, Vec<Vec<u64>>)>,
    /// Model of the last committed round.
    pub(super) model: Option<Digest>,
    pub(super) outcome: Option<Outcome>,
    pub(super) committed: u64,
    pub(super) ms: u64,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
}

#[derive(Debug)]
pub(super) struct Started {
    pub(super) plan: Digest,
    pub(super) rounds: u64,
    pub(super) strategy: String,
    pub(super) parameters: u64,
}

/// A round, all its attempts together.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) cohort: usize,
    pub(super) took_part: Vec<SiteName>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) retries: u64,
    pub(super) committed: bool,
    pub(super) ms: u64,
    /// When the last update counted, on the run's clock.
    last_update_ms: Option<u64>,
    /// From there to the new model.
    pub(super) close_ms: Option<u64>,
    pub(super) step_norm: Option<f64>,
    pub(super) updates: BTreeMap<SiteName, Accepted>,
}

/// An update that counted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) norm: f64,
    pub(super) train_ms: u64,
    pub(super) train: Metrics,
    pub(super) before: Option<Metrics>,
    pub(super) after: Option<Metrics>,
}

/// A site over the whole run.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) samples: Option<u64>,
    pub(super) class_counts: Option<Vec<u64>>,
    pub(super) updates: u64,
    pub(super) refused: u64,
    pub(super) left_out: u64,
    pub(super) train_ms: u64,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) last_problem: Option<String>,
    /// A global model on the site's held-out samples: the final one, or else the last that was measured there.
    pub(super) global: Option<(u64, Metrics)>,
    /// The site's own model after its last local training, on its held-out samples.
    pub(super) local: Option<(u64, Metrics)>,
}

impl Story {
    pub(super) fn of(events: &[Stamped]) -> Self {
        let mut story = Self::default();
        for stamped in events {
            story.ms = story.ms.max(stamped.at_ms);
            story.take(stamped.at_ms, &stamped.event);
        }
        story
    }

    /// The last central measurement.
    pub(super) fn last_central(&self) -> Option<(u64, &Metrics)> {
        self.central.last_key_value().map(|(round, metrics)| (*round, metrics))
    }

    fn site(&mut self, name: &SiteName) -> &mut Site {
        if !self.sites.contains_key(name) {
            self.sites.insert(name.clone(), Site::default());
        }
        self.sites.get_mut(name).expect("inserted just above")
    }

    fn left_out(&mut self, round: u64, left_out: &[LeftOut]) {
        for out in left_out {
            let site = self.site(&out.site);
            site.left_out += 1;
            site.last_problem = Some(format!("round {round}: {}", out.reason));
        }
        self.rounds.entry(round).or_default().left_out.extend_from_slice(left_out);
    }

    fn take(&mut self, at_ms: u64, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { version: _, name: _, plan, rounds, strategy, parameters, model } => {
                self.started =
                    Some(Started { plan: *plan, rounds: *rounds, strategy: strategy.clone(), parameters: *parameters });
                self.model = Some(*model);
            }
            RunEvent::RunResumed { .. } => {
                // The run goes on: an earlier end of the coordinator was not that of the run.
                self.outcome = None;
            }
            RunEvent::SiteArrived { site, samples, class_counts } => {
                let site = self.site(site);
                site.samples = samples.or(site.samples);
                if class_counts.is_some() {
                    site.class_counts.clone_from(class_counts);
                }
            }
            RunEvent::SiteLeft { site, reason } => {
                // Sites go when the run is over; a connection that ends before may be why an update is missing.
                if self.outcome.is_none() {
                    self.site(site).last_problem = Some(format!("left: {reason}"));
                }
            }
            RunEvent::RoundStarted { round, cohort, model: _, deadline_ms: _ } => {
                self.rounds.entry(round.0).or_default().cohort = cohort.len();
            }
            RunEvent::Progress { .. } => {}
            RunEvent::UpdateAccepted {
                round,
                site,
                samples,
                norm,
                bytes_down,
                bytes_up,
                train_ms,
                train,
                before,
                after,
            } => {
                let own = self.site(site);
                own.samples = Some(*samples);
                own.updates += 1;
                own.train_ms = own.train_ms.saturating_add(*train_ms);
                own.bytes_up = own.bytes_up.saturating_add(*bytes_up);
                own.bytes_down = own.bytes_down.saturating_add(*bytes_down);
                // `before` is the model that the round began with: that of the round before.
                let global = before.as_ref().map(|before| (round.0.saturating_sub(1), before.clone()));
                if global.as_ref().map(|g| g.0) >= own.global.as_ref().map(|g| g.0) {
                    own.global = global.or(own.global.take());
                }
                if let Some(after) = after {
                    own.local = Some((round.0, after.clone()));
                }
                self.bytes_up = self.bytes_up.saturating_add(*bytes_up);
                self.bytes_down = self.bytes_down.saturating_add(*bytes_down);
                let accepted = Accepted {
                    norm: *norm,
                    train_ms: *train_ms,
                    train: train.clone(),
                    before: before.clone(),
                    after: after.clone(),
                };
                let round = self.rounds.entry(round.0).or_default();
                round.last_update_ms = Some(at_ms);
                round.updates.insert(site.clone(), accepted);
            }
            RunEvent::UpdateRefused { round, site, reason } => {
                let site = self.site(site);
                site.refused += 1;
                site.last_problem = Some(format!("round {round}: {reason}"));
            }
            RunEvent::RoundCommitted { round, took_part, left_out, model, step_norm, ms } => {
                self.left_out(round.0, left_out);
                self.model = Some(*model);
                self.committed = self.committed.max(round.0);
                let round = self.rounds.entry(round.0).or_default();
                round.took_part.clone_from(took_part);
                round.committed = true;
                round.step_norm = Some(*step_norm);
                round.ms = *ms;
                round.close_ms = round.last_update_ms.map(|last| at_ms.saturating_sub(last));
            }
            RunEvent::RoundExtended { .. } | RunEvent::RoundShrunk { .. } | RunEvent::UpdateLate { .. } => {}
            RunEvent::RoundRetried { round, updates: _, updates_min: _, left_out } => {
                self.left_out(round.0, left_out);
                self.rounds.entry(round.0).or_default().retries += 1;
            }
            RunEvent::Evaluated { round, metrics, confusion } => {
                self.central.insert(round.0, metrics.clone());
                if let Some(confusion) = confusion {
                    self.confusion = Some((round.0, confusion.clone()));
                }
            }
            RunEvent::SiteEvaluated { round, site, metrics } => {
                self.site(site).global = Some((round.0, metrics.clone()));
            }
            RunEvent::RunFinished { outcome, rounds, model, ms, bytes_down, bytes_up } => {
                self.outcome = Some(outcome.clone());
                self.committed = *rounds;
                self.model = Some(*model);
                self.ms = *ms;
                self.bytes_down = *bytes_down;
                self.bytes_up = *bytes_up;
            }
        }
    }
}

impl Round {
    /// The sample-weighted mean over sites of the metrics that `part` picks.
    pub(super) fn mean(&self, part: impl Fn(&Accepted) -> Option<&Metrics>) -> Metrics {
        Metrics::weighted_mean(self.updates.values().filter_map(part))
    }
}

/// The key by which names sort as people count: `site-2` before `site-10`.
pub(super) fn natural_key(name: &SiteName) -> (&str, usize, &str) {
    let text = name.as_str();
    let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = text[stem.len()..].trim_start_matches('0');
    (stem, number.len(), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names: Vec<SiteName> =
            ["site-10", "site-2", "b", "site-1"].iter().map(|n| n.parse().unwrap()).collect();
        names.sort_by(|a, b| natural_key(a).cmp(&natural_key(b)));
        assert_eq!(format!("{names:?}"), "[b, site-1, site-2, site-10]");
    }
}
