//! Names with options as they are typed: `focal`, `focal{gamma=1.5}`, or inline TOML `{ focal = { gamma = 1.5 } }`.

use crate::cli::exit::{Exit, Failure};

/// Longest list of choices, in bytes: as long as a command line reasonably is.
const LIST_BYTES_MAX: usize = 64 << 10;

/// A loss or a strategy as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// How it is called in tables.
    pub(super) label: String,
    pub(super) name: String,
    pub(super) options: toml::Table,
}

impl Choice {
    /// As a plan has it: a table with the name as its only key.
    pub(super) fn to_value(&self) -> toml::Value {
        let mut table = toml::Table::new();
        table.insert(self.name.clone(), toml::Value::Table(self.options.clone()));
        toml::Value::Table(table)
    }
}

/// Reads the choices of `flag`, separated by commas that are not inside brackets or quotes.
pub(super) fn choices(flag: &'static str, list: &str) -> Result<Vec<Choice>, Failure> {
    let wrong = |item: &str, why: String| {
        let help = format!("write {flag} 'name,other{{option=2.0}}', in quotes because of the braces");
        Failure::new(Exit::Usage, format!("{flag} cannot read {item:?}: {why}"), Some(&help))
    };
    if list.len() > LIST_BYTES_MAX {
        return Err(wrong("the list", format!("it has more than {LIST_BYTES_MAX} bytes")));
    }
    let mut all: Vec<Choice> = Vec::new();
    for item in split(list) {
        let choice = choice(item).map_err(|why| wrong(item, why))?;
        if all.iter().any(|other| other.name == choice.name && other.options == choice.options) {
            return Err(wrong(item, "it is named twice".to_owned()));
        }
        all.push(choice);
    }
    Ok(all)
}

fn choice(item: &str) -> Result<Choice, String> {
    if item.starts_with('{') {
        let table = inline(item)?;
        let mut entries = table.into_iter();
        return match (entries.next(), entries.next()) {
            (Some((name, toml::Value::Table(options))), None) => {
                Ok(Choice { label: label(&name, &options), name, options })
            }
            _ => Err("inline TOML has the name as its only key and a table of options".to_owned()),
        };
    }
    let (name, options) = match item.split_once('{') {
        None => (item, toml::Table::new()),
        Some((name, rest)) => (name.trim_end(), inline(&format!("{{{rest}"))?),
    };
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(sound) {
        return Err("a name has lower-case letters, digits and underscores".to_owned());
    }
    Ok(Choice { label: label(name, &options), name: name.to_owned(), options })
}

/// An inline table.
fn inline(text: &str) -> Result<toml::Table, String> {
    let document = format!("options = {text}").parse::<toml::Table>().map_err(|error| error.message().to_owned())?;
    match document.into_iter().next() {
        Some((_, toml::Value::Table(table))) => Ok(table),
        _ => Err("its options are no table".to_owned()),
    }
}

fn label(name: &str, options: &toml::Table) -> String {
    if options.is_empty() {
        return name.to_owned();
    }
    let options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{name}{{{}}}", options.join(","))
}

/// The items of a list, without the space around them; empty ones too, so that a comma too many is seen.
fn split(list: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, c) in list.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('{' | '[', None) => depth += 1,
            ('}' | ']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                items.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(list[start..].trim());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(list: &str) -> Vec<String> {
        choices("--losses", list).unwrap().into_iter().map(|choice| choice.label).collect()
    }

    fn refused(list: &str) -> String {
        choices("--losses", list).unwrap_err().report.to_string()
    }

    #[test]
    fn names_options_and_inline_toml() {
        let all =
            choices("--losses", "cross_entropy, focal{gamma=1.5, alpha=[1.0, 2.0]},{ huber = { delta = 2 } }").unwrap();
        let names: Vec<&str> = all.iter().map(|choice| choice.name.as_str()).collect();
        assert_eq!(names, ["cross_entropy", "focal", "huber"]);
        assert_eq!(all[1].options["gamma"].as_float(), Some(1.5));
        assert_eq!(all[2].to_value().to_string(), "{ huber = { delta = 2 } }");
        assert_eq!(labels("a,b{x=1},c{ y = \",\" }"), ["a", "b{x=1}", "c{y=\",\"}"]);
    }

    #[test]
    fn what_cannot_be_read_says_which_and_how_it_is_written() {
        assert!(refused("a,,b").contains("cannot read \"\""));
        assert!(refused("focal{gamma}").contains("focal{gamma}"));
        assert!(refused("focal{gamma=1").contains("focal{gamma=1"));
        assert!(refused("Focal").contains("lower-case"));
        assert!(refused("a,a").contains("twice"));
        assert!(refused("{ a = {}, b = {} }").contains("only key"));
        assert!(refused("{ a = 1 }").contains("only key"));
        assert!(refused(&"a,".repeat(40_000)).contains("more than"));
        assert_eq!(labels("a{x=1},a{x=2}").len(), 2);
    }
}
