//! The figures of the page: which series of a run is drawn how.

use maud::{Markup, html};
use synod_common::ids::SiteName;
use synod_common::metrics::Metrics;
use synod_common::plan::{Headline, Plan, Source, Task};

use super::chart::{Band, Bar, Heat, Line, LineChart, Shade, bars, histogram};
use super::quantity::{count, short};
use super::story::{Accepted, Story, natural_key};

/// Most sites with a line each; more become a band.
const SITE_LINES_MAX: usize = 8;
/// Most sites with a bar each; more become a histogram.
const SITE_BARS_MAX: usize = 32;
/// Most rows of a heat map; of more sites, evenly spaced ones are shown.
const HEAT_ROWS_MAX: usize = 24;
/// Most columns of a heat map; more classes are put together in ranges.
const HEAT_COLUMNS_MAX: usize = 40;

/// A figure with its heading and what to see in it.
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) drawing: Markup,
}

impl Figure {
    pub(super) fn render(&self) -> Markup {
        html! {
            figure.card {
                figcaption { h3 { (self.title) } @if !self.text.is_empty() { p { (self.text) } } }
                (self.drawing)
            }
        }
    }
}

/// `metric` over rounds: central test set, and at the sites before and after local training.
pub(super) fn learning(story: &Story, metric: &str, title: &str, y_label: &'static str) -> Option<Figure> {
    let central = story.central.iter().filter_map(|(round, m)| Some((*round as f64, m.get(metric)?)));
    // `before` is measured on the model that the round began with, which is that of the round before.
    let sites = |shift: u64, part: fn(&Accepted) -> Option<&Metrics>| -> Vec<(f64, f64)> {
        let rounds = story.rounds.iter();
        rounds.filter_map(|(round, r)| Some((round.saturating_sub(shift) as f64, r.mean(part).get(metric)?))).collect()
    };
    let mut lines =
        vec![Line { name: "global model, central test set".to_owned(), tone: 1, points: central.collect() }];
    lines.push(Line {
        name: "global model, sites' held-out samples".to_owned(),
        tone: 2,
        points: sites(1, |a| a.before.as_ref()),
    });
    lines.push(Line {
        name: "after local training, own held-out samples".to_owned(),
        tone: 3,
        points: sites(0, |a| a.after.as_ref()),
    });
    if metric == "loss" {
        lines.push(Line { name: "during local training".to_owned(), tone: 4, points: sites(0, |a| Some(&a.train)) });
    }
    lines.retain(|line| !line.points.is_empty());
    let chart = LineChart { y_label, lines, ..LineChart::default() };
    (!chart.is_empty()).then(|| Figure {
        title: title.to_owned(),
        text: "Lines of sites are means over the sites of a round, weighted by samples.".to_owned(),
        drawing: chart.render(),
    })
}

/// The headline metric of the last global model at each site, beside that of the site's own model.
pub(super) fn site_headline(story: &Story, headline: Headline) -> Option<Figure> {
    let mut sites: Vec<(&SiteName, Option<f64>, Option<f64>)> = story
        .sites
        .iter()
        .map(|(name, site)| {
            let of = |m: &Option<(u64, Metrics)>| m.as_ref().and_then(|m| m.1.get(headline.name));
            (name, of(&site.global), of(&site.local))
        })
        .filter(|(_, global, local)| global.is_some() || local.is_some())
        .collect();
    if sites.is_empty() {
        return None;
    }
    sites.sort_by(|a, b| natural_key(a.0).cmp(&natural_key(b.0)));
    let mut values: Vec<f64> = sites.iter().filter_map(|s| s.1).collect();
    values.sort_by(f64::total_cmp);
    let label = format!("{} on the site's held-out samples", headline.title);
    let few = sites.len() <= SITE_BARS_MAX || values.is_empty();
    let (text, drawing) = if few {
        let rows: Vec<Bar> = sites
            .iter()
            .take(SITE_BARS_MAX)
            .map(|(name, value, ring)| Bar { name: name.to_string(), value: *value, ring: *ring })
            .collect();
        let text = "A site's held-out samples have its own mix of classes: a model trained there last is at home, the global model serves everyone.";
        (text.to_owned(), bars(&rows, ["global model", "site's model after its last local training"], &label))
    } else {
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let text = format!(
            "The global model at {}: lowest {}, a quarter below {}, half below {}, a quarter above {}, highest {}.",
            count(values.len() as u64, "site"),
            short(at(0.0)),
            short(at(0.25)),
            short(at(0.5)),
            short(at(0.75)),
            short(at(1.0)),
        );
        (text, histogram(&values, &label))
    };
    Some(Figure { title: format!("{} at each site", capital(headline.title)), text, drawing })
}

/// `text` with a capital at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Training samples by site and class.
pub(super) fn class_counts(plan: &Plan, story: &Story, given: Option<&[(SiteName, Vec<u64>)]>) -> Option<Figure> {
    let mut counts: Vec<(&SiteName, &[u64])> = match given {
        Some(given) => given.iter().map(|(name, counts)| (name, counts.as_slice())).collect(),
        None => story.sites.iter().filter_map(|(name, site)| Some((name, site.class_counts.as_deref()?))).collect(),
    };
    let classes = counts.iter().map(|c| c.1.len()).max().unwrap_or(0);
    if classes == 0 {
        return None;
    }
    counts.sort_by(|a, b| natural_key(a.0).cmp(&natural_key(b.0)));
    let sites = counts.len();
    let shown: Vec<usize> = (0..sites.min(HEAT_ROWS_MAX)).map(|i| i * sites / sites.min(HEAT_ROWS_MAX)).collect();
    let width = classes.div_ceil(HEAT_COLUMNS_MAX);
    let names = class_names(plan, classes);
    let columns = (0..classes).step_by(width).map(|from| {
        let to = (from + width).min(classes) - 1;
        if from == to { names[from].clone() } else { format!("{from}–{to}") }
    });
    let heat = Heat {
        rows: shown.iter().map(|i| (counts[*i].0.to_string(), grouped(counts[*i].1, width))).collect(),
        columns: columns.collect(),
        row_label: "site",
        column_label: if width == 1 { "class" } else { "classes" },
        shade: Shade::All,
    };
    let mut text = "Samples each site trains on. Uneven rows are what makes federated learning hard.".to_owned();
    if shown.len() < sites {
        text.push_str(&format!(" {} of {} are shown, evenly spaced.", shown.len(), count(sites as u64, "site")));
    }
    Some(Figure { title: "Class counts at each site".to_owned(), text, drawing: heat.render() })
}

