//! The tables of the page: the comparison, the rounds, the sites.

use maud::{Markup, html};
use synod_common::event::LeftOut;
use synod_common::plan::{Better, Headline};

use super::input::ComparisonRow;
use super::quantity::{bytes, count, grouped, megabytes, metric_or_dash, short, time};
use super::story::{Round, Site, Story, natural_key};

/// Most rows of the comparison.
const COMPARISON_ROWS_MAX: usize = 60;
/// Most rows of the table of rounds; the first and the last, and between them those in which something went wrong.
const ROUND_ROWS_MAX: usize = 200;
/// Rounds always shown at each end of a long run.
const ROUND_ENDS: usize = 25;
/// Most rows of the table of sites; sites with trouble come first.
const SITE_ROWS_MAX: usize = 100;
/// Most names in one cell.
const NAMES_MAX: usize = 6;
/// Most characters of one reason.
const REASON_CHARS_MAX: usize = 240;

/// The models side by side; the best value of a column is bold.
pub(super) fn comparison(rows: &[ComparisonRow], headlines: [Headline; 2]) -> Markup {
    let best = headlines.map(|headline| {
        let values = rows.iter().filter_map(|r| r.metrics.get(headline.name));
        values.reduce(|best, value| if headline.prefers(value, best) { value } else { best })
    });
    let [main, second] = headlines;
    // A bar shows a share of 1; a metric in the unit of its targets has none.
    let is_share = main.better == Better::Higher;
    html! {
        div.scroll { table.comparison {
            thead { tr {
                th scope="col" { "model" } th scope="col" { "test " (main.title) } th.number scope="col" { (second.title) } th.number scope="col" { "loss" }
                th.number scope="col" { "rounds" } th.number scope="col" { "MB up" } th.number scope="col" { "MB down" } th.number scope="col" { "seconds" }
            } }
            tbody { @for (i, row) in rows.iter().enumerate().take(COMPARISON_ROWS_MAX) {
                tr.own[i == 0] {
                    th scope="row" { (row.name) @if !row.note.is_empty() { small { (cut(&row.note)) } } }
                    td {
                        @if is_share { (measured(row.metrics.get(main.name), best[0])) }
                        @else { (strong(row.metrics.get(main.name), best[0])) }
                    }
                    td.number { (strong(row.metrics.get(second.name), best[1])) }
                    td.number { (metric_or_dash(row.metrics.get("loss"))) }
                    td.number { (grouped(row.rounds)) }
                    td.number { (megabytes(row.bytes_up)) }
                    td.number { (megabytes(row.bytes_down)) }
                    td.number { (format!("{:.1}", row.seconds)) }
                }
            } }
        } }
        @if rows.len() > COMPARISON_ROWS_MAX { p.note { (count((rows.len() - COMPARISON_ROWS_MAX) as u64, "more row")) " left out." } }
    }
}

/// A bar with its value.
fn measured(value: Option<f64>, best: Option<f64>) -> Markup {
    let width = format!("{:.1}", value.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0);
    html! {
        span.meter {
            svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                rect.empty width="100" height="10" {}
                rect.bar.t1 width=(width) height="10" {}
            }
            (strong(value, best))
        }
    }
}

fn strong(value: Option<f64>, best: Option<f64>) -> Markup {
    html! { @if value.is_some() && value == best { strong { (metric_or_dash(value)) } } @else { (metric_or_dash(value)) } }
}

