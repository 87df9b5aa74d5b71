//! Reads plans from files and shows what is wrong with them, with line and caret.

use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use synod_client::catalogue::Zoo;
use synod_common::plan::{PLAN_BYTES_MAX, Plan, PlanError};

use super::exit::{Exit, Failure};

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the plan {path} has {count}")]
struct PlanReport {
    path: String,
    count: String,
    #[related]
    problems: Vec<ProblemReport>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct ProblemReport {
    message: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("{path}")]
    span: Option<SourceSpan>,
    path: String,
}

/// Reads and checks the plan in `path`.
pub(crate) fn read(path: &Path) -> Result<Arc<Plan>, Failure> {
    let shown = path.display();
    let size = std::fs::metadata(path).map(|m| m.len()).unwrap_or(0);
    if size > PLAN_BYTES_MAX as u64 {
        let message = format!("the plan {shown} has {size} bytes, at most {PLAN_BYTES_MAX} are read");
        return Err(Failure::new(Exit::Usage, message, None));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read the plan {shown}: {error}"),
            Some("`synod plan new FILE` writes one to begin with"),
        )
    })?;
    parse(&text, &shown.to_string())
}

/// Checks the plan in `text`, called `name` in messages.
pub(crate) fn parse(text: &str, name: &str) -> Result<Arc<Plan>, Failure> {
    Plan::read(text, &Zoo)
        .map(Arc::new)
        .map_err(|error| Failure { exit: Exit::Usage, report: report(error, name).into() })
}

fn report(error: PlanError, name: &str) -> PlanReport {
    let count = match error.problems.len() {
        1 => "a problem".to_owned(),
        n => format!("{n} problems"),
    };
    let problems = error
        .problems
        .into_iter()
        .map(|problem| ProblemReport {
            message: problem.message,
            help: problem.help,
            source_code: NamedSource::new(name, error.source_text.clone()),
            span: problem.span.map(SourceSpan::from),
            path: problem.path,
        })
        .collect();
    PlanReport { path: name.to_owned(), count, problems }
}