/// The confusion matrix of the last model that has one.
pub(super) fn confusion(plan: &Plan, story: &Story) -> Option<Figure> {
    let (round, matrix) = story.confusion.as_ref()?;
    let names = class_names(plan, matrix.len());
    if matrix.is_empty() || matrix.len() > HEAT_COLUMNS_MAX {
        return None;
    }
    let heat = Heat {
        rows: names.iter().cloned().zip(matrix.iter().cloned()).collect(),
        columns: names,
        row_label: "true",
        column_label: "predicted class",
        shade: Shade::Row,
    };
    let text = format!("The model after round {round} on the central test set; each row is shaded by its own sum.");
    Some(Figure { title: "What is taken for what".to_owned(), text, drawing: heat.render() })
}

/// Lengths of updates and of the global step.
pub(super) fn norms(story: &Story) -> Option<Figure> {
    let step = story.rounds.iter().filter_map(|(round, r)| Some((*round as f64, r.step_norm?)));
    let mut chart = LineChart { y_label: "L2 norm", anchor: Some(0.0), ..LineChart::default() };
    chart.lines.push(Line { name: "global step".to_owned(), tone: 1, points: step.collect() });
    let mut trained: Vec<&SiteName> =
        story.sites.iter().filter(|(_, site)| site.updates > 0).map(|(name, _)| name).collect();
    if trained.len() < SITE_LINES_MAX {
        trained.sort_by(|a, b| natural_key(a).cmp(&natural_key(b)));
        for (name, tone) in trained.into_iter().zip(2..) {
            let points = story.rounds.iter().filter_map(|(round, r)| Some((*round as f64, r.updates.get(name)?.norm)));
            chart.lines.push(Line { name: name.to_string(), tone, points: points.collect() });
        }
    } else {
        let mut band = Vec::new();
        let mut middle = Vec::new();
        for (round, r) in &story.rounds {
            let mut norms: Vec<f64> = r.updates.values().map(|update| update.norm).filter(|n| n.is_finite()).collect();
            norms.sort_by(f64::total_cmp);
            if let (Some(low), Some(high)) = (norms.first(), norms.last()) {
                band.push((*round as f64, *low, *high));
                middle.push((*round as f64, norms[norms.len() / 2]));
            }
        }
        chart.bands.push(Band { name: "updates, shortest to longest".to_owned(), tone: 2, points: band });
        chart.lines.push(Line { name: "updates, median".to_owned(), tone: 2, points: middle });
    }
    chart.lines.retain(|line| !line.points.is_empty());
    (!chart.is_empty()).then(|| Figure {
        title: "Length of updates and of the global step".to_owned(),
        text: "A step much shorter than the updates means that sites pull in different directions.".to_owned(),
        drawing: chart.render(),
    })
}

/// Where the time of a round goes.
pub(super) fn times(story: &Story) -> Option<Figure> {
    let rounds = || story.rounds.iter().filter(|(_, r)| r.committed);
    let seconds = |ms: u64| ms as f64 / 1e3;
    let slowest = |r: &super::story::Round| r.updates.values().map(|u| u.train_ms).max().map(seconds);
    let mut chart = LineChart { y_label: "seconds", anchor: Some(0.0), ..LineChart::default() };
    let whole = rounds().map(|(round, r)| (*round as f64, seconds(r.ms)));
    chart.lines.push(Line { name: "whole round".to_owned(), tone: 1, points: whole.collect() });
    let slow = rounds().filter_map(|(round, r)| Some((*round as f64, slowest(r)?)));
    chart.lines.push(Line { name: "slowest site's training".to_owned(), tone: 2, points: slow.collect() });
    let close = rounds().filter_map(|(round, r)| Some((*round as f64, seconds(r.close_ms?))));
    chart.lines.push(Line {
        name: "from the last update to the new model".to_owned(),
        tone: 3,
        points: close.collect(),
    });
    chart.lines.retain(|line| !line.points.is_empty());
    (!chart.is_empty()).then(|| Figure {
        title: "Time of a round".to_owned(),
        text: String::new(),
        drawing: chart.render(),
    })
}

/// Classes by the names the data has for them, or by number.
fn class_names(plan: &Plan, classes: usize) -> Vec<String> {
    let named = |class: usize| match (&plan.data.source, &plan.task) {
        (Source::Csv(csv), Task::Classification { .. }) => csv.label_values.get(class)?.first(),
        (Source::Csv(csv), Task::MultiLabel { .. }) => csv.targets.get(class),
        _ => None,
    };
    let name = |class| named(class).filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| class.to_string());
    (0..classes).map(name).collect()
}

fn grouped(counts: &[u64], width: usize) -> Vec<u64> {
    counts.chunks(width).map(|part| part.iter().fold(0_u64, |sum, count| sum.saturating_add(*count))).collect()
}
