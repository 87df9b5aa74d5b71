//! How long a run took to a value of its main metric, on its own clock.

use std::collections::BTreeMap;

use maud::{Markup, html};
use synod_common::event::{RunEvent, Stamped};
use synod_common::plan::{Better, Headline, Plan};

use super::chart::{Line, LineChart};
use super::figures::Figure;
use super::quantity::time;
use super::story::Story;

/// Shares of the best value that are shown where nobody names targets.
const SHARES: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// When a target was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeTo {
    /// The value.
    pub target: f64,
    /// The first model that has it: its round, and milliseconds since the run began. `None` if none has.
    pub reached: Option<Reached>,
}

/// A model that reached a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The round that made it.
    pub round: u64,
    /// When it was there, in milliseconds since the run began.
    pub at_ms: u64,
}

/// When the global model first had each of `targets` on the central test set.
#[must_use]
pub fn times_to(events: &[Stamped], headline: Headline, targets: &[f64]) -> Vec<TimeTo> {
    let measured = measured(events, headline);
    let reaches = |value: f64, target: f64| match headline.better {
        Better::Higher => value >= target,
        Better::Lower => value <= target,
    };
    let first = |target: f64| measured.iter().find(|(_, (_, value))| reaches(*value, target));
    let reached = |(round, (at_ms, _)): (&u64, &(u64, f64))| Reached { round: *round, at_ms: *at_ms };
    targets.iter().map(|target| TimeTo { target: *target, reached: first(*target).map(reached) }).collect()
}

/// The line that says when a target was reached, for the terminal.
#[must_use]
pub fn time_to_text(headline: Headline, to: &TimeTo) -> String {
    let target = format!("{} {}", headline.title, to.target);
    match to.reached {
        Some(Reached { round, at_ms }) => format!("time to {target}: {}, round {round}", time(at_ms)),
        None => format!("time to {target}: not reached"),
    }
}

/// Time and value of each central measurement, by round.
fn measured(events: &[Stamped], headline: Headline) -> BTreeMap<u64, (u64, f64)> {
    let value = |stamped: &Stamped| match &stamped.event {
        RunEvent::Evaluated { round, metrics, .. } => Some((round.0, (stamped.at_ms, metrics.get(headline.name)?))),
        _ => None,
    };
    events.iter().filter_map(value).collect()
}

/// The main metric over the run's clock, where the plan gives it one.
pub(super) fn over_time(plan: &Plan, events: &[Stamped], headline: Headline) -> Option<Figure> {
    plan.simulation.as_ref().filter(|simulation| !simulation.profiles.is_empty())?;
    let measured = measured(events, headline);
    let last = measured.last_key_value()?.1.0;
    let (unit, ms) = match last {
        0..600_000 => ("seconds", 1e3),
        600_000..36_000_000 => ("minutes", 6e4),
        36_000_000..=432_000_000 => ("hours", 3.6e6),
        _ => ("days", 8.64e7),
    };
    let points = measured.values().map(|(at_ms, value)| (*at_ms as f64 / ms, *value)).collect();
    let chart = LineChart {
        y_label: headline.title,
        x_label: Some(unit),
        lines: vec![Line { name: "global model, central test set".to_owned(), tone: 1, points }],
        ..LineChart::default()
    };
    (!chart.is_empty()).then(|| Figure {
        title: format!("{} over the time of the run", super::figures::capital(headline.title)),
        text: "The time is that of the virtual clock of the plan's profiles.".to_owned(),
        drawing: chart.render(),
    })
}

/// The times to `targets`, or to shares of the best value, as a table.
pub(super) fn targets(story: &Story, events: &[Stamped], headline: Headline, targets: &[f64]) -> Option<Markup> {
    story.last_central()?;
    let best = measured(events, headline).values().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = SHARES.iter().map(|share| share * best).collect();
    let named = if targets.is_empty() && headline.better == Better::Higher { &shares } else { targets };
    let rows = times_to(events, headline, named);
    (!rows.is_empty()).then(|| {
        html! {
            div.card {
                h3 { "Time to " (headline.title) }
                div.scroll { table {
                    thead { tr { th.number scope="col" { (headline.title) } th.number scope="col" { "time" } th.number scope="col" { "round" } } }
                    tbody { @for row in &rows {
                        tr {
                            td.number { (format!("{:.3}", row.target)) }
                            @match row.reached {
                                Some(Reached { round, at_ms }) => { td.number { (time(at_ms)) } td.number { (round) } }
                                None => { td.number { "not reached" } td.number { "–" } }
                            }
                        }
                    } }
                } }
                p.note { "The first measured model that reached it; measured models are those of evaluate.central_every." }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use synod_common::ids::RoundId;
    use synod_common::metrics::Metrics;
    use synod_common::plan::AnyLoss;

    use super::*;

    fn at(round: u64, at_ms: u64, accuracy: f64) -> Stamped {
        let metrics = Metrics { samples: 10, values: [("accuracy".to_owned(), accuracy)].into() };
        Stamped { at_ms, event: RunEvent::Evaluated { round: RoundId(round), metrics, confusion: None } }
    }

    fn plan(simulation: &str) -> Plan {
        let text = format!(
            "model = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[simulation]\nclients = 2\n{simulation}"
        );
        Plan::read(&text, &AnyLoss).unwrap()
    }

    #[test]
    fn the_first_model_that_reaches_a_target_counts() {
        let plan = plan("");
        let [main, _] = plan.task.headlines();
        let events = [at(0, 0, 0.1), at(1, 90_000, 0.7), at(2, 7_500_000, 0.6), at(3, 9_000_000, 0.85)];
        let found = times_to(&events, main, &[0.1, 0.65, 0.8, 0.9]);
        let rounds: Vec<Option<u64>> = found.iter().map(|to| to.reached.map(|reached| reached.round)).collect();
        assert_eq!(rounds, [Some(0), Some(1), Some(3), None]);
        assert_eq!(time_to_text(main, &found[2]), "time to accuracy 0.8: 2 h 30 min, round 3");
        assert_eq!(time_to_text(main, &found[3]), "time to accuracy 0.9: not reached");
    }

    #[test]
    fn only_runs_with_a_clock_are_drawn_over_it() {
        let events = [at(0, 0, 0.1), at(1, 90_000_000, 0.7)];
        let clocked = plan("[[simulation.profile]]\n");
        let [main, _] = clocked.task.headlines();
        let figure = over_time(&clocked, &events, main).expect("it has profiles");
        let drawn = figure.drawing.into_string();
        assert!(drawn.contains(">hours<") && drawn.contains(">25<"), "{drawn}");
        assert!(over_time(&plan(""), &events, main).is_none());
        let story = Story::of(&events);
        let table = targets(&story, &events, main, &[]).unwrap().into_string();
        assert!(table.contains("0.350") && table.contains("25 h 00 min"), "{table}");
    }
}
