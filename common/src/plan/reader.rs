//! Reads TOML sections key by key and collects every problem with its place, instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Problems after which the rest is not reported: past that a file is of another kind altogether.
const PROBLEMS_MAX: usize = 40;

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the path of the key, like `round.updates.count.min`.
    pub path: String,
    /// What and why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The bytes of the source it is about.
    pub span: Option<Range<usize>>,
}

/// Collects problems while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(crate) fn add(&self, path: &str, span: Option<Range<usize>>, message: impl Display, help: Option<String>) {
        let mut all = self.0.borrow_mut();
        if all.len() < PROBLEMS_MAX {
            all.push(Problem { path: path.to_owned(), message: message.to_string(), help, span });
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.sort_by_key(|p| p.span.as_ref().map_or(usize::MAX, |s| s.start));
        all
    }
}

/// One table of the document. Keys are taken out one by one; [`Section::finish`] reports those nobody took.
pub(crate) struct Section<'p, 'i> {
    problems: &'p Problems,
    path: String,
    span: Option<Range<usize>>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'i>>)>,
    known: Vec<&'static str>,
}

impl<'p, 'i> Section<'p, 'i> {
    pub(crate) fn new(problems: &'p Problems, path: String, span: Option<Range<usize>>, table: DeTable<'i>) -> Self {
        let entries = table.into_iter().map(|(key, value)| (key.get_ref().to_string(), (key.span(), value))).collect();
        Self { problems, path, span, entries, known: Vec::new() }
    }

    fn child_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The place of `key`'s value in the source, or of this section when it is not there (any more).
    fn place(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get(key).map(|(_, v)| v.span()).or_else(|| self.span.clone())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn problem(&self, key: &str, message: impl Display, help: Option<&str>) {
        let path = if key.is_empty() { self.path.clone() } else { self.child_path(key) };
        self.problems.add(&path, self.place(key), message, help.map(str::to_owned));
    }

    pub(crate) fn problem_at(
        &self,
        key: &str,
        span: Option<Range<usize>>,
        message: impl Display,
        help: Option<String>,
    ) {
        self.problems.add(&self.child_path(key), span, message, help);
    }

    /// The value of `key`, if it is there and of the right type.
    pub(crate) fn optional<T: Deserialize<'i>>(&mut self, key: &'static str) -> Option<T> {
        self.optional_at(key).map(|(value, _)| value)
    }

