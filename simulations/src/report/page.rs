//! The page as a whole.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use synod_common::event::Outcome;

use super::clock;
use super::figures::{self, Figure};
use super::input::ReportInput;
use super::quantity::{bytes, count, grouped, metric, metric_or_dash, time};
use super::story::Story;
use super::tables;

pub(super) const STYLE: &str = include_str!("style.css");
/// Most characters of the plan's text on the page; a plan of that length names thousands of columns.
const PLAN_CHARS_MAX: usize = 100_000;
/// Rounds above which their table is folded.
const OPEN_ROUNDS_MAX: usize = 12;

/// The report as one HTML page, complete in itself.
#[must_use]
pub fn html(input: &ReportInput<'_>) -> String {
    let story = Story::of(input.events);
    let title = input.title.unwrap_or(&input.plan.name);
    let [main, _] = input.plan.task.headlines();
    markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing may run or be fetched, whatever slipped into the page.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (title) " · Synod report" }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                (headline(input, &story, title))
                @if !input.comparison.is_empty() {
                    section { h2 { "Comparison" } div.card { (tables::comparison(input.comparison, input.plan.task.headlines())) } }
                }
                (section("Learning", &[
                    figures::learning(&story, main.name, &format!("{} per round", figures::capital(main.title)), main.title),
                    figures::learning(&story, "loss", "Loss per round", "loss"),
                ]))
                @let over_time = clock::over_time(input.plan, input.events, main);
                @let times = over_time.as_ref().and_then(|_| clock::targets(&story, input.events, main, input.targets));
                (section_with("On the clock", &[over_time], times))
                (section("Sites", &[
                    figures::site_headline(&story, main),
                    figures::class_counts(input.plan, &story, input.site_class_counts.as_deref()),
                ]))
                (section("Rounds", &[figures::norms(&story), figures::times(&story)]))
                (section_with("Final model", &[figures::confusion(input.plan, &story)], metrics(&story)))
                section {
                    h2 { "Details" }
                    @if !story.rounds.is_empty() {
                        details.card open[story.rounds.len() <= OPEN_ROUNDS_MAX] {
                            summary { "Rounds" span { (count(story.rounds.len() as u64, "round")) } }
                            (tables::rounds(&story, main))
                        }
                    }
                    @if !story.sites.is_empty() {
                        details.card { summary { "Sites" span { (count(story.sites.len() as u64, "site")) } } (tables::sites(&story)) }
                    }
                    details.card { summary { "The resolved plan" span { "digest " (input.plan.digest().short()) } } (plan_text(input.plan_toml)) }
                }
                footer { "Made by Synod " (env!("CARGO_PKG_VERSION")) " from the events of the run. This page is complete in itself: it loads nothing and runs nothing." }
            } }
        }
    }
    .into_string()
}

fn headline(input: &ReportInput<'_>, story: &Story, title: &str) -> Markup {
    let (tone, state, why) = match &story.outcome {
        Some(Outcome::Completed) => ("good", "completed", None),
        Some(Outcome::Stopped { reason }) => ("bad", "stopped", Some(reason.as_str())),
        Some(Outcome::Interrupted) => (
            "warn",
            "interrupted",
            Some("a person or a signal ended the run; what is shown is what was finished until then"),
        ),
        None => {
            ("warn", "no end recorded", Some("the events stop before the run ended; what is shown is what they tell"))
        }
    };
    let last = story.last_central();
    let [main, second] = input.plan.task.headlines();
    let value = |name: &str| last.and_then(|(_, m)| m.get(name)).map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    let planned = story.started.as_ref().map_or(u64::from(input.plan.rounds), |s| s.rounds);
    let named = input.plan.aggregate.name();
    let strategy = story.started.as_ref().map_or(named.as_str(), |s| s.strategy.as_str());
    let plan = story.started.as_ref().map_or_else(|| input.plan.digest(), |s| s.plan);
    markup! {
        header {
            p.product { "Synod · federated run" }
            h1 { (title) " " span class=(format!("state {tone}")) { (state) } }
            @if let Some(why) = why { p class=(format!("reason {tone}")) { (why) } }
            p.lead {
                (count(story.sites.len() as u64, "site")) ", " (input.plan.model.name())
                @if let Some(started) = &story.started { " with " (count(started.parameters, "parameter")) }
                ", strategy " (strategy.replace('_', " ")) ", seed " (input.plan.seed) "."
            }
            dl.tiles {
                (tile(&format!("test {}", main.title), &value(main.name), last.map(|(_, m)| count(m.samples, "sample"))))
                (tile(second.title, &value(second.name), last.map(|(round, _)| format!("after round {round}"))))
                (tile("rounds", &grouped(story.committed), Some(format!("of {} planned", grouped(planned)))))
                (tile("up", &bytes(story.bytes_up), Some("sites to coordinator".to_owned())))
                (tile("down", &bytes(story.bytes_down), Some("coordinator to sites".to_owned())))
                (tile("time", &time(story.ms), per_round(story)))
            }
            dl.identity {
                @if let Some(model) = story.model { dt { "model" } dd { code { (model) } } }
                dt { "plan" } dd { code { (plan) } }
            }
        }
    }
}

fn per_round(story: &Story) -> Option<String> {
    let rounds: Vec<u64> = story.rounds.values().filter(|r| r.committed).map(|r| r.ms).collect();
    let mean = rounds.iter().fold(0_u64, |sum, ms| sum.saturating_add(*ms)).checked_div(rounds.len() as u64)?;
    Some(format!("{} a round", time(mean)))
}

fn tile(name: &str, value: &str, more: Option<String>) -> Markup {
    markup! { div.tile { dt { (name) } dd { (value) } @if let Some(more) = more { dd.more { (more) } } } }
}

fn section(title: &str, all: &[Option<Figure>]) -> Markup {
    section_with(title, all, None)
}

fn section_with(title: &str, all: &[Option<Figure>], extra: Option<Markup>) -> Markup {
    markup! {
        @if extra.is_some() || all.iter().any(Option::is_some) {
            section {
                h2 { (title) }
                div.pair {
                    @for figure in all.iter().flatten() { (figure.render()) }
                    @if let Some(extra) = extra { (extra) }
                }
            }
        }
    }
}

/// All metrics of the last central measurement beside those of the first.
fn metrics(story: &Story) -> Option<Markup> {
    let (last, metrics) = story.last_central()?;
    let (first, before) = story.central.first_key_value()?;
    Some(markup! {
        div.card {
            h3 { "Metrics on the central test set" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "metric" }
                    @if *first != last { th.number scope="col" { "after round " (first) } }
                    th.number scope="col" { "after round " (last) }
                } }
                tbody { @for (name, value) in &metrics.values {
                    tr {
                        th scope="row" { (name.replace('_', " ")) }
                        @if *first != last { td.number { (metric_or_dash(before.get(name))) } }
                        td.number { (metric(*value)) }
                    }
                } }
            } }
            p.note { "Measured on " (count(metrics.samples, "sample")) "." }
        }
    })
}

pub(super) fn plan_text(plan: &str) -> Markup {
    let shown: String = plan.chars().take(PLAN_CHARS_MAX).collect();
    markup! {
        pre { code { (shown) } }
        @if shown.len() < plan.len() { p.note { "The rest of the plan is left out; the run's folder has the whole." } }
    }
}
