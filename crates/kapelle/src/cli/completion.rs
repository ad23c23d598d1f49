//! `kapelle completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;

pub(crate) fn run(shell: Shell, output: Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kapelle", &mut script);
    output.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
