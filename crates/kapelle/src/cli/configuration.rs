//! `kapelle config`.

use super::args::{self, Format};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::client::{Document, Object};
use crate::config::{Config, Effective, Layers, Loaded, effective, reference_page, show};

pub(crate) fn run(args: args::Config, output: Output) -> Result<Exit, Failure> {
    match args.command {
        args::ConfigCommand::Show { config, origin } => {
            let loaded = Config::load(&Layers::of_process(config, Vec::new()))?;
            match output.format {
                Format::Json => output.items(&settings(&loaded), &[])?,
                Format::Table | Format::Name => output.data(&show(&loaded, origin))?,
            }
        }
        args::ConfigCommand::Reference => output.data(&reference_page())?,
        args::ConfigCommand::Check { config } => {
            Config::load(&Layers::of_process(config, Vec::new()))?;
            output.message("the configuration is valid");
        }
    }
    Ok(Exit::Ok)
}

/// For programs: one object a setting, always with its origin.
fn settings(loaded: &Loaded) -> Vec<Document> {
    let object = |setting: Effective| {
        let path = [setting.section, vec![setting.key]].concat();
        let object = Object::new()
            .text("key", &path.join("."))
            .raw("value", &setting.value);
        let text = object.text("origin", &setting.origin).into_text();
        Document::parse(text.as_bytes()).expect("invariant: settings are written as JSON")
    };
    effective(loaded).into_iter().map(object).collect()
}
