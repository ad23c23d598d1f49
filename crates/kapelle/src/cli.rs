//! The command line: what was typed (`args`), what it means (one file a command), how it ends (`exit`, `failure`).
//!
//! **Invariant:** data goes to standard output, everything else to standard error; every way to fail has a code of
//! `docs/reference/exit-codes.md` and, where there is one, a next step.
//! Deliberately absent: any knowledge of the engine. Commands about a server ask it over its public API.

mod args;
mod check;
mod completion;
mod configuration;
mod connectors;
mod dead;
mod deploy;
mod events;
mod exit;
mod failure;
mod feel;
mod input;
mod instances;
mod jobs;
mod messages;
mod output;
mod remote;
mod resources;
mod serve;
mod status;
mod subscribers;
mod version;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
// What the demo shares with the commands.
pub(crate) use args::{Demo as DemoArgs, Format};
pub(crate) use deploy::send as deploy_files;
pub(crate) use events::{brief, clock, explanation, line as event_line, subject};
pub(crate) use exit::Exit;
pub(crate) use failure::Failure;
pub(crate) use output::{Output, Style, table};
pub(crate) use serve::one_signal;

/// Runs what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    // Clap itself prints help and usage errors, and ends with 0 or 2.
    let Cli {
        command,
        color,
        output,
    } = Cli::parse();
    let output = Output::new(output, color);
    match dispatch(command, output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Ok {
                output.message(failure.render(output.messages).trim_end());
            }
            failure.exit.into()
        }
    }
}

fn dispatch(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => serve::run(args, output),
        Command::Demo(args) => crate::demo::run(&args, output),
        Command::Deploy(args) => remote::run(deploy::deploy(args, output)),
        Command::Run(args) => remote::run(instances::run(args, output)),
        Command::List(args) => remote::run(resources::list(args, output)),
        Command::Get(args) => remote::run(resources::get(args, output)),
        Command::Cancel(args) => remote::run(instances::cancel(args, output)),
        Command::Publish(args) => remote::run(messages::publish(args, output)),
        Command::Resolve(args) => remote::run(jobs::resolve(args, output)),
        Command::Complete(args) => remote::run(jobs::complete(args, output)),
        Command::Fail(args) => remote::run(jobs::fail(args, output)),
        Command::Worker(args) => remote::run(worker::work(args, output)),
        Command::Events(args) => remote::run(events::run(args.command, output)),
        Command::Subscribers(args) => remote::run(subscribers::run(args.command, output)),
        Command::Dead(args) => remote::run(dead::run(args.command, output)),
        Command::Sources(args) => remote::run(connectors::sources(args.command, output)),
        Command::Sinks(args) => remote::run(connectors::sinks(args.command, output)),
        Command::Feel(args) => feel::run(args, output),
        Command::Check(args) => check::run(&args, output),
        Command::Status(args) => remote::run(status::status(args, output)),
        Command::Config(args) => configuration::run(args, output),
        Command::Completion { shell } => completion::run(shell, output),
        Command::Version => version::run(output),
    }
}
