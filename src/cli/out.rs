//! Standard output is the result asked for, standard error is everything else. A reader that went away is no error.

use std::io::{IsTerminal, Write};

/// Writes a line to standard output.
pub(crate) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a value as one line of JSON to standard output.
pub(crate) fn json(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(text);
    }
}

/// Width of the terminal that standard output goes to, if it goes to one.
pub(crate) fn columns() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Whether standard output goes to a terminal whose user has not asked for no colours.
pub(crate) fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether a person looks at standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