/// A row a round: who took part, who was left out and why.
pub(super) fn rounds(story: &Story, headline: Headline) -> Markup {
    let all: Vec<(u64, &Round)> = story.rounds.iter().map(|(round, r)| (*round, r)).collect();
    let troubled = |r: &Round| !r.left_out.is_empty() || r.retries > 0 || !r.committed;
    let middle = ROUND_ROWS_MAX - 2 * ROUND_ENDS;
    let shown: Vec<&(u64, &Round)> = if all.len() <= ROUND_ROWS_MAX {
        all.iter().collect()
    } else {
        let (head, rest) = all.split_at(ROUND_ENDS);
        let (rest, tail) = rest.split_at(rest.len() - ROUND_ENDS);
        head.iter().chain(rest.iter().filter(|(_, r)| troubled(r)).take(middle)).chain(tail).collect()
    };
    html! {
        div.scroll { table {
            thead { tr {
                th.number scope="col" { "round" } th.number scope="col" { "took part" } th.why scope="col" { "left out, and why" }
                th.number scope="col" { "train loss" } th.number scope="col" { "test " (headline.title) } th.number scope="col" { "test loss" }
                th.number scope="col" { "step norm" } th.number scope="col" { "time" }
            } }
            tbody { @for (number, round) in shown.iter().map(|r| (r.0, r.1)) {
                @let central = story.central.get(&number);
                tr {
                    th.number scope="row" { (number) }
                    td.number {
                        @if round.committed {
                            span title=(names(round)) { (grouped(round.took_part.len() as u64)) " of " (grouped(round.cohort.max(round.took_part.len()) as u64)) }
                        } @else { "not committed" }
                    }
                    td.why { (left_out(round)) }
                    td.number { (metric_or_dash(round.mean(|a| Some(&a.train)).get("loss"))) }
                    td.number { (metric_or_dash(central.and_then(|m| m.get(headline.name)))) }
                    td.number { (metric_or_dash(central.and_then(|m| m.get("loss")))) }
                    td.number { (round.step_norm.map_or_else(|| "–".to_owned(), short)) }
                    td.number { @if round.committed { (time(round.ms)) } @else { "–" } }
                }
            } }
        } }
        @if shown.len() < all.len() {
            p.note {
                (count((all.len() - shown.len()) as u64, "round")) " left out: shown are the first and the last " (ROUND_ENDS)
                ", and between them up to " (middle) " in which someone was left out."
            }
        }
    }
}

fn names(round: &Round) -> String {
    let mut text: Vec<&str> = round.took_part.iter().take(4 * NAMES_MAX).map(|n| n.as_str()).collect();
    if round.took_part.len() > text.len() {
        text.push("…");
    }
    text.join(", ")
}

fn left_out(round: &Round) -> Markup {
    // Sites with the same reason stand together.
    let mut reasons: Vec<(&str, Vec<&LeftOut>)> = Vec::new();
    for out in &round.left_out {
        if let Some(reason) = reasons.iter_mut().find(|r| r.0 == out.reason) {
            reason.1.push(out);
        } else if reasons.len() < NAMES_MAX {
            reasons.push((&out.reason, vec![out]));
        }
    }
    let told: usize = reasons.iter().map(|r| r.1.len()).sum();
    html! {
        @if round.retries > 0 { div { "tried again " (count(round.retries, "time")) } }
        @for (reason, sites) in &reasons {
            div {
                @for (i, out) in sites.iter().take(NAMES_MAX).enumerate() { @if i > 0 { ", " } b { (out.site) } }
                @if sites.len() > NAMES_MAX { " and " (grouped((sites.len() - NAMES_MAX) as u64)) " more" }
                ": " (cut(reason))
            }
        }
        @if told < round.left_out.len() { div { "and " (grouped((round.left_out.len() - told) as u64)) " more" } }
    }
}

/// A row a site: what it gave and took.
pub(super) fn sites(story: &Story) -> Markup {
    let mut all: Vec<_> = story.sites.iter().collect();
    let trouble = |site: &Site| site.refused + site.left_out;
    if all.len() > SITE_ROWS_MAX {
        all.sort_by(|a, b| trouble(b.1).cmp(&trouble(a.1)).then_with(|| natural_key(a.0).cmp(&natural_key(b.0))));
    } else {
        all.sort_by(|a, b| natural_key(a.0).cmp(&natural_key(b.0)));
    }
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "site" } th.number scope="col" { "samples" } th.number scope="col" { "updates" } th.number scope="col" { "left out" }
                th.number scope="col" { "refused" } th.number scope="col" { "training, mean" } th.number scope="col" { "sent" } th.number scope="col" { "received" }
                th.why scope="col" { "last trouble" }
            } }
            tbody { @for (name, site) in all.iter().take(SITE_ROWS_MAX) {
                tr {
                    th scope="row" { (name) }
                    td.number { (site.samples.map_or_else(|| "–".to_owned(), grouped)) }
                    td.number { (grouped(site.updates)) }
                    td.number { (grouped(site.left_out)) }
                    td.number { (grouped(site.refused)) }
                    td.number { (site.train_ms.checked_div(site.updates).map_or_else(|| "–".to_owned(), time)) }
                    td.number { (bytes(site.bytes_up)) }
                    td.number { (bytes(site.bytes_down)) }
                    td.why { (cut(site.last_problem.as_deref().unwrap_or("–"))) }
                }
            } }
        } }
        @if all.len() > SITE_ROWS_MAX {
            p.note { (SITE_ROWS_MAX) " of " (count(all.len() as u64, "site")) ", those with the most trouble first." }
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= REASON_CHARS_MAX {
        text.to_owned()
    } else {
        text.chars().take(REASON_CHARS_MAX).chain(['…']).collect()
    }
}
