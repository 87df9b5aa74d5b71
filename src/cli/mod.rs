//! The command line: arguments in, exit code out.

mod args;
mod certs;
mod chaos;
mod client;
mod clock;
mod compare;
mod demo;
mod display;
mod enrol;
mod exit;
mod folder;
mod golden;
mod host;
mod journal;
mod losses;
mod out;
mod partition;
mod plan;
mod plan_file;
mod serve;
mod simulate;
mod status;
mod stop;
mod strategies;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, ClientCommand, Command, CoordinatorCommand};
use exit::Exit;

/// Parses the arguments and runs the command.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let wrong = error.use_stderr();
            return if wrong { Exit::Usage } else { Exit::Done }.into();
        }
    };
    log(cli.verbose);
    let colour = match cli.color {
        args::Color::Auto => None,
        args::Color::Always => Some(true),
        args::Color::Never => Some(false),
    };
    let _ = miette::set_hook(Box::new(move |_| {
        let mut handler = miette::MietteHandlerOpts::new().context_lines(1).width(110);
        if let Some(colour) = colour {
            handler = handler.color(colour);
        }
        Box::new(handler.build())
    }));
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args, cli.quiet),
        Command::Simulate(args) => simulate::run(&args, cli.quiet),
        Command::Compare(args) => compare::run(&args, cli.quiet),
        Command::Partition(args) => partition::run(&args, cli.quiet, colour),
        Command::Plan(command) => plan::run(&command),
        Command::Coordinator(CoordinatorCommand::Serve(args)) => serve::run(&args, cli.quiet),
        Command::Coordinator(CoordinatorCommand::Status(args)) => status::run(&args),
        Command::Coordinator(CoordinatorCommand::Members(command)) => enrol::members(&command),
        Command::Journal(command) => journal::run(&command),
        Command::Client(ClientCommand::Run(args)) => client::run(args, cli.quiet),
        Command::Client(ClientCommand::Join(args)) => enrol::join(args, cli.quiet),
        Command::Client(ClientCommand::Service(command)) => enrol::service(&command),
        Command::Losses(command) => losses::run(&command),
        Command::Strategies(command) => strategies::run(&command),
        Command::Certs(command) => certs::run(&command),
        Command::Chaos(args) => chaos::run(&args, cli.verbose > 0, cli.quiet),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out::note(format!("{:?}", failure.report));
            failure.exit.into()
        }
    }
}

fn log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "warn",
        1 => "info,quinn=warn",
        2 => "debug,quinn=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("SYNOD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
