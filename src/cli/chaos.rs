//! `synod chaos`: faults and fuzzing, for who works on Synod.

use synod_simulations::chaos::{Campaign, play};
use synod_simulations::fuzz::{TARGETS, fuzz};

use super::args::ChaosArgs;
use super::exit::{Exit, Failure, Outcome};
use super::out;

/// Seeds of one report.
const BATCH: u64 = 1_000;

pub(crate) fn run(args: &ChaosArgs, verbose: bool, quiet: bool) -> Outcome {
    match (args.replay, args.fuzz) {
        (Some(seed), _) => replay(seed, verbose),
        (None, Some(executions)) => fuzz_all(executions, args.target.as_deref(), args.first),
        (None, None) => seeds(args.first, args.seeds, quiet),
    }
}

fn seeds(first: u64, seeds: u64, quiet: bool) -> Outcome {
    let (mut steps, mut rounds, mut deaths) = (0, 0, 0);
    let mut done = 0;
    while done < seeds {
        let batch = BATCH.min(seeds - done);
        let campaign = Campaign::run(first + done, batch, None);
        if let Some(failure) = campaign.failures.first() {
            let message = format!("{} of {batch} seeds did not hold; {failure}", campaign.failed);
            return Err(Failure::new(Exit::Unexpected, message, None));
        }
        done += batch;
        (steps, rounds, deaths) = (steps + campaign.steps, rounds + campaign.rounds, deaths + campaign.deaths);
        if !quiet {
            out::note(format!("{done} of {seeds} seeds hold"));
        }
    }
    out::line(format!("{seeds} seeds hold: {steps} steps, {rounds} rounds, {deaths} deaths of coordinators"));
    Ok(Exit::Done)
}

fn replay(seed: u64, verbose: bool) -> Outcome {
    let (log, outcome) = match play(seed, None) {
        Ok(survived) => (survived.log, Ok(Exit::Done)),
        Err(failure) => {
            let error = Failure::new(Exit::Unexpected, &failure, None);
            (failure.log, Err(error))
        }
    };
    let shown = if verbose { 0 } else { log.len().saturating_sub(60) };
    log.iter().skip(shown).for_each(out::line);
    outcome
}

fn fuzz_all(executions: u64, only: Option<&str>, seed: u64) -> Outcome {
    for target in TARGETS.iter().filter(|target| only.is_none_or(|only| only == target.name)) {
        let done = fuzz(target, executions, seed);
        out::line(format!("{:14}  {} executions, {} bytes", target.name, done.executions, done.bytes));
    }
    Ok(Exit::Done)
}