    fn optional_at<T: Deserialize<'i>>(&mut self, key: &'static str) -> Option<(T, Range<usize>)> {
        self.known.push(key);
        let (_, value) = self.entries.remove(key)?;
        let span = value.span();
        match T::deserialize(value.into_deserializer()) {
            Ok(parsed) => Some((parsed, span)),
            Err(error) => {
                let place = error.span().filter(|s| !s.is_empty()).unwrap_or(span);
                self.problems.add(&self.child_path(key), Some(place), error.message().trim_end(), None);
                None
            }
        }
    }

    /// The value of `key`, or `default` when it is absent (or wrong, which is reported).
    pub(crate) fn or<T: Deserialize<'i>>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// A value that must be there; `None` is reported.
    pub(crate) fn required<T: Deserialize<'i>>(&mut self, key: &'static str, what: &str) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.problems.add(
                &self.child_path(key),
                self.span.clone(),
                format!("`{key}` is missing: {what}"),
                Some(format!(
                    "add `{key} = …` to {}",
                    if self.path.is_empty() { "the top of the plan".into() } else { format!("[{}]", self.path) }
                )),
            );
            return None;
        }
        self.optional(key)
    }

    /// A number in `range`, or `default`.
    pub(crate) fn number<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Deserialize<'i> + PartialOrd + Display + Copy,
    {
        match self.optional_at::<T>(key) {
            Some((value, span)) if !range.contains(&value) => {
                self.out_of_range(key, span, value, &range);
                default
            }
            Some((value, _)) => value,
            None => default,
        }
    }

    /// A number in `range`, if there is one.
    pub(crate) fn optional_number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Deserialize<'i> + PartialOrd + Display + Copy,
    {
        let (value, span) = self.optional_at::<T>(key)?;
        if range.contains(&value) {
            Some(value)
        } else {
            self.out_of_range(key, span, value, &range);
            None
        }
    }

    fn out_of_range<T: Display>(&self, key: &str, span: Range<usize>, value: T, range: &RangeInclusive<T>) {
        self.problems.add(
            &self.child_path(key),
            Some(span),
            format!("`{key}` is {value}, the allowed range is {} to {}", range.start(), range.end()),
            None,
        );
    }

    /// The subsection `key`, if it is there.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<Section<'p, 'i>> {
        self.known.push(key);
        let (_, value) = self.entries.remove(key)?;
        self.subsection(key, value)
    }

    /// The tables of the array `key`, written as `[[key]]`; none if it is not there.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Section<'p, 'i>> {
        self.known.push(key);
        let Some((_, value)) = self.entries.remove(key) else { return Vec::new() };
        let span = value.span();
        match value.into_inner() {
            DeValue::Array(items) => items.into_iter().filter_map(|item| self.subsection(key, item)).collect(),
            other => {
                let path = self.child_path(key);
                let message = format!("`{key}` is a list of tables, this is a {}", other.type_str());
                self.problems.add(&path, Some(span), message, Some(format!("write each as [[{path}]]")));
                Vec::new()
            }
        }
    }

    /// The subsection `key`, an empty one if it is not there.
    pub(crate) fn section_or_empty(&mut self, key: &'static str) -> Section<'p, 'i> {
        let (path, place) = (self.child_path(key), self.span.clone());
        self.section(key).unwrap_or_else(|| Section::new(self.problems, path, place, DeTable::new()))
    }

    /// Reports a key of an earlier release, if it is there.
    pub(crate) fn moved(&mut self, old: &str, new: &str) {
        if let Some((span, _)) = self.entries.remove(old) {
            let help = format!("write `{new} = …` under [{}]", self.path);
            self.problem_at(old, Some(span), format!("`{old}` is now `{new}`"), Some(help));
        }
    }

    fn subsection(&self, key: &str, value: Spanned<DeValue<'i>>) -> Option<Section<'p, 'i>> {
        let (path, span) = (self.child_path(key), value.span());
        match value.into_inner() {
            DeValue::Table(table) => Some(Section::new(self.problems, path, Some(span), table)),
            other => {
                let message = format!("`{key}` is a table, this is a {}", other.type_str());
                self.problems.add(&path, Some(span), message, Some(format!("write it as [{}]", self.child_path(key))));
                None
            }
        }
    }

    /// A choice by name: `key = "name"`, or a table with the one key `name` that holds its options.
    pub(crate) fn choice(&mut self, key: &'static str) -> Option<Choice<'p, 'i>> {
        self.known.push(key);
        let (_, value) = self.entries.remove(key)?;
        let (path, span) = (self.child_path(key), value.span());
        match value.into_inner() {
            DeValue::String(name) => {
                let options = Section::new(self.problems, format!("{path}.{name}"), Some(span.clone()), DeTable::new());
                Some(Choice { name: name.into_owned(), span, options })
            }
            DeValue::Table(table) if table.len() == 1 => {
                let (name, value) = table.into_iter().next()?;
                let name_span = name.span();
                let parent = Section::new(self.problems, path, Some(span), DeTable::new());
                let name = name.into_inner().into_owned();
                let options = parent.subsection(&name, value)?;
                Some(Choice { name, span: name_span, options })
            }
            DeValue::Table(table) => {
                let names: Vec<_> = table.keys().map(|k| k.get_ref().to_string()).collect();
                let message = if names.is_empty() {
                    format!("`{key}` names nothing")
                } else {
                    format!("`{key}` names {} things ({}), it takes one", names.len(), names.join(", "))
                };
                self.problems.add(&path, Some(span), message, Some(format!("write [{path}.NAME] once")));
                None
            }
            other => {
                let message = format!("`{key}` is a name or a table, this is a {}", other.type_str());
                self.problems.add(&path, Some(span), message, None);
                None
            }
        }
    }

    /// Everything left in this section as a plain table, for options that another crate checks.
    pub(crate) fn rest(&mut self) -> toml::Table {
        let entries = std::mem::take(&mut self.entries);
        entries
            .into_iter()
            .filter_map(|(key, (_, value))| {
                toml::Value::deserialize(value.into_deserializer()).ok().map(|value| (key, value))
            })
            .collect()
    }

    /// Reports every key that nobody took.
    pub(crate) fn finish(self) {
        for (key, (span, _)) in &self.entries {
            let path = self.child_path(key);
            let place = if self.path.is_empty() { "a plan".to_owned() } else { format!("[{}]", self.path) };
            self.problems.add(
                &path,
                Some(span.clone()),
                format!("unknown key `{key}` in {place}"),
                Some(suggest(key, &self.known)),
            );
        }
    }

    pub(crate) fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// A chosen name with its options.
pub(crate) struct Choice<'p, 'i> {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    pub(crate) options: Section<'p, 'i>,
}

impl Choice<'_, '_> {
    /// Reports that the name is none of `known`.
    pub(crate) fn unknown(&self, what: &str, known: &[&str]) {
        let path = self.options.path().to_owned();
        self.options.problems.add(
            &path,
            Some(self.span.clone()),
            format!("there is no {what} `{}`", self.name),
            Some(suggest(&self.name, known)),
        );
    }
}

/// "did you mean" for a name, or the list of what there is.
#[must_use]
pub(crate) fn suggest(name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), *k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min();
    match near {
        Some((_, k)) => format!("did you mean `{k}`?"),
        None if known.is_empty() => "no key is known here: remove it".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}
