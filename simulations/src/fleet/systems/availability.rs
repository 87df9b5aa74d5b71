//! When a site is there.

use rand::RngExt;
use rand_distr::{Distribution, Exp1};
use synod_client::data::Trace;
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::Availability;
use synod_common::random::{ChaCha12Rng, Purpose, stream};

const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: u64 = 24 * 3_600_000;

/// A site's coming and going, one change after the other.
#[derive(Debug)]
pub(in crate::fleet) enum Presence {
    Always,
    DayNight {
        from: u64,
        until: u64,
    },
    Markov {
        on: f64,
        off: f64,
        there: bool,
        at: u64,
        rng: Box<ChaCha12Rng>,
    },
    /// Times there, in order and apart from each other, within one `period`.
    Trace {
        times: Vec<(u64, u64)>,
        period: u64,
    },
}

impl Presence {
    /// The presence of the site at `place` among all.
    pub(in crate::fleet) fn new(
        availability: &Availability,
        trace: &Trace,
        place: usize,
        seed: u64,
        client: ClientId,
    ) -> Self {
        // Tasks have numbers from 1.
        let mut rng = stream(seed, RoundId(0), client, Purpose::Systems);
        match availability {
            Availability::Always => Self::Always,
            Availability::DayNight { from, until, zones } => {
                let zone = (rng.random::<f64>() * zones * HOUR_MS) as u64;
                let own = |hour: f64| ((hour * HOUR_MS) as u64 + DAY_MS - zone % DAY_MS) % DAY_MS;
                Self::DayNight { from: own(*from), until: own(*until) }
            }
            Availability::Markov { on, off } => {
                let (on, off) = (on.as_millis() as f64, off.as_millis() as f64);
                let there = rng.random::<f64>() < on / (on + off);
                Self::Markov { on, off, there, at: 0, rng: Box::new(rng) }
            }
            Availability::Trace { .. } => match trace.device(place) {
                Some(times) => Self::Trace { times: times.to_vec(), period: trace.period_ms() },
                None => Self::Trace { times: Vec::new(), period: DAY_MS },
            },
        }
    }

    /// Whether the site is there when the run begins.
    pub(in crate::fleet) fn at_start(&self) -> bool {
        match self {
            Self::Always => true,
            Self::DayNight { from, until } => daily(*from, *until, 0),
            Self::Markov { there, .. } => *there,
            Self::Trace { times, .. } => times.iter().any(|(from, until)| *from == 0 && *until > 0),
        }
    }

    /// The first change after `now`, and whether the site is there from then on; `None` if nothing changes any more.
    pub(in crate::fleet) fn next(&mut self, now: u64) -> Option<(u64, bool)> {
        match self {
            Self::Always => None,
            Self::DayNight { from, until } => {
                let (day, hour) = (now - now % DAY_MS, now % DAY_MS);
                let after = |at: u64| if at > hour { day + at } else { day + DAY_MS + at };
                let (comes, goes) = (after(*from), after(*until));
                Some(if comes < goes { (comes, true) } else { (goes, false) })
            }
            Self::Markov { on, off, there, at, rng } => {
                while *at <= now {
                    let mean = if *there { *on } else { *off };
                    let drawn: f64 = Exp1.sample(rng.as_mut());
                    *at = at.saturating_add(((mean * drawn).ceil() as u64).max(1));
                    *there = !*there;
                }
                Some((*at, *there))
            }
            Self::Trace { times, period } => {
                let (begun, within) = (now - now % *period, now % *period);
                let change = |base: u64, after: Option<u64>| {
                    let later = |at: u64| after.is_none_or(|after| at > after);
                    let changes = times.iter().flat_map(|(from, until)| [(*from, true), (*until, false)]);
                    // What ends with the period and begins with the next is no change.
                    let whole = times.first().is_some_and(|t| t.0 == 0) && times.last().is_some_and(|t| t.1 == *period);
                    changes
                        .filter(|(at, _)| later(*at) && !(whole && (*at == 0 || *at == *period)))
                        .min()
                        .map(|(at, on)| (base + at, on))
                };
                change(begun, Some(within)).or_else(|| change(begun + *period, None))
            }
        }
    }
}

/// Whether a site that is there each day from `from` until `until` is there at `hour`.
fn daily(from: u64, until: u64, hour: u64) -> bool {
    if from < until { (from..until).contains(&hour) } else { hour >= from || hour < until }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn presence(availability: &Availability, place: usize) -> Presence {
        let trace = Trace::parse("trace.csv", "0,0,10\n0,20,30\n1,5,40\n").unwrap();
        Presence::new(availability, &trace, place, 1, ClientId([place as u8; 16]))
    }

    /// The first changes, in order.
    fn changes(presence: &mut Presence, count: usize) -> Vec<(u64, bool)> {
        let mut now = 0;
        let mut next = || {
            let change = presence.next(now)?;
            now = change.0;
            Some(change)
        };
        (0..count).map_while(|_| next()).collect()
    }

    #[test]
    fn nights_begin_and_end_at_their_hours() {
        let mut night = presence(&Availability::DayNight { from: 22.0, until: 6.0, zones: 0.0 }, 0);
        assert!(night.at_start());
        assert_eq!(changes(&mut night, 3), [(6 * HOUR, false), (22 * HOUR, true), (30 * HOUR, false)]);
        let mut day = presence(&Availability::DayNight { from: 8.0, until: 18.0, zones: 0.0 }, 0);
        assert!(!day.at_start());
        assert_eq!(changes(&mut day, 2), [(8 * HOUR, true), (18 * HOUR, false)]);
        let zoned = |place| presence(&Availability::DayNight { from: 8.0, until: 18.0, zones: 12.0 }, place).next(0);
        assert!((0..6).any(|place| zoned(place) != zoned(6)), "sites have their own time");
    }

    #[test]
    fn markov_times_alternate_with_their_means() {
        let of = |s: u64| synod_common::plan::PlanDuration::from_secs(s);
        let mut site = presence(&Availability::Markov { on: of(600), off: of(1800) }, 3);
        let begins = site.at_start();
        let all = changes(&mut site, 4000);
        assert!(all.iter().enumerate().all(|(i, (_, there))| *there == (begins == (i % 2 == 1))));
        let mut on = 0;
        for pair in all.windows(2).filter(|pair| pair[0].1) {
            on += pair[1].0 - pair[0].0;
        }
        let share = on as f64 / (all[3999].0 - all[0].0) as f64;
        assert!((share - 0.25).abs() < 0.03, "{share}");
        let mut again = presence(&Availability::Markov { on: of(600), off: of(1800) }, 3);
        assert_eq!(changes(&mut again, 4000), all);
    }

    #[test]
    fn a_trace_is_followed_and_begins_again() {
        let trace = Availability::Trace { path: String::new() };
        let mut first = presence(&trace, 0);
        assert!(first.at_start());
        let wanted = [(10_000, false), (20_000, true), (30_000, false), (40_000, true), (50_000, false)];
        assert_eq!(changes(&mut first, 5), wanted);
        let mut second = presence(&trace, 1);
        assert!(!second.at_start());
        assert_eq!(changes(&mut second, 3), [(5000, true), (40_000, false), (45_000, true)]);
        assert!(presence(&trace, 2).at_start(), "devices are dealt in turn");
    }
}
