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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Unexpected => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Identity => 4,
            Exit::Unfinished => 5,
            Exit::Data => 6,
            Exit::Interrupted => 130,
        })
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
