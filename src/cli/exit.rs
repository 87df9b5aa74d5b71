//! Exit codes, as the documentation lists them.

use std::process::ExitCode;

/// Why a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// A bug of ours, or something nobody expected.
    Unexpected,
    /// The command line, a plan or a setting is wrong.
    Usage,
    /// The coordinator cannot be reached.
    Unreachable,
    /// An identity was refused.
    Identity,
    /// The run ended without its goal.
    Unfinished,
    /// Data or model do not fit.
    Data,
    /// Interrupted by a person or a signal.
    Interrupted,
}

impl Exit {
    /// Every way to end, by its code.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Unreachable,
        Self::Identity,
        Self::Unfinished,
        Self::Data,
        Self::Interrupted,
    ];

    /// What the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Identity => 4,
            Self::Unfinished => 5,
            Self::Data => 6,
            Self::Interrupted => 130,
        }
    }

    /// The sentence of docs/exit-codes.md.
    #[cfg(test)]
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unexpected => "unexpected: a bug, or something nobody thought of",
            Self::Usage => "the command line, a plan or a setting is wrong",
            Self::Unreachable => "the coordinator cannot be reached",
            Self::Identity => "an identity was refused",
            Self::Unfinished => "the run ended without its goal",
            Self::Data => "data or model do not fit",
            Self::Interrupted => "interrupted by Ctrl-C or SIGTERM",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error on its way to the person: the report and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) report: miette::Report,
}

impl Failure {
    /// `what: why` with `help`.
    pub(crate) fn new(exit: Exit, message: impl std::fmt::Display, help: Option<&str>) -> Self {
        let mut diagnostic = miette::MietteDiagnostic::new(message.to_string());
        if let Some(help) = help {
            diagnostic = diagnostic.with_help(help);
        }
        Self { exit, report: diagnostic.into() }
    }
}

/// What a command gives.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Maps an error of a library to an exit code.
pub(crate) trait OrExit<T> {
    /// The error's text, with this exit code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| {
            // Most of our messages carry their cause; what they do not say is added.
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                let text = cause.to_string();
                if !message.contains(&text) {
                    message = format!("{message}: {text}");
                }
                source = cause.source();
            }
            Failure::new(exit, message, None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_code_with_its_sentence_and_no_other() {
        let page = include_str!("../../docs/exit-codes.md");
        let listed: Vec<&str> = page.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| code")).collect();
        assert_eq!(listed.len(), Exit::ALL.len());
        for (line, exit) in listed.iter().zip(Exit::ALL) {
            assert!(line.starts_with(&format!("| {} | {} |", exit.code(), exit.sentence())), "{line}");
        }
    }

    #[test]
    fn the_help_names_every_code() {
        for exit in Exit::ALL {
            assert!(super::super::args::EXIT_CODES.contains(&format!("{} ", exit.code())), "{exit:?}");
        }
    }
}
