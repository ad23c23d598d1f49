//! `kapelle config`.

use super::args;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::config::{Config, Layers, reference_page, show};

pub(crate) fn run(args: args::Config, output: Output) -> Result<Exit, Failure> {
    match args.command {
        args::ConfigCommand::Show { config, origin } => {
            let loaded = Config::load(&Layers::of_process(config, Vec::new()))?;
            output.data(&show(&loaded, origin))?;
        }
        args::ConfigCommand::Reference => output.data(&reference_page())?,
        args::ConfigCommand::Check { config } => {
            Config::load(&Layers::of_process(config, Vec::new()))?;
            output.message("the configuration is valid");
        }
    }
    Ok(Exit::Ok)
}
